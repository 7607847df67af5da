"""The cells of a results folder as files of a bundle."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Mapping, Sequence

from benchmarks.leaderboard.bundle.names import EPISODES, EVALUATION, LAST_WEIGHTS, RUN, TESTS, WEIGHTS
from benchmarks.leaderboard.bundle.privacy import Cleaner
from benchmarks.leaderboard.bundle.refusal import Refused
from benchmarks.leaderboard.bundle.schema import check_form
from benchmarks.leaderboard.bundle.strict_json import canonical
from benchmarks.leaderboard.cells import run_folder
from benchmarks.leaderboard.protocol import Protocol, Task
from benchmarks.leaderboard.results import CELL, FINISHED, RUNNING, cell_folder
from registry.provenance import resolved
from registry.records import RECORDS, read_records

__all__ = ["END", "NO_EVALUATION", "NO_RUN", "Cell", "Looked", "Missing", "look", "missing_parts", "pack_run"]

NO_RUN, END, NO_EVALUATION = "run", "end", "evaluation"  # what can be missing
WORDS = {NO_RUN: "not run", END: "not finished", NO_EVALUATION: "not evaluated"}
SCHEMA = 1

BAD_CELL = "{path}: this is not a cell ({why}). Restore the file."
NOT_FINITE = "{run}: the test at step {step} holds a return or metric that is not finite."
UNEVEN = "{run}: the episodes of the test at step {step} do not tell the same values."
BAD_EVALUATION = "{path}: it cannot be read ({why}). Evaluate the run again."
NOT_RECORDED = (
    "{run}: its record tells no provenance (it was written by an older version). Run the cell again."
)


@dataclass(frozen=True, order=True)
class Missing:
    """A part of a seed set that is not there."""

    task: str
    algorithm: str
    seed: int
    what: str

    def __str__(self) -> str:
        return f"{self.task} {self.algorithm} seed {self.seed}: {WORDS[self.what]}"

    def as_dict(self) -> dict[str, Any]:
        """As bundle.json tells it."""
        return dict(vars(self))


@dataclass(frozen=True)
class Cell:
    """One cell that was begun."""

    task: Task
    algorithm: str
    seed: int
    said: Mapping[str, Any]  # cell.json
    folder: Path

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.task.key}, {self.algorithm}, seed {self.seed}"

    @property
    def is_evaluated(self) -> bool:
        """Whether its last evaluation is there."""
        return (self.folder / "evaluation" / WEIGHTS).is_file()


@dataclass(frozen=True)
class Looked:
    """What a results folder offers."""

    cells: tuple[Cell, ...]
    missing: tuple[Missing, ...]
    n_parts: int  # runs that the seed sets should have


def look(results: Path, protocol: Protocol) -> Looked:
    """The cells that were begun, and what their seed sets lack. Pairs of task and algorithm with no cell at all
    are not submitted, and nothing of them is missing.

    Raises:
        Refused: a cell that cannot be read.
    """
    cells: list[Cell] = []
    for task in protocol.tasks:
        for algorithm in protocol.algorithms:
            for seed in protocol.seeds:
                folder = cell_folder(results, task, algorithm, seed)
                if (folder / CELL).is_file():
                    cells.append(Cell(task, algorithm, seed, _read_json(folder / CELL, BAD_CELL), folder))
    there = {
        (cell.task.key, cell.algorithm, cell.seed): (cell.said["state"], cell.is_evaluated) for cell in cells
    }
    pairs = {(task, algorithm) for task, algorithm, _ in there}
    return Looked(tuple(cells), missing_parts(protocol, there), len(pairs) * len(protocol.seeds))


def missing_parts(protocol: Protocol, there: Mapping[tuple[str, str, int], tuple[str, bool]]) -> tuple[Missing, ...]:
    """What lacks so that every pair of task and algorithm that was begun has all seeds of the protocol.

    Args:
        there: (task, algorithm, seed) -> (state, whether it has been evaluated).
    """
    missing = []
    for task, algorithm in sorted({(task, algorithm) for task, algorithm, _ in there}):
        for seed in protocol.seeds:
            state, is_evaluated = there.get((task, algorithm, seed), (None, False))
            if state is None:
                missing.append(Missing(task, algorithm, seed, NO_RUN))
            elif state == RUNNING:
                missing.append(Missing(task, algorithm, seed, END))
            elif state == FINISHED and protocol.absolute_episodes and not is_evaluated:
                missing.append(Missing(task, algorithm, seed, NO_EVALUATION))
    return tuple(sorted(missing))


def pack_run(cell: Cell, cleaner: Cleaner, has_evaluation: bool) -> dict[str, bytes]:
    """The files of one run, by name.

    Raises:
        Refused: its record or evaluation cannot be told in a bundle.
    """
    records = _records(cell)
    about = {
        "schema": SCHEMA,
        "task": cell.task.key,
        "algorithm": cell.algorithm,
        "seed": cell.seed,
        "state": cell.said["state"],
        "reason": None if cell.said["reason"] is None else cleaner.text(cell.said["reason"]),
        "attempts": cell.said["attempts"],
        "started": cell.said["started"],
        "ended": cell.said["ended"],
        "provenance": [cleaner.value(record) for record in records if record["kind"] == "provenance"],
    }
    if cell.said["state"] == FINISHED and not about["provenance"]:
        raise Refused(NOT_RECORDED.format(run=cell.name))
    check_form("run", about, f"{cell.name}, {RUN}")
    files = {RUN: canonical(about)}
    tests = [canonical(_test(record, cell)) for record in records if record["kind"] == "test"]
    if tests:
        files[TESTS] = b"".join(tests)
    folder = cell.folder / "evaluation"
    is_told = cell.said["state"] in (FINISHED, RUNNING)  # a run that failed has no last evaluation
    if has_evaluation and tests and cell.is_evaluated and is_told:
        said = _read_json(folder / "evaluation.json", BAD_EVALUATION)
        files[EVALUATION] = canonical(cleaner.value({**said, "config": resolved(said["config"])}))
        files[EPISODES] = _episodes(folder / EPISODES)
        files[WEIGHTS] = (folder / WEIGHTS).read_bytes()
        if (folder / LAST_WEIGHTS).is_file():  # an evaluation of an older version lacks it
            files[LAST_WEIGHTS] = (folder / LAST_WEIGHTS).read_bytes()
    return files


def _records(cell: Cell) -> Sequence[Mapping[str, Any]]:
    run = run_folder(cell.folder, cell.said["state"], cell.said["run"])
    if run is None or not (run / RECORDS).is_file():
        return []
    try:
        return read_records(run)
    except ValueError as error:
        raise Refused(str(error)) from error


def _test(record: Mapping[str, Any], cell: Cell) -> dict[str, Any]:
    """A test as a line of tests.jsonl."""
    episodes = record["episodes"]
    kinds = list(episodes[0])
    if any(list(episode) != kinds for episode in episodes):
        raise Refused(UNEVEN.format(run=cell.name, step=record["t_env"]))
    columns = {kind: [episode[kind] for episode in episodes] for kind in kinds}
    if any(value != value or abs(value) == float("inf") for column in columns.values() for value in column):
        raise Refused(NOT_FINITE.format(run=cell.name, step=record["t_env"]))
    return {
        "step": record["t_env"], "decisions": record.get("decisions"), "wall_s": record.get("wall_s"),
        "episodes": columns,
    }  # fmt: skip


def _episodes(path: Path) -> bytes:
    try:
        given = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        return b"".join(canonical(episode) for episode in given)
    except (OSError, ValueError) as error:
        raise Refused(BAD_EVALUATION.format(path=path, why=error)) from error


def _read_json(path: Path, sentence: str) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Refused(sentence.format(path=path, why=error)) from error
