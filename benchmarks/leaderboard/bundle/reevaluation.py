"""Tier 4: the networks, played greedily again, do what was recorded; on fresh episodes they are as good.

a. On the recorded seeds, actions and values are those recorded. Networks are evaluated in double precision, so that
   only ties between actions below about 1e-12 can fall out differently on another machine: one episode in a hundred
   may.
b. On fresh episodes, drawn by whoever verifies, the mean return is compatible with the recorded one: permutation test
   of the difference of the two means (Pitman, Journal of the Royal Statistical Society Supplement 4, 1937), exact for
   any distribution of returns, at level ERROR / number of runs (Bonferroni). So a bundle whose numbers are right is
   refused with probability at most ERROR.
"""

import secrets
from dataclasses import dataclass
from math import ceil, sqrt
from statistics import NormalDist
from typing import Any

import numpy as np

from async_envs.core.seeding import HELD_OUT, episode_seed
from benchmarks.leaderboard.bundle.manifest import Files
from benchmarks.leaderboard.bundle.names import WEIGHTS
from benchmarks.leaderboard.bundle.reading import About
from benchmarks.leaderboard.bundle.refusal import Refused
from benchmarks.leaderboard.bundle.replaying import Teller, evaluated_runs
from benchmarks.leaderboard.bundle.weights import read_weights

__all__ = ["ERROR", "HeldOut", "compatible", "evaluate_again", "fresh_seed"]

ERROR = 0.01  # probability that a bundle whose numbers are right is refused by (b), over all its runs
TIES = 0.01  # share of episodes that ties may change
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


def evaluate_again(files: Files, about: About, n_runs: int, seed: int, tell: Teller) -> tuple[str, ...]:
    """Both parts of tier 4.

    Args:
        n_runs: runs with an evaluation.
        seed: of the fresh episodes.

    Raises:
        Refused: networks that do not fit, that act differently, or that are not as good on fresh episodes.
    """
    from registry import evaluation

    level = ERROR / n_runs
    rng = np.random.default_rng(seed)
    n_same = n_ties = n_fresh = 0
    smallest, furthest = 1.0, 0.0
    for number, run in enumerate(evaluated_runs(files, about)):
        assert run.evaluation is not None
        where = f"{run.folder}/{WEIGHTS}"
        tensors, config = read_weights(files.read(where), where, files.limits), run.evaluation["config"]
        n = max(len(run.episodes), FEWEST)
        fresh = [episode_seed(seed, f"{HELD_OUT}/{number}", k) for k in range(n)]
        try:
            again = evaluation.evaluate(config, tensors, [each.seed for each in run.episodes])
            held_out = evaluation.evaluate(config, tensors, fresh)
        except (ValueError, KeyError, TypeError, RuntimeError, FloatingPointError) as error:
            raise Refused(NOT_PLAYED.format(run=run.name, error=error)) from error
        others = [
            one.seed for one, other in zip(run.episodes, again, strict=True)
            if not np.array_equal(one.actions, other.actions) or dict(one.values) != dict(other.values)
        ]  # fmt: skip
        if len(others) > TIES * len(run.episodes):
            raise Refused(NOT_THE_SAME.format(run=run.name, n=len(others), of=len(run.episodes), seed=others[0]))
        given = np.array([each.values["return"] for each in run.episodes])
        found = compatible(run.name, given, np.array([each.values["return"] for each in held_out]), level, rng)
        if found.p < level:
            raise Refused(NOT_AS_GOOD.format(level=level, **vars(found)))
        n_same, n_ties, n_fresh = n_same + len(again) - len(others), n_ties + len(others), n_fresh + n
        smallest, furthest = min(smallest, found.p), max(furthest, noticeable(given, n, level))
        tell(f"networks played again: {run.name}")
    ties = f" ({n_ties} differ by ties)" if n_ties else ""
    least = f"{smallest:.2g}" if smallest < 1 else "not small"
    return (
        f"a: {n_same:,} recorded episodes of {n_runs} runs: the same actions and values{ties}",
        f"b: {n_fresh:,} fresh episodes (seed {seed}): mean returns compatible; permutation test, level "
        f"{ERROR:g} / {n_runs} runs, smallest p {least}; a right bundle is refused with probability at most {ERROR:g}; "
        f"means {furthest:.3g} apart are noticed with probability {POWER:g}",
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
