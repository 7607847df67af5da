"""SHAQ: utilities of agents that are not greedy, scaled by a learnt estimate of their Shapley share.

    q_tot = sum_i (m_i + (1 - m_i) alpha_i) u_i,   m_i = 1 where the action taken is agent i's greedy one
    alpha_i = 1 + mean over random orders of | elu([c_i, u_i] @ |W_1(s)| + b_1(s)) . |w_2(s)| + b_2(s) |

c_i is the mean utility of the agents before i in the order, 0 if there is none. The target side has neither
parameters nor alpha: next steps are valued by the plain sum of the target network's utilities.

Source: Wang et al., SHAQ, arXiv:2105.15013; sizes and parameter names as in hsvgbkhgbv/shapley-q-learning
6648f4a, so that its checkpoints load. There orders are drawn inside the forward pass; ours are handed in.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from plugins.mixers.base import Extras, Mixer, mlp
from plugins.mixers.vdn import VDNMixer


class ShaqMixer(Mixer):
    """Letters: R rows, N agents, M orders, E = embed_dim.

    Parameters: `hyper_w_1` S->Hy->2*E (read as [2, E]: c's row, u's row), `hyper_w_final` S->Hy->E,
    `hyper_b_1` S->E, `hyper_b_2` S->E->1; with hypernet_layers=1 the first two are one Linear each.
    """

    needs = frozenset({"is_greedy", "positions"})

    def __init__(
        self,
        n_agents: int,
        state_dim: int,
        orders: int,
        embed_dim: int,
        hypernet_layers: int,
        hypernet_embed: int,
    ) -> None:
        super().__init__("shaq", n_agents, state_dim)
        self.orders = orders
        self.embed_dim = embed_dim

        def hypernet(n_outputs: int) -> nn.Module:
            if hypernet_layers == 1:
                return nn.Linear(state_dim, n_outputs)
            return mlp(state_dim, hypernet_embed, n_outputs)

        self.hyper_w_1 = hypernet(2 * embed_dim)
        self.hyper_w_final = hypernet(embed_dim)
        self.hyper_b_1 = nn.Linear(state_dim, embed_dim)
        self.hyper_b_2 = mlp(state_dim, embed_dim, 1)

    def make_target(self) -> Mixer:
        """The plain sum: SHAQ has no target mixer."""
        return VDNMixer(self.n_agents, self.state_dim, proxies=False)

    def draw(self, n_rows: int, generator: torch.Generator) -> dict[str, Tensor]:
        """`positions` [n_rows, N, M]: M uniformly random orders of the agents."""
        keys = torch.rand(n_rows, self.n_agents, self.orders, generator=generator)
        return {"positions": keys.argsort(dim=1)}

    def mix(self, q_taken: Tensor, state: Tensor, extras: Extras) -> Tensor:
        assert extras.is_greedy is not None and extras.positions is not None
        alpha = self.alpha(q_taken, state, extras.positions)
        return (q_taken * torch.where(extras.is_greedy, 1.0, alpha)).sum(dim=1, keepdim=True)

    def alpha(self, q_taken: Tensor, state: Tensor, positions: Tensor) -> Tensor:
        """[R, N], [R, S], [R, N, M] -> [R, N], at least 1; gradients reach the utilities through it."""
        w_1 = self.hyper_w_1(state).abs().view(-1, 2, 1, 1, self.embed_dim)
        c = coalition_means(q_taken, positions)
        own = q_taken[:, :, None, None]
        before = c.unsqueeze(3) * w_1[:, 0] + own * w_1[:, 1] + self.hyper_b_1(state)[:, None, None, :]
        w_2 = self.hyper_w_final(state).abs()[:, None, None, :]
        value = (F.elu(before) * w_2).sum(dim=3) + self.hyper_b_2(state).unsqueeze(2)
        return value.abs().mean(dim=2) + 1.0

    def own_credits(self, q_taken: Tensor, state: Tensor, extras: Extras) -> dict[str, Tensor]:
        assert extras.positions is not None
        return {"alpha": self.alpha(q_taken, state, extras.positions)}

    def statistics(self, q_taken: Tensor, state: Tensor, extras: Extras) -> dict[str, float]:
        assert extras.is_greedy is not None and extras.positions is not None
        with torch.no_grad():
            alpha = self.alpha(q_taken, state, extras.positions)
        numbers = {"greedy_share": float(extras.is_greedy.float().mean())}
        if not bool(extras.is_greedy.all()):
            numbers["alpha_mean"] = float(alpha[~extras.is_greedy].mean())  # where it is used
        return numbers


def coalition_means(utilities: Tensor, positions: Tensor) -> Tensor:
    """For every agent and order the mean utility of the agents before it, 0 for the first.

    Args:
        utilities: [R, N].
        positions: [R, N, M] int64; place of each agent in each order, 0 = first.

    Returns:
        [R, N, M].
    """
    spread = utilities.unsqueeze(2).expand(positions.shape)
    in_order = torch.zeros_like(spread).scatter(1, positions, spread)
    sums_before = in_order.cumsum(dim=1) - in_order
    return sums_before.gather(1, positions) / positions.clamp(min=1)
