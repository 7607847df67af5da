"""Percentile intervals by stratified bootstrap: runs are drawn anew, with replacement, within each task.

The seed is fixed and each use draws from a stream of its own name, so that a report can be made again to the last
digit, and an algorithm more in the table moves nobody else's interval.
"""

import hashlib
from typing import Callable, Iterator, Mapping, NamedTuple, Sequence

import numpy as np

__all__ = [
    "Interval", "LEVEL", "REPLICATES", "between", "check_numbers", "draws", "generator", "intervals", "mean_interval",
    "weights",
]  # fmt: skip

LEVEL = 0.95
REPLICATES = 50_000
AT_ONCE = 4_000_000  # numbers in memory at once, whatever the sizes
SEED = 20_240_803

NOTHING = "bootstrap: {given} was given, expected at least one run of each task. Leave out tasks without runs."

NO_NUMBER = "{where}: {n} of {total} scores are not a number (nan), expected none. Leave out the runs without a score."

Groups = Sequence[np.ndarray]  # K arrays [..., n_k]: scores of the runs of each task
Statistic = Callable[[Groups], np.ndarray]  # K arrays [..., n_k] -> [...]


class Interval(NamedTuple):
    """A number and what it may as well be; no bounds where a task has one run only."""

    point: float
    low: float | None
    high: float | None

    @property
    def is_known(self) -> bool:
        """Whether there are bounds."""
        return self.low is not None


def check_numbers(where: str, groups: Groups) -> None:
    """Refuse scores that are not a number: sorted, they would stand above the best; compared, below the worst.

    Args:
        where: which statistic they are for.
        groups: K arrays of any shapes.

    Raises:
        ValueError: there are some; one line.
    """
    if any(np.isnan(group.max()) for group in groups if group.size):  # a maximum with a nan is nan
        n = sum(int(np.isnan(group).sum()) for group in groups)
        raise ValueError(NO_NUMBER.format(where=where, n=n, total=sum(group.size for group in groups)))


def generator(*names: str | int, seed: int = SEED) -> np.random.Generator:
    """Random numbers of a use that `names` name."""
    words = hashlib.blake2b("/".join(map(str, names)).encode(), digest_size=16).digest()
    return np.random.default_rng([seed, *np.frombuffer(words, np.uint32).tolist()])


def draws(groups: Groups, replicates: int, rng: np.random.Generator) -> Iterator[list[np.ndarray]]:
    """Batches of replicates: K arrays [batch, n_k] of scores drawn with replacement; `replicates` in all."""
    batch = max(1, AT_ONCE // sum(len(group) for group in groups))
    for begin in range(0, replicates, batch):
        size = min(batch, replicates - begin)
        yield [group[rng.integers(len(group), size=(size, len(group)))] for group in groups]


def weights(n: int, replicates: int, rng: np.random.Generator) -> np.ndarray:
    """[R, n] float64: how often each of n runs was drawn in each replicate, divided by n."""
    return rng.multinomial(n, np.full(n, 1.0 / n), size=replicates) / n


def between(values: np.ndarray, level: float = LEVEL) -> tuple[np.ndarray, np.ndarray]:
    """Bounds that hold the middle `level` of the last axis, [...] each."""
    tail = (1.0 - level) / 2
    low, high = np.quantile(values, [tail, 1.0 - tail], axis=-1)
    return low, high


def intervals(
    groups: Groups,
    statistics: Mapping[str, Statistic],
    rng: np.random.Generator,
    replicates: int = REPLICATES,
    level: float = LEVEL,
) -> dict[str, Interval]:
    """Several statistics of the same runs, with intervals from the same replicates.

    Args:
        groups: K arrays [n_k] of scores, a task each.
        statistics: name -> function of K arrays [..., n_k].
        rng: from `generator`.
        replicates: R.
        level: share of the replicates within the interval.

    Raises:
        ValueError: no task, a task without runs, or a score that is not a number; one line.
    """
    groups = [np.asarray(group, np.float64) for group in groups]
    if not groups or any(group.ndim != 1 or not len(group) for group in groups):
        raise ValueError(NOTHING.format(given=[group.shape for group in groups]))
    check_numbers("bootstrap", groups)
    points = {name: float(statistic(groups)) for name, statistic in statistics.items()}
    if any(len(group) == 1 for group in groups):
        return {name: Interval(point, None, None) for name, point in points.items()}
    found: dict[str, list[np.ndarray]] = {name: [] for name in statistics}
    for drawn in draws(groups, replicates, rng):
        for name, statistic in statistics.items():
            found[name].append(statistic(drawn))
    bounds = {name: between(np.concatenate(values), level) for name, values in found.items()}
    return {name: Interval(points[name], float(low), float(high)) for name, (low, high) in bounds.items()}


def mean_interval(values: np.ndarray, rng: np.random.Generator, replicates: int = REPLICATES) -> Interval:
    """The mean of n runs of one task, values [n]."""
    return intervals([values], {"mean": lambda groups: groups[0].mean(-1)}, rng, replicates)["mean"]
