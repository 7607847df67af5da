"""What stands in the files of one run of a bundle, read and checked.

    run.json           the cell: task, algorithm, seed, state, reason, and under what circumstances it ran
    tests.jsonl        a line a test: {"step", "decisions", "wall_s", "episodes": {"seed": […], "return": […], …}}
    evaluation.json    the model that was evaluated last, and its configuration
    episodes.jsonl     a line an episode: {"seed", "return", "length", <metrics>, "actions": [[a_1 … a_N] a step]}
    agent.safetensors  its networks
    last.safetensors   the networks after the last step, those of the last test; older results have none

Letters: P tests, n episodes of a test, T steps, N agents.
"""

from dataclasses import dataclass
from typing import Any, Mapping

import numpy as np

from benchmarks.leaderboard.bundle.manifest import Files
from benchmarks.leaderboard.bundle.names import EPISODES, EVALUATION, LAST_WEIGHTS, RUN, TESTS, WEIGHTS
from benchmarks.leaderboard.bundle.refusal import Refused, harmless
from benchmarks.leaderboard.bundle.schema import check_form
from benchmarks.leaderboard.bundle.strict_json import lines

__all__ = ["Episode", "RunFiles", "TestLine", "read_run"]

TEST_NAMES = {"step", "decisions", "wall_s", "episodes"}
BAD_TEST = "{where} line {line}: this is no test ({why})."
BAD_EPISODE = "{where} line {line}: this is no episode ({why})."
RISING = "{where} line {line}: step {step} follows step {before}, expected rising steps."
PARTS = "{folder}: {there} without {lacking}; an evaluation is three files, and belongs to a run that was tested."
COUNT = "{where}: {given} episodes, evaluation.json says {expected}."
MOST_ACTIONS = 2**15
MOST_NAMES = 64
COUNTED = 2**53  # whole numbers below it are exact as float64, and fit int64


@dataclass(frozen=True)
class TestLine:
    """The episodes of one test, as columns."""

    __test__ = False  # no test of pytest's

    step: int
    decisions: int | None
    wall_s: float | None
    seeds: tuple[int, ...] | None  # n; None where the record does not tell
    values: Mapping[str, np.ndarray]  # "return", "length", metrics: float64 [n]


@dataclass(frozen=True)
class Episode:
    """One episode of the last evaluation, with everything that was done in it."""

    seed: int
    values: Mapping[str, float]  # "return", "length", metrics
    actions: np.ndarray  # int64 [T, N]


@dataclass(frozen=True)
class RunFiles:
    """One run of a bundle."""

    folder: str
    run: Mapping[str, Any]  # run.json
    tests: tuple[TestLine, ...]
    evaluation: Mapping[str, Any] | None  # evaluation.json
    episodes: tuple[Episode, ...]
    has_last: bool = False  # whether the networks of the last test are there

    @property
    def name(self) -> str:
        """For people."""
        return harmless(f"{self.run['task']}, {self.run['algorithm']}, seed {self.run['seed']}")

    @property
    def cell(self) -> tuple[str, str, int]:
        """Task, algorithm, seed."""
        return self.run["task"], self.run["algorithm"], self.run["seed"]


def read_run(files: Files, folder: str) -> RunFiles:
    """Everything of one run but its weights.

    Raises:
        Refused: a file that is not what it should be; its line.
    """
    run = files.json(f"{folder}/{RUN}")
    check_form("run", run, f"{folder}/{RUN}")
    tests = _read_tests(files, f"{folder}/{TESTS}")
    parts = {name: f"{folder}/{name}" in files for name in (EVALUATION, EPISODES, WEIGHTS)}
    has_last = f"{folder}/{LAST_WEIGHTS}" in files
    if (has_last or any(parts.values())) and not (all(parts.values()) and tests):
        there = ", ".join(name for name, is_there in [*parts.items(), (LAST_WEIGHTS, has_last)] if is_there)
        lacking = ", ".join(name for name, is_there in parts.items() if not is_there) or TESTS
        raise Refused(PARTS.format(folder=folder, there=there, lacking=lacking))
    if not all(parts.values()):
        return RunFiles(folder, run, tests, None, ())
    evaluation = files.json(f"{folder}/{EVALUATION}")
    check_form("evaluation", evaluation, f"{folder}/{EVALUATION}")
    episodes = _read_episodes(files, f"{folder}/{EPISODES}")
    if len(episodes) != evaluation["n"]:
        raise Refused(COUNT.format(where=f"{folder}/{EPISODES}", given=len(episodes), expected=evaluation["n"]))
    return RunFiles(folder, run, tests, evaluation, episodes, has_last)


def _read_tests(files: Files, where: str) -> tuple[TestLine, ...]:
    if where not in files:
        return ()
    tests: list[TestLine] = []
    for number, given in enumerate(lines(files.read(where), where, files.limits), start=1):
        why = _why_no_test(given)
        if why is not None:
            raise Refused(BAD_TEST.format(where=where, line=number, why=harmless(why)))
        if tests and given["step"] <= tests[-1].step:
            raise Refused(RISING.format(where=where, line=number, step=given["step"], before=tests[-1].step))
        seeds = given["episodes"].get("seed")
        values = {name: np.array(column, np.float64) for name, column in given["episodes"].items() if name != "seed"}
        seconds = None if given["wall_s"] is None else float(given["wall_s"])
        tests.append(
            TestLine(given["step"], given["decisions"], seconds, None if seeds is None else tuple(seeds), values)
        )
    return tuple(tests)


def _is_whole(value: Any, below: int = 2**64) -> bool:
    return type(value) is int and 0 <= value < below


def _is_number(value: Any) -> bool:
    return type(value) is float or (type(value) is int and abs(value) <= 2**53)


def _why_no_test(given: Any) -> str | None:
    if not isinstance(given, dict) or set(given) != TEST_NAMES:
        return f"expected exactly {', '.join(sorted(TEST_NAMES))}"
    if not _is_whole(given["step"], COUNTED):
        return f"step={given['step']!r}, expected a whole number below 2**53"
    if given["decisions"] is not None and not _is_whole(given["decisions"], COUNTED):
        return f"decisions={given['decisions']!r}, expected a whole number below 2**53, or null"
    if given["wall_s"] is not None and not (_is_number(given["wall_s"]) and given["wall_s"] >= 0):
        return f"wall_s={given['wall_s']!r}, expected seconds or null"
    columns = given["episodes"]
    if not isinstance(columns, dict) or not {"return", "length"} <= set(columns) or len(columns) > MOST_NAMES:
        return "its episodes need columns return and length"
    if not all(isinstance(column, list) for column in columns.values()):
        return "every column of its episodes is a list"
    if len({len(column) for column in columns.values()}) != 1 or not columns["return"]:
        return "its columns are of different lengths, or empty"
    for name, column in columns.items():
        is_right = _is_whole if name == "seed" else _is_number
        if not all(map(is_right, column)):
            return f"a value of {name!r} is not a number"
    return None


def _read_episodes(files: Files, where: str) -> tuple[Episode, ...]:
    episodes = []
    for number, given in enumerate(lines(files.read(where), where, files.limits), start=1):
        why = _why_no_episode(given)
        if why is not None:
            raise Refused(BAD_EPISODE.format(where=where, line=number, why=harmless(why)))
        values = {name: float(value) for name, value in given.items() if name not in ("seed", "actions")}
        episodes.append(Episode(given["seed"], values, np.array(given["actions"], np.int64)))
    return tuple(episodes)


def _why_no_episode(given: Any) -> str | None:
    if not isinstance(given, dict) or not {"seed", "return", "length", "actions"} <= set(given):
        return "expected seed, return, length and actions"
    if not _is_whole(given["seed"]):
        return f"seed={given['seed']!r}, expected a whole number"
    for name, value in given.items():
        if name not in ("seed", "actions") and not _is_number(value):
            return f"{name}={value!r} is not a number"
    actions = given["actions"]
    if not isinstance(actions, list) or not actions or not all(isinstance(row, list) for row in actions):
        return "actions are a list of the agents' actions at every step"
    if len({len(row) for row in actions}) != 1 or not actions[0]:
        return "some steps have more actions than others"
    if not all(type(action) is int and 0 <= action < MOST_ACTIONS for row in actions for action in row):
        return "an action is not a whole number"
    if given["length"] != len(actions):
        return f"length={given['length']!r}, but {len(actions)} steps of actions"
    return None
