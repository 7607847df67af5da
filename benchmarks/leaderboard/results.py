"""A results folder as it stands: every cell of its protocol, with what its run has recorded so far.

    <results>/protocol.json
    <results>/cells/<task>/<algorithm>/seed-<n>/cell.json, sacred/…, evaluation/{evaluation.json, episodes.jsonl}

Nothing is written and nothing is locked, so a folder can be read while workers fill it.
"""

import json
import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Iterable, Mapping, Sequence

from benchmarks.leaderboard import protocol as protocols
from benchmarks.leaderboard.cells import run_folder
from benchmarks.leaderboard.processes import in_processes
from benchmarks.leaderboard.protocol import Protocol, Task
from benchmarks.leaderboard.records import NO_TESTS, Record, Test, Tests, read_episodes, read_record
from registry.records import RECORDS

__all__ = [
    "FAILED", "FINISHED", "NOT_RUN", "REFUSED", "RUNNING", "Results", "Run", "Test", "Tests",
    "cell_folder", "read_results",
]  # fmt: skip

PROTOCOL, CELL = "protocol.json", "cell.json"
EVALUATION, EPISODES = "evaluation/evaluation.json", "evaluation/episodes.jsonl"
RUNNING, FINISHED, FAILED, REFUSED = "running", "finished", "failed", "refused"  # what cell.json says
NOT_RUN = "not run"  # there is no cell.json
SCHEMA = 1
MUCH = 200_000_000  # bytes of records that are worth a second process

NO_RESULTS = "{folder}: no {file} is here. Name a results folder (python -m benchmarks.leaderboard run makes one)."
NO_CELL = "{path}: this is not a cell of schema 1 ({why}). Restore the file, or remove the cell's folder."
OUTSIDE = "{path}: its run {run!r} lies outside of the cell. Restore the file."
NO_EVALUATION = "{path}: this is not an evaluation of schema 1 ({why}). Restore the file from a copy."


@dataclass(frozen=True)
class Run:
    """One cell: an algorithm on a task with a seed."""

    task: str
    algorithm: str
    seed: int
    state: str  # RUNNING, FINISHED, FAILED, REFUSED or NOT_RUN
    reason: str | None  # of a failure, a refusal, or why the task cannot be run
    tests: Tests  # a sequence of `Test`: those recorded so far, in rising steps
    absolute: Test | None  # the best model on held-out seeds
    provenance: Mapping[str, Any]  # of the latest start; {} where not recorded
    folder: Path  # of the cell; there may be none yet


@dataclass(frozen=True)
class Results:
    """What is known of a protocol."""

    protocol: Protocol
    runs: tuple[Run, ...]  # every cell, in the protocol's order: tasks, algorithms, seeds
    folder: Path


def cell_folder(results: Path, task: Task, algorithm: str, seed: int) -> Path:
    """Where a cell lies."""
    return results / "cells" / task.folder / algorithm / f"seed-{seed}"


def read_results(folder: str | Path, columns: Iterable[str] | None = None) -> Results:
    """Every cell of a results folder.

    A cell whose record or evaluation is damaged counts as failed, with the reason.

    Args:
        folder: the --results of a leaderboard.
        columns: which values of the episodes to read ("return", "battle_won", …), where there are such; None reads
            all, which takes longer.

    Raises:
        ValueError: no results folder, or a protocol or cell file that cannot be understood; one line.
    """
    folder = Path(folder)
    if not (folder / PROTOCOL).is_file():
        raise ValueError(NO_RESULTS.format(folder=folder, file=PROTOCOL))
    protocol = protocols.load(folder / PROTOCOL)
    cells = [
        _cell(folder, task, algorithm, seed)
        for task in protocol.tasks
        for algorithm in protocol.algorithms
        for seed in protocol.seeds
    ]
    wanted = None if columns is None else tuple(columns)
    return Results(protocol, tuple(_read_all(cells, wanted)), folder)


@dataclass(frozen=True)
class _Cell:
    """What is known of a cell before its record is read; `run` and `reason` are None where there is none."""

    task: str
    algorithm: str
    seed: int
    state: str
    reason: str | None
    folder: Path
    run: Path | None

    @property
    def size(self) -> int:
        """Bytes of the record."""
        try:
            return 0 if self.run is None else os.path.getsize(self.run / RECORDS)
        except OSError:
            return 0


def _cell(results: Path, task: Task, algorithm: str, seed: int) -> _Cell:
    folder = cell_folder(results, task, algorithm, seed)
    path = folder / CELL
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return _Cell(task.key, algorithm, seed, NOT_RUN, protocols.available(task), folder, None)
    except (OSError, ValueError) as error:
        raise ValueError(NO_CELL.format(path=path, why=" ".join(str(error).split()))) from error
    try:
        if said["schema"] != SCHEMA or said["state"] not in (RUNNING, FINISHED, FAILED, REFUSED):
            raise ValueError(f"schema {said['schema']!r}, state {said['state']!r}")
        run, reason = said["run"], said["reason"]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(NO_CELL.format(path=path, why=" ".join(str(error).split()))) from error
    if run is not None and not (folder / run).resolve().is_relative_to(folder.resolve()):
        raise ValueError(OUTSIDE.format(path=path, run=run))
    return _Cell(task.key, algorithm, seed, said["state"], reason, folder, run_folder(folder, said["state"], run))


def _read_all(cells: Sequence[_Cell], columns: tuple[str, ...] | None) -> list[Run]:
    """The runs of the cells; in several processes where there is much to read."""
    is_much = sum(cell.size for cell in cells) >= MUCH
    return in_processes(partial(_read, columns=columns), cells, is_much)


def _read(cell: _Cell, columns: tuple[str, ...] | None) -> Run:
    state, reason, record, absolute = cell.state, cell.reason, Record(NO_TESTS), None
    try:
        if cell.run is not None and (cell.state == FINISHED or (cell.run / RECORDS).is_file()):
            record = read_record(cell.run, columns)
        if (cell.folder / EVALUATION).is_file():
            absolute = _evaluation(cell.folder, columns)
    except ValueError as error:
        state, reason = FAILED, str(error)
    return Run(
        cell.task, cell.algorithm, cell.seed, state, reason, record.tests, absolute, record.provenance, cell.folder
    )


def _evaluation(cell: Path, columns: tuple[str, ...] | None) -> Test:
    """The absolute metric of a cell.

    Raises:
        ValueError: its files are damaged; one line.
    """
    path = cell / EVALUATION
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        step, schema, n = int(said["step"]), said["schema"], said["n"]
        if schema != SCHEMA:
            raise ValueError(f"schema {schema!r}")
        values = read_episodes(cell / EPISODES, columns)
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise ValueError(NO_EVALUATION.format(path=path, why=" ".join(str(error).split()))) from error
    found = {len(column) for column in values.values()}
    if found and found != {n}:
        raise ValueError(NO_EVALUATION.format(path=path, why=f"{n} episodes are said, {found.pop()} are there"))
    return Test(step, None, None, values)
