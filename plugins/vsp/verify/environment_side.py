"""Checks of the proxies that a simulator shows: the task is untouched, and the proxies are what they must be.

Letters: as in plugins.vsp.verify.recording.
"""

from typing import Callable

import numpy as np

from async_envs.core.simulator import NOOP
from plugins.vsp.verify.recording import Recording
from plugins.vsp.verify.rows import NO_EXECUTION, Row, Size, difference, judged, not_exercised

__all__ = ["check_proxies_shown", "check_same_play"]

MAY_BE_ZERO = ("same rewards", "same returns", "same metrics")  # zeros alone would hide a factor


def check_same_play(policy: str, plain: Recording, proxied: Recording) -> list[Row]:
    """Two plays of the same episodes by the same policy, without and with proxies, bit for bit.

    A shorter play is compared as if it had gone on with zeros, so that each quantity tells its own difference.
    """
    n_agents = plain.obs.shape[2]
    pairs: dict[str, Callable[[Recording], np.ndarray]] = {
        "same joint actions": lambda play: play.actions[:, :, :n_agents],
        "same rewards": lambda play: play.reward,
        "same returns": lambda play: play.reward.sum(1, dtype=np.float64),
        "same ends": lambda play: np.stack([play.terminated, play.truncated, play.filled], -1),
        "same masks": lambda play: play.avail_actions[:, :, :n_agents],
        "same observations": lambda play: play.obs[:, :, :n_agents],
        "same state": lambda play: play.state,
        "same metrics": lambda play: np.stack([play.metrics[name] for name in sorted(play.metrics)], -1)
        if play.metrics
        else np.zeros(0, np.float32),
    }
    rows = []
    for check, part in pairs.items():
        one, other = part(plain), part(proxied)
        if one.ndim > 1 and check != "same metrics":
            one, other = _as_long(one, other), _as_long(other, one)
        if check in MAY_BE_ZERO and not one.any() and not other.any():
            rows.append(not_exercised(check, policy, plain.size, why="every one was 0"))
        else:
            rows.append(judged(check, policy, plain.size, rows=one.size, worst=difference(one, other)))
    return rows


def check_proxies_shown(policy: str, proxied: Recording, n_agents: int) -> list[Row]:
    """The second half of the slots, against a memory of each agent's last decision kept step by step."""
    n_episodes, n_steps = proxied.filled.shape
    status = proxied.status(n_agents)
    seen = np.zeros((n_episodes, n_agents, proxied.obs.shape[3]), np.float32)
    chosen = np.full((n_episodes, n_agents), NOOP, np.int64)
    wrong = {"one action for each proxy": 0.0, "that action is its agent's decision": 0.0}
    worst_obs = 0.0
    for t in range(n_steps):
        filled, executing = proxied.filled[:, t], status.executing[:, t]
        offered = proxied.avail_actions[:, t, n_agents:]
        expected = np.zeros_like(offered)
        np.put_along_axis(expected, np.where(executing, chosen, NOOP)[..., None], 1, -1)
        one = "one action for each proxy"
        wrong[one] = max(wrong[one], difference(offered[filled].sum(-1), expected[filled].sum(-1)))
        decision = "that action is its agent's decision"
        wrong[decision] = max(wrong[decision], difference(offered[filled], expected[filled]))
        shown = np.where(executing[..., None], seen, np.float32(0))
        worst_obs = max(worst_obs, difference(proxied.obs[:, t, n_agents:][filled], shown[filled]))
        deciding = status.deciding[:, t]
        seen[deciding] = proxied.obs[:, t, :n_agents][deciding]
        chosen[deciding] = proxied.actions[:, t, :n_agents][deciding]

    worst = wrong | {"it shows the decision's observation": worst_obs}
    size = Size(n_episodes, int(proxied.filled.sum()))
    n_executing = int(status.executing.sum())
    note = "" if n_executing else f"{NO_EXECUTION}, masked proxies only"
    rows = [
        judged(check, policy, size, rows=size.steps * n_agents, worst=value, note=note)
        for check, value in worst.items()
    ]
    seen_row = (
        judged("executing agents seen", policy, size, rows=n_executing, worst=0.0)
        if n_executing
        else not_exercised("executing agents seen", policy, size)
    )
    return [seen_row, *rows]


def _as_long(values: np.ndarray, other: np.ndarray) -> np.ndarray:
    """`values` [B, T, ...] with zeros up to the steps of `other`."""
    missing = max(0, other.shape[1] - values.shape[1])
    return np.pad(values, [(0, 0), (0, missing), *[(0, 0)] * (values.ndim - 2)])
