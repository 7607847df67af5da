"""What an agent is doing, read from its available actions alone.

`noop` (action 0) is available to inactive agents only, `continue` (action 1) to executing agents only.
"""

from typing import NamedTuple

import numpy as np

from async_envs.core.simulator import CONTINUE, NOOP

__all__ = ["Statuses", "statuses"]


class Statuses(NamedTuple):
    """Three masks of one shape [...]; an agent of a stored step has exactly one of them."""

    deciding: np.ndarray  # bool, picks a new action now
    executing: np.ndarray  # bool, carries on an action chosen earlier
    inactive: np.ndarray  # bool, dead or out of play


def statuses(avail_actions: np.ndarray, filled: np.ndarray | None = None) -> Statuses:
    """Which agents decide, execute, or are out of play.

    Args:
        avail_actions: [..., N, A] of 0 and 1 (any dtype), as a simulator gives it.
        filled: [...] or [..., 1], 1 where the step was played. None means that all were; rows of a stored
            batch after the end of an episode are all zero and would otherwise read as deciding.

    Returns:
        deciding, executing, inactive: [..., N] bool; all False where a step was not filled.

    Raises:
        ValueError: `filled` does not fit the steps of `avail_actions`.
    """
    avail_actions = np.asarray(avail_actions)
    inactive = avail_actions[..., NOOP] > 0
    executing = avail_actions[..., CONTINUE] > 0
    if filled is None:
        return Statuses(~(inactive | executing), executing, inactive)
    steps = avail_actions.shape[:-2]
    filled = np.asarray(filled)
    if filled.shape not in (steps, (*steps, 1)):
        raise ValueError(
            f"statuses: filled has shape {filled.shape}, expected {steps} or {(*steps, 1)} "
            f"for avail_actions of shape {avail_actions.shape}. Pass one flag a step."
        )
    played = filled.reshape(*steps, 1) > 0
    return Statuses(~(inactive | executing) & played, executing & played, inactive & played)
