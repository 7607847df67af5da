"""What a suite of tasks says in one number: interquartile mean, median, mean, optimality gap of normalised scores.

Scores are normalised by fixed references of the task: 0 is random play, 1 the scripted or known best. Every function
takes K arrays [..., n_k] and gives [...]. Each task counts the same, also where tasks have different numbers of runs:
for the interquartile mean, runs are then repeated in thought until all tasks have as many.
"""

from math import lcm
from typing import Sequence

import numpy as np

from benchmarks.leaderboard.statistics.bootstrap import Groups, Interval, Statistic, check_numbers, generator, intervals

__all__ = ["STATISTICS", "aggregate", "interquartile_mean", "mean", "median", "normalised", "optimality_gap"]

CUT = 4  # the lowest and the highest fourth are left out of the interquartile mean
OPTIMAL = 1.0  # the score that the optimality gap is measured from


def normalised(values: np.ndarray, random: float, best: float) -> np.ndarray:
    """Scores on which random play has 0 and the best 1; neither is a bound."""
    scores: np.ndarray = (values - random) / (best - random)
    return scores


def interquartile_mean(groups: Groups) -> np.ndarray:
    """Mean of the middle half of all runs; of N equal runs the lowest and highest N // 4 are left out.

    Raises:
        ValueError: a score that is not a number; one line.
    """
    check_numbers("interquartile mean", groups)
    sizes = [group.shape[-1] for group in groups]
    if len(set(sizes)) > 1:
        return _weighted_interquartile_mean(groups, sizes)
    scores = np.concatenate(groups, axis=-1)
    n = scores.shape[-1]
    cut = n // CUT
    if cut:
        scores = np.partition(scores, (cut, n - cut - 1), axis=-1)
    middle: np.ndarray = scores[..., cut : n - cut].mean(-1)
    return middle


def _weighted_interquartile_mean(groups: Groups, sizes: Sequence[int]) -> np.ndarray:
    """The same over each task's runs repeated to the least common multiple of the sizes."""
    common = lcm(*sizes)
    total = common * len(groups)
    cut = total // CUT
    repeats = np.repeat([common // size for size in sizes], sizes)  # [N]
    scores = np.concatenate(groups, axis=-1)
    order = np.argsort(scores, axis=-1)
    ends = np.cumsum(repeats[order], axis=-1)
    inside = np.clip(ends, cut, total - cut)
    kept = np.diff(inside, axis=-1, prepend=cut)
    middle: np.ndarray = (np.take_along_axis(scores, order, axis=-1) * kept).sum(-1) / (total - 2 * cut)
    return middle


def mean(groups: Groups) -> np.ndarray:
    """Mean over tasks of the mean over their runs."""
    return _of_means(groups).mean(-1)


def median(groups: Groups) -> np.ndarray:
    """Median over tasks of the mean over their runs."""
    middle: np.ndarray = np.median(_of_means(groups), axis=-1)
    return middle


def optimality_gap(groups: Groups) -> np.ndarray:
    """How much is missing to a score of 1, on average; runs above 1 do not make up for others."""
    return mean([np.maximum(OPTIMAL - group, 0.0) for group in groups])


def _of_means(groups: Groups) -> np.ndarray:
    """[..., K]"""
    return np.stack([group.mean(-1) for group in groups], axis=-1)


STATISTICS: dict[str, Statistic] = {
    "iqm": interquartile_mean,
    "median": median,
    "mean": mean,
    "optimality_gap": optimality_gap,
}


def aggregate(name: str, groups: Groups) -> dict[str, Interval]:
    """The four of an algorithm called `name`, with intervals; K arrays [n_k] of normalised scores."""
    return intervals(groups, STATISTICS, generator("aggregates", name))
