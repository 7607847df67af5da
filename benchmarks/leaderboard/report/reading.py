"""Runs as numbers: their last tests, their curves read at common steps."""

import math
from typing import Sequence

import numpy as np

from benchmarks.leaderboard.results import FINISHED, Run
from benchmarks.leaderboard.statistics.curves import Band

__all__ = ["band_of", "finals", "grid_of", "listed", "read_at"]

POINTS = 200  # of a curve at most


def finals(runs: Sequence[Run], metric: str = "return") -> np.ndarray:
    """[n]: mean of a metric over the episodes of each run's last test; runs without it are left out."""
    last = [run.tests[-1].values[metric].mean() for run in runs if len(run.tests) and metric in run.tests[-1].values]
    return np.array(last, np.float64)


def grid_of(t_max: int, interval: int, most: int = POINTS) -> np.ndarray:
    """Steps that curves are read at: 0, multiples of a multiple of `interval`, t_max; at most `most` + 2."""
    every = interval * max(1, math.ceil(t_max / interval / most))
    return np.append(np.arange(0, t_max, every, dtype=np.float64), float(t_max))


def read_at(run: Run, grid: np.ndarray, interval: int) -> np.ndarray:
    """[P]: a run's mean test return at the steps of the grid, NaN where it has not got to.

    Before the first test, if that is within one interval, and behind a finished run's last one: that test.
    """
    if not len(run.tests) or "return" not in run.tests[-1].values:
        return np.full(len(grid), np.nan)
    steps, means = run.tests.steps, run.tests.means("return")
    values: np.ndarray = np.interp(grid, steps, means)
    values[grid < steps[0] - interval] = np.nan
    if run.state != FINISHED:
        values[grid > steps[-1]] = np.nan
    return values


def listed(values: np.ndarray) -> list[float | None]:
    """Numbers for JSON, null where there is none."""
    return [float(value) if math.isfinite(value) else None for value in values]


def band_of(band: Band) -> dict[str, list[float | None]]:
    """A band for JSON."""
    return {name: listed(values) for name, values in zip(("point", "low", "high"), band)}
