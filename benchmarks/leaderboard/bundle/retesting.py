"""Tier 4, of the tests that claims are made from: the networks of their steps play them again.

These are a run's best test, which chose the model that was evaluated, and its last one, which ranks and scores are
made from. Training tests in single precision, so a tie between two actions may have fallen out otherwise: one episode
of a test may differ (or one in a hundred), one in a hundred of all in the bundle, and each only to values that other
episodes of that test have.
"""

from dataclasses import dataclass
from typing import Any, Mapping

import numpy as np

from benchmarks.leaderboard.bundle.contents import RunFiles, TestLine
from benchmarks.leaderboard.bundle.manifest import Files
from benchmarks.leaderboard.bundle.names import LAST_WEIGHTS
from benchmarks.leaderboard.bundle.refusal import Refused, harmless
from benchmarks.leaderboard.bundle.weights import read_weights
from benchmarks.leaderboard.results import FINISHED

__all__ = ["NotProven", "Retests", "TIES"]

TIES = 0.01  # share of episodes that ties may change

NOT_SO = (
    "{run}: {n} of {of} episodes of the test at step {step} come out otherwise when its networks play them again "
    "(seed {seed}: {name} is {given:.6g} as recorded, {found:.6g} as played). It was not played so, or by other "
    "networks."
)
MANY = "{n} of {of} episodes of tests come out otherwise when their networks play them again, expected at most {most}."
UNPROVEN = (
    "last test not proven: {n} of {of} runs lack last.safetensors, the networks of their last test (the first: {run}), "
    "as evaluations of older versions do. Run their cells again to reach tier 4."
)
PROVEN = "c: {n:,} episodes of {n_tests} tests, {which} of {n_runs} runs: the same values{ties}"
BOTH, SOME = "the best and the last", "the best and some of the last"


class NotProven(Exception):
    """Nothing is wrong, but something cannot be shown.

    Attributes:
        found: what was, in words, and what was not.
    """

    def __init__(self, found: tuple[str, ...]):
        self.found = found
        super().__init__(" ".join(found))


@dataclass
class Retests:
    """The tests played again so far."""

    n_runs: int = 0
    n_tests: int = 0
    n_episodes: int = 0
    n_others: int = 0  # episodes that came out otherwise
    unproven: tuple[str, ...] = ()  # runs whose last test could not be played again

    def add(self, files: Files, run: RunFiles, best: Mapping[str, Any]) -> None:
        """Play the best and the last test of a run again.

        Args:
            best: parameters of its best networks, those of agent.safetensors.

        Raises:
            Refused: the networks get something else than was recorded.
            ValueError: networks that cannot be played; one line.
        """
        assert run.evaluation is not None
        self.n_runs += 1
        chosen, last = run.evaluation["step"], run.tests[-1]
        for test in run.tests:
            if test.step == chosen:
                self._play(run, test, best)
        if run.has_last:
            where = f"{run.folder}/{LAST_WEIGHTS}"
            self._play(run, last, read_weights(files.read(where), where, files.limits))
        elif run.run["state"] == FINISHED and last.step != chosen:
            self.unproven += (run.name,)

    def _play(self, run: RunFiles, test: TestLine, tensors: Mapping[str, Any]) -> None:
        from registry import evaluation

        assert run.evaluation is not None and test.seeds is not None  # tier 1 has compared the seeds
        played = evaluation.evaluate(run.evaluation["config"], tensors, test.seeds)
        self.n_others += n_otherwise(run.name, test, [each.values for each in played])
        self.n_tests, self.n_episodes = self.n_tests + 1, self.n_episodes + len(played)

    def told(self) -> str:
        """What was found, in words.

        Raises:
            Refused: more episodes of the whole bundle came out otherwise than ties explain.
        """
        most = int(TIES * self.n_episodes)
        if self.n_others > most:
            raise Refused(MANY.format(n=self.n_others, of=self.n_episodes, most=most))
        ties = f" ({self.n_others} differ by ties)" if self.n_others else ""
        which = SOME if self.unproven else BOTH
        return PROVEN.format(n=self.n_episodes, n_tests=self.n_tests, n_runs=self.n_runs, which=which, ties=ties)

    def unproven_told(self) -> str | None:
        """Which runs' last tests could not be played again, in words; None if all could."""
        if not self.unproven:
            return None
        return UNPROVEN.format(n=len(self.unproven), of=self.n_runs, run=self.unproven[0])


def n_otherwise(run: str, test: TestLine, played: list[dict[str, Any]]) -> int:
    """How many episodes of a test are recorded otherwise than they were played again.

    Args:
        played: the values of each of its n episodes.

    Raises:
        Refused: too many, or one with a value that no episode of the test has reached.
    """
    given = np.stack(list(test.values.values()))  # [values, n]
    found = np.array([[each.get(name, np.nan) for each in played] for name in test.values], np.float64)
    differs = given != found
    is_reached = (found.min(1, keepdims=True) <= given) & (given <= found.max(1, keepdims=True))
    n = int(differs.any(0).sum())
    is_beyond = differs & ~is_reached
    if n > max(1, TIES * len(played)) or is_beyond.any():
        name, k = np.argwhere(is_beyond if is_beyond.any() else differs)[0]
        assert test.seeds is not None
        raise Refused(NOT_SO.format(
            run=run, n=n, of=len(played), step=test.step, seed=test.seeds[k],
            name=harmless(list(test.values)[name], 60),
            given=given[name, k], found=found[name, k],
        ))  # fmt: skip
    return n
