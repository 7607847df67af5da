"""Virtual Synchrony Proxy, learner side: who decides, since when, and the gather that evaluates a proxy.

Letters: B episodes, T stored steps (the last observation included), N agents, A actions.

Everything follows from the stored availability (action 0 `noop` is available to inactive agents only,
action 1 `continue` to executing agents only) and from `filled`.

Source: Liang, Wu, Wang, Cai, arXiv:2408.03692v2, section 4. The proxy's utility is read as a gather from the
unroll that training does anyway: value and gradient equal those of a second forward pass.
"""

from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["NOOP", "CONTINUE", "Status", "decision_steps", "gather_steps", "proxy_utilities", "read_status"]

NOOP = 0  # the action of inactive agents
CONTINUE = 1  # the action of executing agents


class Status(NamedTuple):
    """What each agent is doing; exactly one of the three is True on a filled step, none after the end."""

    deciding: Tensor  # [B, T, N] bool; picks a new action now
    executing: Tensor  # [B, T, N] bool; carries on an action chosen earlier
    inactive: Tensor  # [B, T, N] bool; dead or out of play


def read_status(avail_actions: Tensor, filled: Tensor) -> Status:
    """The agents' status, read from what they may do.

    Without the factor `filled` the all-zero rows after an episode's end would read as deciding.

    Args:
        avail_actions: [B, T, N, A] any number type; 1 where the action may be chosen.
        filled: [B, T, 1] any number type; 1 where the step was played.

    Returns:
        three masks, [B, T, N] bool.

    Raises:
        ValueError: the shapes do not belong together.
    """
    if avail_actions.dim() != 4 or tuple(filled.shape) != (*avail_actions.shape[:2], 1):
        raise ValueError(
            f"vsp: avail_actions has shape {tuple(avail_actions.shape)} and filled {tuple(filled.shape)}, "
            "expected [B, T, N, A] and [B, T, 1]. Pass them as the episode batch stores them."
        )
    played = filled != 0
    executing = (avail_actions[..., CONTINUE] != 0) & played
    inactive = (avail_actions[..., NOOP] != 0) & played
    return Status(played & ~executing & ~inactive, executing, inactive)


def decision_steps(deciding: Tensor) -> Tensor:
    """The latest step at or before each step at which the agent decided, 0 where it never has.

    Args:
        deciding: [B, T, N] bool.

    Returns:
        [B, T, N] int64.
    """
    steps = torch.arange(deciding.shape[1], device=deciding.device).view(1, -1, 1)
    return torch.where(deciding, steps, 0).cummax(dim=1).values


def gather_steps(values: Tensor, decision_t: Tensor) -> Tensor:
    """`values` of each agent as they were at its decision step.

    Args:
        values: [B, T, N, ...].
        decision_t: [B, T, N] int64.

    Returns:
        [B, T, N, ...]; entry (b, t, i) is values[b, decision_t[b, t, i], i].
    """
    index = decision_t.reshape(*decision_t.shape, *[1] * (values.dim() - decision_t.dim()))
    return values.gather(1, index.expand_as(values))


def proxy_utilities(q_taken: Tensor, decision_t: Tensor, executing: Tensor) -> Tensor:
    """Utilities of the proxies: q_taken at the decision step where the agent executes, exactly 0 elsewhere.

    Args:
        q_taken: [B, T, N]; utilities of the actions *taken*, never of greedy ones. Step 0 is included.
        decision_t: [B, T, N] int64, from `decision_steps`.
        executing: [B, T, N] bool.

    Returns:
        [B, T, N]; gradients flow back to the decision step.
    """
    return gather_steps(q_taken, decision_t).masked_fill(~executing, 0.0)
