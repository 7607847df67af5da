"""Curves with pointwise intervals: returns over steps, performance profiles, interquartile means over steps."""

from typing import NamedTuple, Sequence

import numpy as np

from benchmarks.leaderboard.statistics.aggregates import interquartile_mean
from benchmarks.leaderboard.statistics.bootstrap import Groups, between, check_numbers, draws, generator, weights

__all__ = ["REPLICATES", "Band", "efficiency", "mean_curve", "profile"]

REPLICATES = 2_000


class Band(NamedTuple):
    """A curve [P] with its bounds [P], NaN where there are none."""

    point: np.ndarray
    low: np.ndarray
    high: np.ndarray


def _unbounded(point: np.ndarray) -> Band:
    return Band(point, np.full(len(point), np.nan), np.full(len(point), np.nan))


def mean_curve(values: np.ndarray, names: Sequence[str], replicates: int = REPLICATES) -> tuple[Band, np.ndarray]:
    """Mean over the runs that got there, and how many did.

    Args:
        values: [n, P], NaN where a run has not got to.
        names: of the curve, for its random numbers.
        replicates: R.

    Returns:
        the band, NaN where no run got to, without bounds where one did; and n at each point, [P].
    """
    there = ~np.isnan(values)
    counts = there.sum(0)
    rng = generator("curve", *names)
    point = np.divide(np.where(there, values, 0.0).sum(0), counts, out=np.full(len(counts), np.nan), where=counts > 0)
    band = _unbounded(point)
    patterns, which = np.unique(there, axis=1, return_inverse=True)  # points reached by the same runs go together
    for k in range(patterns.shape[1]):
        runs, at = patterns[:, k], which.reshape(-1) == k
        if runs.sum() > 1:
            drawn = values[runs][:, at].T @ weights(int(runs.sum()), replicates, rng).T  # [points, R]
            band.low[at], band.high[at] = between(drawn)
    return band, counts


def profile(name: str, groups: Groups, taus: np.ndarray, replicates: int = REPLICATES) -> Band:
    """Share of runs whose score is above each of `taus` [P], averaged over tasks; K arrays [n_k].

    Raises:
        ValueError: a score that is not a number; one line.
    """
    check_numbers("performance profile", groups)
    above = [(group[:, None] > taus).astype(np.float64) for group in groups]
    point: np.ndarray = np.mean([each.mean(0) for each in above], axis=0)
    if any(len(group) == 1 for group in groups):
        return _unbounded(point)
    rng = generator("profile", name)
    drawn = sum(each.T @ weights(len(each), replicates, rng).T for each in above) / len(above)
    return Band(point, *between(np.asarray(drawn)))


def efficiency(name: str, curves: Groups, replicates: int = REPLICATES) -> Band:
    """Interquartile mean of the scores at each point; K arrays [n_k, P] without gaps, a run drawn as a whole.

    Raises:
        ValueError: a gap; one line.
    """
    check_numbers("sample efficiency", curves)
    n_points = curves[0].shape[1]
    point = np.array([float(interquartile_mean([curve[:, p] for curve in curves])) for p in range(n_points)])
    if any(len(curve) == 1 for curve in curves):
        return _unbounded(point)
    low, high = np.zeros(n_points), np.zeros(n_points)
    places = list(draws([np.arange(len(curve)) for curve in curves], replicates, generator("efficiency", name)))
    for p in range(n_points):
        found = [
            interquartile_mean([curve[:, p][place] for curve, place in zip(curves, batch)]) for batch in places
        ]
        low[p], high[p] = between(np.concatenate(found))
    return Band(point, low, high)
