"""Episodes played to their end, many at once, with every action kept.

Letters: B episodes, N agents, T steps of one episode, b episodes that still run.
"""

from typing import Any, Callable, NamedTuple, Sequence

import numpy as np

from async_envs.core.simulator import Simulator
from plugins.controllers.async_mac import NO_ACTION
from plugins.envs import check_rewards

__all__ = ["Episode", "Chooser", "check_lengths", "controlled", "play", "recorded", "results"]

Chooser = Callable[[Simulator, int, np.ndarray, np.ndarray], np.ndarray]  # see `play`

TOO_SHORT = "{key}: episode with seed {seed}: its {n} recorded steps end before the episode does. It was cut short."
TOO_LONG = "{key}: episode with seed {seed}: {n} steps were recorded, but it ends after {t}. It was not played so."
IMPOSSIBLE = (
    "{key}: episode with seed {seed}, step {t}, agent {agent}: action {action} is not available, expected one of "
    "{available}. It was not played so."
)


class Episode(NamedTuple):
    """One episode from its reset to its end."""

    seed: int
    values: dict[str, Any]  # return, length, decisions, the family's metrics, episode_limit
    actions: np.ndarray  # [T, N] int64


def play(simulator: Simulator, seeds: Sequence[int], choose: Chooser) -> list[Episode]:
    """Play B episodes, one a seed.

    Args:
        simulator: of B episodes.
        seeds: B episode seeds.
        choose: called with the simulator, the step, the last actions [B, N] int64 (-1 before the first) and the
            episodes [b] int64 that still run; gives their actions [b, N].

    Raises:
        ValueError: an action that is not available.
        FloatingPointError: a reward that is not finite.
    """
    simulator.reset(seeds)
    returns = np.zeros(len(seeds), np.float64)
    actions = np.full((len(seeds), simulator.n_agents), NO_ACTION, np.int64)
    taken: list[np.ndarray] = []
    rows = np.arange(len(seeds))
    while len(rows):
        actions[rows] = choose(simulator, len(taken), actions, rows)
        taken.append(actions.copy())
        simulator.step(actions)
        check_rewards(simulator, seeds)
        returns += simulator.reward
        rows = rows[~(simulator.terminated | simulator.truncated)[rows]]
    steps = np.stack(taken, 1)
    return [
        Episode(int(told.pop("seed")), told, steps[b, : told["length"]].copy())
        for b, told in enumerate(results(simulator, seeds, returns))
    ]


def results(simulator: Simulator, seeds: Sequence[int], returns: np.ndarray) -> list[dict[str, Any]]:
    """What each episode came to, as Python scalars."""
    return [
        {
            "seed": seed,
            "return": float(returns[b]),
            "length": int(simulator.t[b]),
            "decisions": int(simulator.decisions[b]),
            **{name: float(values[b]) for name, values in simulator.metrics.items()},
            "episode_limit": float(simulator.truncated[b]),
        }
        for b, seed in enumerate(seeds)
    ]


def controlled(mac: Any) -> Chooser:
    """The choices of a controller in test episodes; call its `init_hidden` with the episodes' seeds first."""

    def choose(simulator: Simulator, t: int, last: np.ndarray, rows: np.ndarray) -> np.ndarray:
        obs, avail = simulator.obs, simulator.avail_actions
        if len(rows) < len(obs):
            obs, avail, last = obs[rows], avail[rows], last[rows]
        actions: np.ndarray = mac.act(obs, avail, last, rows, t_env=0, test_mode=True)
        return actions

    return choose


def recorded(episodes: Sequence[Episode]) -> Chooser:
    """The actions of `episodes`, in the order of their seeds.

    The chooser raises ValueError for an action that is not available and for actions that end too soon.
    """
    lengths = np.array([len(episode.actions) for episode in episodes])
    plan = np.zeros((len(episodes), lengths.max(initial=0), episodes[0].actions.shape[1]), np.int64)
    for b, episode in enumerate(episodes):
        plan[b, : lengths[b]] = episode.actions

    def choose(simulator: Simulator, t: int, last: np.ndarray, rows: np.ndarray) -> np.ndarray:
        short = rows[lengths[rows] <= t]
        if len(short):
            b = int(short[0])
            raise ValueError(TOO_SHORT.format(key=simulator.key, seed=episodes[b].seed, n=lengths[b]))
        actions = plan[rows, t]
        in_range = (actions >= 0) & (actions < simulator.n_actions)
        known = np.where(in_range, actions, 0)[..., None]
        may = in_range & (np.take_along_axis(simulator.avail_actions[rows], known, 2)[..., 0] != 0)
        if not may.all():
            row, agent = np.argwhere(~may)[0]
            b = int(rows[row])
            available = np.flatnonzero(simulator.avail_actions[b, agent]).tolist()
            raise ValueError(IMPOSSIBLE.format(
                key=simulator.key, seed=episodes[b].seed, t=t, agent=agent, action=actions[row, agent],
                available=", ".join(f"{each} {simulator.action_names[each]!r}" for each in available),
            ))  # fmt: skip
        return actions

    return choose


def check_lengths(key: str, given: Sequence[Episode], played: Sequence[Episode]) -> None:
    """Refuse recorded steps beyond an episode's end.

    Raises:
        ValueError: naming the first such episode.
    """
    for before, after in zip(given, played):
        if len(before.actions) > len(after.actions):
            raise ValueError(
                TOO_LONG.format(key=key, seed=before.seed, n=len(before.actions), t=len(after.actions))
            )
