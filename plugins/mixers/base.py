"""What a mixer is handed and what it gives back.

Letters: R rows (steps of any episodes, in any order), N agents, A actions, O obs features, S state features,
H the agents' hidden size, M slots (N, or 2N where proxies take part: real agents first).
"""

import copy
from typing import Sequence

import torch
from torch import Tensor, nn

from plugins.mixers.explanation import Explanation, explain_rows
from plugins.mixers.extras import EMPTY, Extras

__all__ = ["EMPTY", "Extras", "Mixer", "mlp", "slot_utilities"]


class Mixer(nn.Module):
    """Per-agent utilities to one value for the team: q_taken [..., N], state [..., S] -> q_tot [..., 1].

    A subclass names what it needs in `needs` and implements `mix` on rows. Whatever it keeps besides
    parameters (running statistics) is a buffer, so that checkpoints carry it and a target mixer can share
    it.
    """

    needs: frozenset[str] = frozenset()  # fields of Extras
    loss_needs: frozenset[str] = frozenset()  # those that auxiliary_losses reads; none of proxies
    losses_over_padding = False  # True: those losses see the steps after an end too, as if episodes went on

    def __init__(self, name: str, n_agents: int, state_dim: int) -> None:
        super().__init__()
        self.name = name  # for error lines
        self.n_agents = n_agents
        self.state_dim = state_dim

    def forward(self, q_taken: Tensor, state: Tensor, extras: Extras = EMPTY) -> Tensor:
        """Mix.

        Args:
            q_taken: [..., N]; utilities of the actions taken.
            state: [..., S].
            extras: the fields named in `needs`, with the same leading dimensions.

        Returns:
            [..., 1].

        Raises:
            ValueError: a shape is wrong or a needed field is missing.
        """
        self._check(q_taken, state, extras)
        leading = q_taken.shape[:-1]
        rows = extras.rows(len(leading))
        q_tot = self.mix(q_taken.reshape(-1, self.n_agents), state.reshape(-1, self.state_dim), rows)
        return q_tot.view(*leading, 1)

    def mix(self, q_taken: Tensor, state: Tensor, extras: Extras) -> Tensor:
        """[R, N], [R, S] -> [R, 1]."""
        raise NotImplementedError

    def make_target(self) -> "Mixer":
        """The mixer of the target side: a copy, unless the algorithm values next steps in another way.

        Its parameters follow those of the same name here.
        """
        return copy.deepcopy(self)

    def draw(self, n_rows: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Random inputs by their field of Extras, [n_rows, N, ...] on the CPU; none by default.

        The learner draws them anew for every update and hands them in, so a mixer is a function.
        """
        return {}

    def auxiliary_losses(self, extras: Extras) -> dict[str, Tensor]:
        """What is minimised beside the TD error, weighted, by its name in the log; nothing by default."""
        return {}

    def observe_proxies(self, q_proxy: Tensor, q_proxy_target: Tensor, executing: Tensor) -> None:
        """Take note of this batch's proxy utilities [B, T, N] before mixing; nothing to note by default."""

    def statistics(self, q_taken: Tensor, state: Tensor, extras: Extras) -> dict[str, float]:
        """Numbers worth logging about these rows; none by default."""
        return {}

    def explain(self, q_taken: Tensor, state: Tensor, extras: Extras = EMPTY) -> Explanation:
        """The weight of every slot and pair of slots in q_tot; arguments and errors as of `forward`."""
        self._check(q_taken, state, extras)
        leading = q_taken.shape[:-1]
        rows = q_taken.reshape(-1, self.n_agents), state.reshape(-1, self.state_dim), extras.rows(len(leading))
        return explain_rows(self, *rows).unflatten(leading)

    def mix_openly(self, q_taken: Tensor, state: Tensor, extras: Extras) -> Tensor:
        """The value of `mix`, with gradients let through wherever `mix` stops them."""
        return self.mix(q_taken, state, extras)

    def pair_weights(self, q_taken: Tensor, state: Tensor, extras: Extras) -> Tensor | None:
        """f_ij [R, M, M] of a mixer that has weights of pairs itself; None: second derivatives serve."""
        return None

    def own_credits(self, q_taken: Tensor, state: Tensor, extras: Extras) -> dict[str, Tensor]:
        """Numbers on credit that only this mixer has, by name, [R, ...]; none by default."""
        return {}

    def own_labels(self, slots: Sequence[str]) -> dict[str, list[str]]:
        """What the last dimension of each of `own_credits` runs over, where it is not what `slots` names."""
        return {}

    def share_buffers(self, source: "Mixer") -> None:
        """Take over the running statistics of `source`, a mixer of the same sizes."""
        for mine, theirs in zip(self.buffers(), source.buffers(), strict=True):
            mine.copy_(theirs)

    def _check(self, q_taken: Tensor, state: Tensor, extras: Extras) -> None:
        if q_taken.shape[-1] != self.n_agents:
            raise ValueError(
                f"{self.name}: q_taken has shape {tuple(q_taken.shape)}, expected [..., N] with "
                f"N=n_agents={self.n_agents}. Pass per-agent utilities, not q_tot."
            )
        if tuple(state.shape) != (*q_taken.shape[:-1], self.state_dim):
            raise ValueError(
                f"{self.name}: state has shape {tuple(state.shape)}, expected "
                f"{(*q_taken.shape[:-1], self.state_dim)}. Pass one state for each row of utilities."
            )
        for field in sorted(self.needs):
            value = getattr(extras, field)
            if value is None or value.shape[: q_taken.dim()] != q_taken.shape:
                given = "nothing" if value is None else f"shape {tuple(value.shape)}"
                raise ValueError(
                    f"{self.name}: {field} is {given}, expected {tuple(q_taken.shape)} first. "
                    f"This mixer needs {', '.join(sorted(self.needs))}."
                )


def slot_utilities(q_taken: Tensor, extras: Extras, proxies: bool) -> Tensor:
    """Utilities of all slots, [R, N] or [R, 2N]; masked proxies are exactly 0."""
    if not proxies:
        return q_taken
    assert extras.q_proxy is not None and extras.executing is not None  # Mixer._check saw them
    return torch.cat([q_taken, extras.q_proxy.masked_fill(~extras.executing, 0.0)], dim=1)


def mlp(n_inputs: int, n_hidden: int, n_outputs: int) -> nn.Sequential:
    """Linear, ReLU, Linear; every hypernetwork here has this form."""
    return nn.Sequential(nn.Linear(n_inputs, n_hidden), nn.ReLU(), nn.Linear(n_hidden, n_outputs))
