"""What a mixer says about its credit: the weight of every slot and of every pair of slots in q_tot.

Letters: R rows, N agents, M slots: the N agents, and with proxies 2N, where slot N + i is the proxy of agent i.

Source: Figure 8 and section 6.3 of arXiv:2408.03692v2, which show Q_i, the weights of the mixing network and
f_ij, "the collaborative contribution of two agents to the global outcome", without saying how the numbers are
taken from a network whose heads pass a non-linear tail; ours are said at each field.
"""

from types import MappingProxyType
from typing import Mapping, NamedTuple, Protocol, Sequence

import torch
from torch import Tensor

from plugins.mixers.extras import Extras

__all__ = ["Explainable", "Explanation", "MEANING", "explain_rows", "slopes"]


class Explainable(Protocol):
    """What is asked of a mixer (plugins.mixers.base.Mixer says what each is)."""

    needs: frozenset[str]

    def mix(self, q_taken: Tensor, state: Tensor, extras: Extras) -> Tensor: ...

    def mix_openly(self, q_taken: Tensor, state: Tensor, extras: Extras) -> Tensor: ...

    def pair_weights(self, q_taken: Tensor, state: Tensor, extras: Extras) -> Tensor | None: ...

    def own_credits(self, q_taken: Tensor, state: Tensor, extras: Extras) -> dict[str, Tensor]: ...


class Explanation(NamedTuple):
    """One row of utilities and one state, explained. All without gradient; masked slots are exactly 0.

    `mixed` and `f` are symmetric and 0 on the diagonal.
    """

    q: Tensor  # [..., M]; utilities as mixed
    present: Tensor  # [..., M] bool; agents always, proxies where their agent executes
    q_tot: Tensor  # [..., 1]
    slope: Tensor  # [..., M]; d q_tot / d q_i, all else fixed (greedy utilities and orders of agents too)
    gradient: Tensor  # [..., M]; what training sends back to slot i: the slope, less where a mixer stops gradients
    mixed: Tensor  # [..., M, M]; d2 q_tot / d q_i d q_j
    f: Tensor  # [..., M, M]; f_ij: the mixer's own weights of pairs where it has them, else `mixed`
    own: Mapping[str, Tensor]  # numbers that only this mixer has, by name, [..., any]

    def unflatten(self, leading: Sequence[int]) -> "Explanation":
        """Rows back in the shape [*leading]."""
        def folded(tensor: Tensor) -> Tensor:
            return tensor.view(*leading, *tensor.shape[1:])

        return Explanation(
            q=folded(self.q),
            present=folded(self.present),
            q_tot=folded(self.q_tot),
            slope=folded(self.slope),
            gradient=folded(self.gradient),
            mixed=folded(self.mixed),
            f=folded(self.f),
            own={name: folded(tensor) for name, tensor in self.own.items()},
        )


MEANING: Mapping[str, str] = MappingProxyType({
    "q": "utility Q_i of the slot: of the agent's action, or of what its proxy repeats",
    "slope": "dQ_tot/dQ_i at this step, everything else fixed",
    "gradient": "what training sends back to the slot; below the slope only where the mixer stops gradients",
    "mixed": "d2Q_tot/dQ_i dQ_j at this step; 0 on the diagonal",
    "f": "f_ij; MVD: weight of u_i (p_j + C) pair_scale in Q_tot, sum over heads of dQ_tot/dhead |c_ij|, for "
    "deciding i and the proxy j of an executing agent, else 0; other mixers: as mixed",
    "first_order": "MVD: weight of the slot's own term in Q_tot, sum over heads of dQ_tot/dhead |a_i|",
    "head_values": "MVD: value of each head before they are joined",
    "head_slopes": "MVD: dQ_tot/dhead",
    "q_c_min": "MVD: the constant C, one for all or one for each proxy",
    "attention": "Qatten: lambda of each head over the slots",
    "head_weight": "Qatten: weight of each head",
    "lambda": "QPLEX: factor of each agent's advantage",
    "weight": "QPLEX: w of each slot",
    "alpha": "SHAQ: factor of an agent's utility where its action is not greedy (at least 1)",
    "credits": "NA2Q: alpha of every set of slots, sum 1",
    "terms": "NA2Q: shape function of every set of slots",
})


def explain_rows(mixer: Explainable, q_taken: Tensor, state: Tensor, extras: Extras) -> Explanation:
    """Explain rows: q_taken [R, N], state [R, S] and what the mixer needs besides."""
    with torch.enable_grad():
        leaves: list[Tensor] = [q_taken.detach().clone().requires_grad_()]
        present = torch.ones_like(q_taken, dtype=torch.bool)
        if "q_proxy" in mixer.needs:
            assert extras.q_proxy is not None and extras.executing is not None  # Mixer._check saw them
            proxies: Tensor = extras.q_proxy.detach().masked_fill(~extras.executing, 0.0).requires_grad_()
            leaves.append(proxies)
            present = torch.cat([present, extras.executing], dim=1)
            extras = extras._replace(q_proxy=proxies)
        gradient = slopes(mixer.mix(leaves[0], state, extras), leaves)
        q_tot = mixer.mix_openly(leaves[0], state, extras)
        slope = slopes(q_tot, leaves)
        mixed = torch.stack([slopes(slope[:, j], leaves) for j in range(slope.shape[1])], dim=1)
    diagonal = torch.diagonal(mixed, dim1=1, dim2=2)
    mixed = (mixed - torch.diag_embed(diagonal)).detach()
    weights = mixer.pair_weights(leaves[0].detach(), state, extras)
    with torch.no_grad():
        own = mixer.own_credits(leaves[0], state, extras)
    return Explanation(
        q=torch.cat(leaves, dim=1).detach(),
        present=present,
        q_tot=q_tot.detach(),
        slope=slope.detach(),
        gradient=gradient.detach(),
        mixed=mixed,
        f=mixed if weights is None else weights.detach(),
        own={name: tensor.detach() for name, tensor in own.items()},
    )


def slopes(values: Tensor, leaves: Sequence[Tensor]) -> Tensor:
    """Derivatives of each row's value by its own leaves, [R, sum of widths], differentiable once more.

    Args:
        values: [R] or [R, 1]; row r depends on row r of the leaves alone.
        leaves: [R, width] each.
    """
    if not values.requires_grad:
        return torch.cat([torch.zeros_like(leaf) for leaf in leaves], dim=1)
    found = torch.autograd.grad(
        values.sum(), list(leaves), create_graph=True, allow_unused=True, materialize_grads=True
    )
    return torch.cat(found, dim=1)
