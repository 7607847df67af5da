"""NA2Q and NA2Q(A): an attention-weighted sum of shape functions of single slots, pairs, triples.

    q_tot = sum_J alpha_J f_J(u_J) + v(s),   J = all sets of 1 to `order` slots
    alpha = softmax(Q(s) relu(K(z)) / sqrt(V)),   V terms, Q [V, V], K [V], z the slots' latents

The latents come from the agents' hidden states by a variational auto-encoder (plugins.mixers.semantics) whose
losses are minimised along with the TD error; the mixer itself sends no gradient into them.

NA2Q(A): slots are agents and proxies. A proxy's latent is that of its agent at the decision step. A term with
a masked proxy gets the logit -1e9: f_J(0) is not 0, so a zero utility would not take it out; with masked_proxies
zeroed only the utility is.

Source: Liu et al., NA2Q, arXiv:2304.13383; zichuan-liu/NA2Q adc10b4.
"""

import math
from typing import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from plugins.mixers.base import Extras, Mixer, slot_utilities
from plugins.mixers.semantics import Semantics, standard_normal
from plugins.mixers.shape_functions import ShapeFunctions, count_terms, term_sets

MASKED = -1e9  # logit of a term that is not there
MOST_WEIGHTS = 10_000_000  # of the attention's largest layer, V * V * attention_embed
BYTES_TO_TRAIN = 16  # a float32 weight, its gradient and Adam's two averages


class Na2qMixer(Mixer):
    """Letters: R rows, N agents, M slots, V terms, H hidden size of the agents.

    Parameters: `shapes.o` f_J of sets of o + 1 slots, `query_embedding` S->E, `key_embedding` M*H->E,
    `to_queries` E->V*V, `to_keys` E->V (both without bias), `bias` S->E->32->1, `vae`. The options are the
    keys of plugins/config/algs/na2q.yaml without their prefix and are explained there.
    """

    loss_needs = frozenset({"hidden", "noise", "obs"})

    def __init__(
        self,
        n_agents: int,
        state_dim: int,
        obs_dim: int,
        hidden_dim: int,
        order: int,
        attention_embed: int,
        bias_embed: int,
        vae_embed: int,
        vae_weight: float,
        vae_steps: str,
        proxies: bool,
        masked_proxies: str,
    ) -> None:
        super().__init__("na2q_a" if proxies else "na2q", n_agents, state_dim)
        self.proxies = proxies
        self.zeroes_masked = masked_proxies == "zeroed"
        self.losses_over_padding = vae_steps == "all"
        self.hidden_dim = hidden_dim
        self.vae_weight = vae_weight
        self.needs = self.loss_needs
        if proxies:
            self.needs |= {"q_proxy", "executing", "hidden_decision", "noise_decision"}
        n_slots = n_agents * (2 if proxies else 1)
        self.n_terms = self._checked_terms(n_slots, order, attention_embed)
        self.shapes = nn.ModuleList(ShapeFunctions(n_slots, size) for size in range(1, order + 1))
        self.query_embedding = nn.Linear(state_dim, attention_embed)
        self.key_embedding = nn.Linear(n_slots * hidden_dim, attention_embed)
        self.to_queries = nn.Linear(attention_embed, self.n_terms**2, bias=False)
        self.to_keys = nn.Linear(attention_embed, self.n_terms, bias=False)
        self.bias = nn.Sequential(
            nn.Linear(state_dim, attention_embed), nn.ReLU(),
            nn.Linear(attention_embed, bias_embed), nn.ReLU(),
            nn.Linear(bias_embed, 1),
        )  # fmt: skip
        self.vae = Semantics(hidden_dim, obs_dim, vae_embed)
        members = torch.zeros(self.n_terms, n_slots)
        for term, slots in enumerate(term_sets(n_slots, order)):
            members[term, list(slots)] = 1.0
        self.register_buffer("members", members, persistent=False)  # [V, M]; 1 where the slot is in the set

    def draw(self, n_rows: int, generator: torch.Generator) -> dict[str, Tensor]:
        """`noise` [n_rows, N, H] of the latents; the losses of the auto-encoder use the same."""
        return {"noise": standard_normal(n_rows, self.n_agents, self.hidden_dim, generator)}

    def mix(self, q_taken: Tensor, state: Tensor, extras: Extras) -> Tensor:
        terms = self.terms(slot_utilities(q_taken, extras, self.proxies))
        credits = self.credits(state, self.latent(extras), extras.executing)
        return (credits * terms).sum(dim=1, keepdim=True) + self.bias(state)

    def terms(self, utilities: Tensor) -> Tensor:
        """f_J(u_J): [R, M] -> [R, V], in the order of `term_sets`."""
        return torch.cat([shape(utilities) for shape in self.shapes], dim=1)

    def credits(self, state: Tensor, latent: Tensor, executing: Tensor | None) -> Tensor:
        """alpha [R, V] from [R, S], [R, M, H] and who executes, [R, N]; 0 for terms with a masked proxy (absent)."""
        queries = self.to_queries(self.query_embedding(state)).view(-1, self.n_terms, self.n_terms)
        keys = F.relu(self.to_keys(self.key_embedding(latent.flatten(1))))
        logits = torch.bmm(queries, keys.unsqueeze(2)).squeeze(2) / math.sqrt(self.n_terms)
        if self.proxies and not self.zeroes_masked:
            assert executing is not None
            absent = torch.cat([torch.zeros_like(executing), ~executing], dim=1)
            n_absent = absent.to(logits.dtype) @ self.get_buffer("members").t()
            logits = logits.masked_fill(n_absent > 0, MASKED)
        return logits.softmax(dim=1)

    @torch.no_grad()
    def latent(self, extras: Extras) -> Tensor:
        """z of every slot, [R, M, H], with its noise and without gradient; 0 for masked proxies."""
        assert extras.hidden is not None and extras.noise is not None
        real: Tensor = self.vae.encode(extras.hidden, extras.noise).z
        if not self.proxies:
            return real
        assert extras.hidden_decision is not None and extras.noise_decision is not None
        assert extras.executing is not None
        proxy = self.vae.encode(extras.hidden_decision, extras.noise_decision).z
        if not self.zeroes_masked:
            proxy = proxy.masked_fill(~extras.executing.unsqueeze(2), 0.0)
        return torch.cat([real, proxy], dim=1)

    def auxiliary_losses(self, extras: Extras) -> dict[str, Tensor]:
        """vae_weight times the auto-encoder's three losses, over the real agents."""
        assert extras.hidden is not None and extras.obs is not None and extras.noise is not None
        losses = self.vae.losses(extras.hidden, extras.obs, extras.noise)
        return {name: self.vae_weight * loss for name, loss in losses.items()}

    def own_credits(self, q_taken: Tensor, state: Tensor, extras: Extras) -> dict[str, Tensor]:
        terms = self.terms(slot_utilities(q_taken, extras, self.proxies))
        credits = self.credits(state, self.latent(extras), extras.executing)
        return {"credits": credits, "terms": terms.masked_fill(credits == 0, 0.0)}

    def own_labels(self, slots: Sequence[str]) -> dict[str, list[str]]:
        sets = term_sets(len(slots), len(self.shapes))
        names = [" ".join(slots[slot] for slot in each) for each in sets]
        return {"credits": names, "terms": names}

    def statistics(self, q_taken: Tensor, state: Tensor, extras: Extras) -> dict[str, float]:
        with torch.no_grad():
            credits = self.credits(state, self.latent(extras), extras.executing)
        n_singles = len(self.members_of_size(1))
        entropy = -(credits * credits.clamp(min=1e-30).log()).sum(dim=1)
        return {
            "credit_of_single_slots": float(credits[:, :n_singles].sum(dim=1).mean()),
            "credit_entropy": float(entropy.mean()),
        }

    def members_of_size(self, size: int) -> Tensor:
        """The sets of `size` slots, [G, size]."""
        return self.shapes[size - 1].get_buffer("sets")

    def _checked_terms(self, n_slots: int, order: int, embed: int) -> int:
        if not 1 <= order <= n_slots:
            raise ValueError(
                f"{self.name}: na2q_order={order} is not accepted with {n_slots} slots, expected 1 to "
                f"{n_slots}. Lower na2q_order: it counts the members of the largest sets."
            )
        n_terms = count_terms(n_slots, order)
        n_weights = n_terms**2 * embed
        if n_weights > MOST_WEIGHTS:
            raise ValueError(
                f"{self.name}: na2q_order={order} with {n_slots} slots makes {n_terms} terms, whose "
                f"attention holds {n_terms}^2 * {embed} = {n_weights:,} weights "
                f"({_words(n_weights * BYTES_TO_TRAIN)} to train them, and {_words(n_terms**2 * 4)} for each "
                f"step of a batch), expected at most {MOST_WEIGHTS:,}. Lower na2q_order."
            )
        return n_terms


def _words(n_bytes: int) -> str:
    return f"{n_bytes / 1e6:,.1f} MB" if n_bytes < 1e9 else f"{n_bytes / 1e9:,.1f} GB"
