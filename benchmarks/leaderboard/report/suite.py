"""What all tasks say together: aggregates, profiles, improvement, efficiency, of the finished runs' last tests."""

import math
from itertools import combinations
from typing import Any, Mapping, Sequence

import numpy as np

from benchmarks.leaderboard.protocol import Protocol
from benchmarks.leaderboard.report.reading import band_of, finals, grid_of, read_at
from benchmarks.leaderboard.results import Run
from benchmarks.leaderboard.statistics.aggregates import aggregate, normalised
from benchmarks.leaderboard.statistics.bootstrap import Interval
from benchmarks.leaderboard.statistics.curves import efficiency, profile
from benchmarks.leaderboard.statistics.improvement import improvement

__all__ = ["suite"]

POINTS = 50  # of the efficiency curves at most
TAUS = 101  # thresholds of a profile
LOWEST, HIGHEST = -2.0, 3.0  # normalised scores that a profile shows

Rows = Mapping[tuple[str, str], Sequence[Run]]  # (task, algorithm) -> finished runs
Scores = Mapping[str, tuple[float, float]]  # task -> random, best


def suite(protocol: Protocol, finished: Rows, scores: Scores) -> dict[str, Any]:
    """aggregates, profiles, improvement and efficiency, as a report holds them.

    An algorithm is counted over the tasks with reference scores on which it has finished runs.
    """
    found = {
        algorithm: {
            key: normalised(finals(finished[key, algorithm]), *scores[key])
            for key in scores
            if finished[key, algorithm]
        }
        for algorithm in protocol.algorithms
    }
    found = {algorithm: groups for algorithm, groups in found.items() if groups}
    return {
        "aggregates": [_aggregate(algorithm, groups) for algorithm, groups in found.items()],
        "profiles": _profiles({algorithm: list(groups.values()) for algorithm, groups in found.items()}),
        "improvement": _improvement(protocol, finished),
        "efficiency": _efficiency(protocol, finished, scores, {name: list(found[name]) for name in found}),
    }


def _aggregate(algorithm: str, found: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Of an algorithm's normalised scores by task; with the tasks, since only equal ones can be compared."""
    groups = list(found.values())
    counted = {name: each._asdict() for name, each in aggregate(algorithm, groups).items()}
    n_runs = sum(map(len, groups))
    return {"algorithm": algorithm, "n_runs": n_runs, "n_tasks": len(groups), "tasks": list(found), **counted}


def _profiles(found: Mapping[str, Sequence[np.ndarray]]) -> dict[str, Any]:
    if not found:
        return {"tau": [], "algorithms": {}}
    scores = np.concatenate([group for groups in found.values() for group in groups])
    low = max(LOWEST, min(0.0, math.floor(scores.min() * 4) / 4))
    high = min(HIGHEST, max(1.0, math.ceil(scores.max() * 4) / 4))
    taus = np.linspace(low, high, TAUS)
    bands = {name: band_of(profile(name, groups, taus)) for name, groups in found.items()}
    return {"tau": taus.tolist(), "algorithms": bands}


def _improvement(protocol: Protocol, finished: Rows) -> list[dict[str, Any]]:
    """Every ordered pair that shares a task; the returns need no normalisation, as they are compared task by task."""
    pairs = []
    for x, y in combinations(protocol.algorithms, 2):
        shared = [task.key for task in protocol.tasks if finished[task.key, x] and finished[task.key, y]]
        if shared:
            one, other = ([finals(finished[key, name]) for key in shared] for name in (x, y))
            found = improvement((x, y), one, other)
            n_x, n_y = (sum(map(len, groups)) for groups in (one, other))
            pairs += [
                {"x": x, "y": y, **found._asdict(), "n_x": n_x, "n_y": n_y, "n_tasks": len(shared)},
                {"x": y, "y": x, **_turned(found)._asdict(), "n_x": n_y, "n_y": n_x, "n_tasks": len(shared)},
            ]
    return pairs


def _turned(found: Interval) -> Interval:
    """P(Y > X) from P(X > Y)."""
    if found.low is None or found.high is None:
        return Interval(1.0 - found.point, None, None)
    return Interval(1.0 - found.point, 1.0 - found.high, 1.0 - found.low)


def _efficiency(
    protocol: Protocol, finished: Rows, scores: Scores, tasks: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    """Over the steps that every counted task has, where every run has been tested before or soon after."""
    counted = {key for keys in tasks.values() for key in keys}
    if not counted:
        return {"step": [], "algorithms": {}}
    t_max = min(task.t_max for task in protocol.tasks if task.key in counted)
    grid = grid_of(t_max, protocol.test_interval, POINTS)
    curves = {
        algorithm: [
            np.stack([
                normalised(read_at(run, grid, protocol.test_interval), *scores[key])
                for run in finished[key, algorithm]
            ])
            for key in keys
        ]
        for algorithm, keys in tasks.items()
    }  # fmt: skip
    known = ~np.isnan(np.concatenate([curve for each in curves.values() for curve in each])).any(axis=0)
    if not known.any():
        return {"step": [], "algorithms": {}}
    bands = {name: band_of(efficiency(name, [curve[:, known] for curve in each])) for name, each in curves.items()}
    return {"step": [int(step) for step in grid[known]], "algorithms": bands}
