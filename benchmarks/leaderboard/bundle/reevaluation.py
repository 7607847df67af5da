"""Tier 4: the networks, played again, do what was recorded; on fresh episodes they are as good.

a. On the recorded seeds, actions and values are those recorded. Networks are evaluated in double precision, so that
   only ties between actions below about 1e-12 can fall out differently on another machine: one episode in a hundred
   may.
b. On fresh episodes, drawn by whoever verifies, the mean return is compatible with the recorded one: permutation test
   of the difference of the two means (Pitman, Journal of the Royal Statistical Society Supplement 4, 1937), exact for
   any distribution of returns, at level ERROR / number of runs (Bonferroni). So a bundle whose numbers are right is
   refused with probability at most ERROR.
c. The tests that claims are made from come out as recorded (`retesting`).
d. On the fresh episodes, which are the same for all networks of a task, no two runs' networks act alike (`duplicates`).
   What they do there is kept, so that a board can compare the networks of a later bundle (`strangers`).
"""

import secrets
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil, sqrt
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Iterator, Sequence

import numpy as np

from async_envs.core.seeding import HELD_OUT, episode_seed
from benchmarks.leaderboard.bundle.contents import RunFiles
from benchmarks.leaderboard.bundle.duplicates import Played, alike, played_by, players_told
from benchmarks.leaderboard.bundle.manifest import Files
from benchmarks.leaderboard.bundle.names import WEIGHTS
from benchmarks.leaderboard.bundle.reading import About
from benchmarks.leaderboard.bundle.refusal import Refused
from benchmarks.leaderboard.bundle.replaying import Teller, evaluated_runs
from benchmarks.leaderboard.bundle.retesting import TIES, NotProven, Retests
from benchmarks.leaderboard.bundle.weights import read_weights

if TYPE_CHECKING:
    from plugins.runners.playing import Episode

__all__ = ["ERROR", "HeldOut", "compatible", "evaluate_again", "fresh_seed", "fresh_seeds", "playable"]

ERROR = 0.01  # probability that a bundle whose numbers are right is refused by (b), over all its runs
FEWEST = 100  # fresh episodes, where fewer were recorded
OBVIOUS = 2.0  # standard errors up to which two means need no test: p is far above any level used
AT_ONCE = 2_000_000  # numbers permuted together
POWER = 0.9

NOT_PLAYED = "{run}: its networks cannot be played: {error}"
NOT_THE_SAME = (
    "{run}: {n} of {of} episodes are played differently by its networks (the first has the seed {seed}); these are not "
    "the networks that were evaluated."
)
NOT_AS_GOOD = (
    "{run}: mean return {given:.4g} as recorded, {found:.4g} on {n} fresh episodes: not by chance (permutation test, "
    "p = {p:.2g}, level {level:.2g})."
)


@dataclass(frozen=True)
class HeldOut:
    """The comparison of one run's recorded episodes with fresh ones."""

    run: str
    given: float  # mean return as recorded
    found: float  # mean return of the fresh episodes
    n: int  # fresh episodes
    p: float  # of the permutation test; 1.0 where the means are within OBVIOUS standard errors


def fresh_seed() -> int:
    """A seed that nobody could know when the bundle was made."""
    return secrets.randbits(32)


def fresh_seeds(seed: int, task: str, n: int) -> list[int]:
    """Seeds of a task's first `n` fresh episodes."""
    return [episode_seed(seed, f"{HELD_OUT}/{task}", k) for k in range(n)]


def evaluate_again(
    files: Files, about: About, n_runs: int, seed: int, tell: Teller, players: list[Played]
) -> tuple[str, ...]:
    """All parts of tier 4.

    Args:
        n_runs: runs with an evaluation.
        seed: of the fresh episodes.
        players: what each run's networks do on them is added here.

    Raises:
        Refused: networks that do not fit, that act differently, that are not as good on fresh episodes, that get other
            returns in the tests, or that are another run's.
        NotProven: none of these, but the networks of some last tests are not there.
    """
    from registry import evaluation

    found, tests = _Found(n_runs, np.random.default_rng(seed)), Retests()
    for run in evaluated_runs(files, about):
        assert run.evaluation is not None
        where = f"{run.folder}/{WEIGHTS}"
        tensors, config = read_weights(files.read(where), where, files.limits), run.evaluation["config"]
        n = max(len(run.episodes), FEWEST)
        fresh = fresh_seeds(seed, run.run["task"], n)
        with playable(run):
            again = evaluation.evaluate(config, tensors, [each.seed for each in run.episodes])
            held_out = evaluation.evaluate(config, tensors, fresh)
        found.add(run, again, held_out)
        with playable(run):
            tests.add(files, run, tensors)
        players.append(played_by(run, [each.actions for each in held_out]))
        tell(f"networks played again: {run.name}")
    Refused.unless_empty(alike(players))
    lines = (*found.told(seed), tests.told(), f"d: {players_told(players)}")
    unproven = tests.unproven_told()
    if unproven is not None:
        raise NotProven((*lines, unproven))
    return lines


@contextmanager
def playable(run: RunFiles) -> Iterator[None]:
    """Turns what networks that do not fit raise into a refusal."""
    try:
        yield
    except Refused:
        raise
    except (ValueError, KeyError, TypeError, RuntimeError, FloatingPointError) as error:
        raise Refused(NOT_PLAYED.format(run=run.name, error=error)) from error


class _Found:
    """What (a) and (b) have found so far.

    Args:
        n_runs: runs with an evaluation.
        rng: of the permutations.
    """

    def __init__(self, n_runs: int, rng: np.random.Generator):
        self._n_runs, self._rng, self._level = n_runs, rng, ERROR / n_runs
        self._n_same = self._n_ties = self._n_fresh = 0
        self._smallest, self._furthest = 1.0, 0.0

    def add(self, run: RunFiles, again: Sequence["Episode"], held_out: Sequence["Episode"]) -> None:
        """Compare a run's recorded episodes with the same ones, and with fresh ones, as its networks play them.

        Raises:
            Refused: they act differently, or are not as good.
        """
        others = [
            one.seed for one, other in zip(run.episodes, again, strict=True)
            if not np.array_equal(one.actions, other.actions) or dict(one.values) != dict(other.values)
        ]  # fmt: skip
        if len(others) > TIES * len(run.episodes):
            raise Refused(NOT_THE_SAME.format(run=run.name, n=len(others), of=len(run.episodes), seed=others[0]))
        given, fresh = (np.array([each.values["return"] for each in part]) for part in (run.episodes, held_out))
        found = compatible(run.name, given, fresh, self._level, self._rng)
        if found.p < self._level:
            raise Refused(NOT_AS_GOOD.format(level=self._level, **vars(found)))
        self._n_same += len(again) - len(others)
        self._n_ties += len(others)
        self._n_fresh += found.n
        self._smallest = min(self._smallest, found.p)
        self._furthest = max(self._furthest, noticeable(given, found.n, self._level))

    def told(self, seed: int) -> tuple[str, str]:
        """What was found, in words."""
        ties = f" ({self._n_ties} differ by ties)" if self._n_ties else ""
        least = f"{self._smallest:.2g}" if self._smallest < 1 else "not small"
        return (
            f"a: {self._n_same:,} recorded episodes of {self._n_runs} runs: the same actions and values{ties}",
            f"b: {self._n_fresh:,} fresh episodes (seed {seed}): mean returns compatible; permutation test, level "
            f"{ERROR:g} / {self._n_runs} runs, smallest p {least}; a right bundle is refused with probability at most "
            f"{ERROR:g}; means {self._furthest:.3g} apart are noticed with probability {POWER:g}",
        )


def compatible(run: str, given: np.ndarray, fresh: np.ndarray, level: float, rng: np.random.Generator) -> HeldOut:
    """Compare two samples of returns, [n] and [m] float64.

    Returns:
        the comparison; its p is that of a two-sided permutation test with at least 2 / level permutations.
    """
    n, m = len(given), len(fresh)
    means = float(given.mean()), float(fresh.mean())
    distance = abs(means[0] - means[1])
    error = sqrt(given.var(ddof=min(1, n - 1)) / n + fresh.var(ddof=min(1, m - 1)) / m)
    if distance <= 1e-12 * max(1.0, abs(means[0])) or distance < OBVIOUS * error:
        return HeldOut(run, *means, m, 1.0)
    pooled = np.concatenate([given, fresh])
    wanted = ceil(2 / level)
    n_beyond = n_drawn = 0
    while n_drawn < wanted:
        rows = min(wanted - n_drawn, max(1, AT_ONCE // len(pooled)))
        shuffled = rng.permuted(np.broadcast_to(pooled, (rows, len(pooled))), axis=1)
        distances = np.abs(shuffled[:, :n].mean(1) - shuffled[:, n:].mean(1))
        n_beyond += int((distances >= distance * (1 - 1e-12)).sum())
        n_drawn += rows
    return HeldOut(run, *means, m, (1 + n_beyond) / (1 + n_drawn))


def noticeable(given: np.ndarray, m: int, level: float) -> float:
    """The difference of means that the test finds with probability POWER, by the normal approximation."""
    n = len(given)
    error = sqrt(float(given.var(ddof=min(1, n - 1))) * (1 / n + 1 / m))
    normal: Any = NormalDist()
    return float((normal.inv_cdf(1 - level / 2) + normal.inv_cdf(POWER)) * error)
