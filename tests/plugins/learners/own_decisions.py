"""Own decisions by walking through an episode, one agent at a time: the slow twin of plugins.learners.timeline."""

from typing import Any, NamedTuple


class Decision(NamedTuple):
    """One decision and what followed."""

    t: int
    reward: float  # discounted to t
    duration: int  # steps until the agent looks again, or the episode ends
    next_t: int | None  # where it looks again; None where the episode terminated first


def length(batch: dict[str, Any], b: int) -> int:
    """Steps of episode b: one less than the observations stored."""
    return int(batch["filled"][b].sum()) - 1


def is_cut(batch: dict[str, Any], b: int) -> bool:
    """Whether the step limit ended it."""
    return not bool(batch["terminated"][b, length(batch, b) - 1, 0])


def status(batch: dict[str, Any], b: int, t: int, i: int) -> str:
    """What agent i does at step t."""
    avail = batch["avail_actions"][b, t, i]
    return "inactive" if avail[0] else "executing" if avail[1] else "deciding"


def decisions(
    batch: dict[str, Any], b: int, i: int, gamma: float, padded: bool = False, drop_open: bool = False
) -> list[Decision]:
    """The decisions of agent i in episode b that are learned from, in order."""
    end = length(batch, b)
    at = [t for t in range(end) if padded or status(batch, b, t, i) == "deciding"]
    found = []
    for k, t in enumerate(at):
        is_last = k + 1 == len(at)
        until = end if is_last else at[k + 1]
        reward = sum(gamma**m * float(batch["reward"][b, t + m, 0]) for m in range(until - t))
        has_value = not is_last or is_cut(batch, b)
        found.append(Decision(t, reward, until - t, until if has_value else None))
    if drop_open and found and status(batch, b, end, i) == "executing":
        found.pop()
    return found


def gae(found: list[Decision], values: Any, gamma: float, gae_lambda: float) -> list[float]:
    """Advantages of an agent's decisions; values [T + 1] of the same agent."""
    advantages = [0.0] * len(found)
    for k in reversed(range(len(found))):
        each = found[k]
        after = 0.0 if each.next_t is None else float(values[each.next_t])
        delta = each.reward + gamma**each.duration * after - float(values[each.t])
        later = advantages[k + 1] if k + 1 < len(found) else 0.0
        advantages[k] = delta + gamma**each.duration * gae_lambda * later
    return advantages


def n_step(found: list[Decision], values: Any, gamma: float, n: int) -> list[float]:
    """Returns over n own decisions."""
    returns = []
    for k, first in enumerate(found):
        window = found[k : k + n]
        total = sum(gamma ** (each.t - first.t) * each.reward for each in window)
        end = window[-1].next_t
        returns.append(total + (0.0 if end is None else gamma ** (end - first.t) * float(values[end])))
    return returns
