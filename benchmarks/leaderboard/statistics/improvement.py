"""How likely a run of one algorithm is to beat a run of another, on average over tasks; a tie counts half."""

from typing import Sequence

import numpy as np

from benchmarks.leaderboard.statistics.bootstrap import Groups, Interval, between, check_numbers, generator, weights

__all__ = ["REPLICATES", "improvement", "wins"]

REPLICATES = 2_000
NOT_PAIRED = "improvement: {x} tasks of one and {y} of the other were given, expected as many. Pass the shared tasks."


def wins(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """[n, m]: 1 where the run of x [n] is above the run of y [m], 0.5 where they tie."""
    above: np.ndarray = (x[:, None] > y) + 0.5 * (x[:, None] == y)
    return above


def improvement(names: Sequence[str], x: Groups, y: Groups, replicates: int = REPLICATES) -> Interval:
    """P(X > Y) of two algorithms called `names` on the same K tasks, arrays [n_k] and [m_k] of any scores.

    Raises:
        ValueError: different numbers of tasks, none, or a score that is not a number; one line.
    """
    if len(x) != len(y) or not x:
        raise ValueError(NOT_PAIRED.format(x=len(x), y=len(y)))
    check_numbers("probability of improvement", [*x, *y])
    tables = [wins(one, other) for one, other in zip(x, y)]
    point = float(np.mean([table.mean() for table in tables]))
    if any(min(table.shape) == 1 for table in tables):
        return Interval(point, None, None)
    rng = generator("improvement", *names)
    drawn = np.zeros(replicates)
    for table in tables:
        n, m = table.shape
        drawn += ((weights(n, replicates, rng) @ table) * weights(m, replicates, rng)).sum(1)
    low, high = between(drawn / len(tables))
    return Interval(point, float(low), float(high))
