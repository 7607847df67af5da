"""What a mixer may ask for beside utilities and state.

Letters: N agents, A actions, O obs features, S state features, H the agents' hidden size.
"""

from typing import NamedTuple

from torch import Tensor

__all__ = ["EMPTY", "Extras"]


class Extras(NamedTuple):
    """What some mixers need beyond utilities and state; the learner fills the fields that `needs` names.

    A field X_decision holds what X was at each agent's decision step.
    """

    q_proxy: Tensor | None = None  # [..., N]; utilities of the proxies, 0 where the agent does not execute
    deciding: Tensor | None = None  # [..., N] bool
    executing: Tensor | None = None  # [..., N] bool; neither = inactive
    obs: Tensor | None = None  # [..., N, O]; what each agent sees
    obs_decision: Tensor | None = None  # [..., N, O]
    state_decision: Tensor | None = None  # [..., N, S]
    actions_onehot: Tensor | None = None  # [..., N, A]; the actions whose utilities are mixed
    q_greedy: Tensor | None = None  # [..., N]; largest utility over the available actions, same network
    is_greedy: Tensor | None = None  # [..., N] bool; the action has that utility
    hidden: Tensor | None = None  # [..., N, H]; the agents' recurrent state after this step's input
    hidden_decision: Tensor | None = None  # [..., N, H]
    noise: Tensor | None = None  # [..., N, H]; standard normal; drawn, see Mixer.draw
    noise_decision: Tensor | None = None  # [..., N, H]
    positions: Tensor | None = None  # [..., N, orders] int64; each agent's place in random orders; drawn

    def rows(self, leading: int) -> "Extras":
        """The same with the first `leading` dimensions joined into one."""
        return Extras(*[None if x is None else x.reshape(-1, *x.shape[leading:]) for x in self])


EMPTY = Extras()
