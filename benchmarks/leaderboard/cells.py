"""The cells of a results folder: one task, one algorithm, one seed; where each lies, and how far it is.

What became of a cell stands in its `cell.json`, written whole or not at all. No file: it was never begun.
"""

import json
import os
import re
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Mapping, Sequence

from async_envs.core.errors import unknown_name
from benchmarks.leaderboard.protocol import Protocol, Task, available, title
from epymarl_lite.utils.files import write_file
from registry.config import folder_name
from registry.records import RECORDS

__all__ = [
    "ALL", "Book", "Cell", "Chosen", "ENDED", "FAILED", "FINISHED", "NOT_RUN", "REFUSED", "RUNNING", "cells_of",
    "choose", "last_step", "newest_run", "read_book", "run_folder", "write_book",
]  # fmt: skip

NOT_RUN, RUNNING, FINISHED, FAILED, REFUSED = "not run", "running", "finished", "failed", "refused"
STATES = (RUNNING, FINISHED, FAILED, REFUSED)  # that cell.json may say
ENDED = (FINISHED, FAILED, REFUSED)  # those that no worker takes
SCHEMA = 1
BOOK, CLAIM, OUTPUT, EVALUATION = "cell.json", "claim.lock", "output.txt", "evaluation"
ROOT = Path(__file__).resolve().parents[2]
TAIL_BYTES = 65_536  # of a record: a test of hundreds of episodes is one line

DAMAGED = (
    "{path}: this file does not say what became of the cell ({why}). Restore it, or delete it and run again."
)
_STEP = re.compile(rb'"t_env": (\d+)')


@dataclass(frozen=True)
class Chosen:
    """The part of a protocol that is asked for; an empty tuple stands for all."""

    algorithms: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()  # keys
    seeds: tuple[int, ...] = ()


ALL = Chosen()


@dataclass(frozen=True)
class Cell:
    """One run that a protocol asks for."""

    task: Task
    algorithm: str
    seed: int
    folder: Path  # of everything about it
    settings: Mapping[str, Any]  # dotted configuration names and values, all that the protocol decides

    @property
    def name(self) -> str:
        """For people."""
        return f"{title(self.task)} {self.algorithm} seed {self.seed}"

    def run(self) -> Path | None:
        """The folder of its run; None if none was begun that could go on."""
        return newest_run(self.folder)

    def command(self) -> list[str]:
        """What begins its training, or goes on with it, as a process."""
        run = self.run()
        if run is not None:
            return [sys.executable, "-m", "registry", "resume", str(run)]
        words = [f"{name}={value}" for name, value in self.settings.items()]
        words += [f"local_results_path={self.folder}", "progress=False"]
        return [sys.executable, str(ROOT / "src" / "main.py"), f"--config={self.algorithm}", "with", *words]


@dataclass(frozen=True)
class Book:
    """What `cell.json` says."""

    task: str
    algorithm: str
    seed: int
    state: str
    reason: str | None = None  # of a failure or a refusal
    attempts: int = 0  # how often a worker began or went on with it
    run: str | None = None  # folder of the run, below the cell's
    worker: str = ""
    started: float = 0.0  # unix seconds; for people only, nothing is decided by a clock
    ended: float | None = None
    schema: int = SCHEMA

    def but(self, **changes: Any) -> "Book":
        """The same with changes."""
        return replace(self, **changes)


def newest_run(folder: Path) -> Path | None:
    """The latest run in a cell's folder; None if none was begun that could go on."""
    runs = [path.parent for path in folder.glob(f"sacred/*/*/*/{RECORDS}") if path.parent.name.isdigit()]
    runs = [run for run in runs if (run / "config.json").is_file() and (run / "run.json").is_file()]
    return max(runs, key=lambda run: int(run.name), default=None)


def run_folder(folder: Path, state: str, said: str | None) -> Path | None:
    """Where a cell's run lies, by its `cell.json`; None if there is none.

    The file names it when an attempt has ended: during the first one, and after a kill in it, the latest run is it.

    Args:
        folder: of the cell.
        state: of the cell.
        said: the run that the file names.
    """
    if said is not None:
        return folder / said
    return newest_run(folder) if state == RUNNING else None


def cells_of(protocol: Protocol, results: Path, chosen: Chosen = ALL) -> list[Cell]:
    """The cells that can be run, seed by seed: after each seed the whole table has one run more.

    Tasks whose family is not there are left out.
    """
    tasks = [task for task in protocol.tasks if not chosen.tasks or task.key in chosen.tasks]
    return [
        _cell(protocol, results, task, algorithm, seed)
        for seed in protocol.seeds
        if not chosen.seeds or seed in chosen.seeds
        for task in tasks
        if available(task) is None
        for algorithm in protocol.algorithms
        if not chosen.algorithms or algorithm in chosen.algorithms
    ]


def _cell(protocol: Protocol, results: Path, task: Task, algorithm: str, seed: int) -> Cell:
    folder = results.absolute() / "cells" / task.folder / folder_name(algorithm) / f"seed-{seed}"
    decided = {
        "env_args.key": task.key,
        "seed": seed,
        "t_max": task.t_max,
        "test_interval": protocol.test_interval,
        "test_nepisode": protocol.test_nepisode,
        "checkpoint_interval": checkpoint_interval(task.t_max, protocol.test_interval),
        "save_best_model": True,
    }
    return Cell(task, algorithm, seed, folder, {**protocol.settings, **task.settings, **decided})


def checkpoint_interval(t_max: int, test_interval: int) -> int:
    """Environment steps between checkpoints: twenty in a run, but every 50,000 steps and at most one a test."""
    return max(min(t_max // 20, 50_000), test_interval)


def choose(protocol: Protocol, algorithms: Sequence[str], tasks: Sequence[str], seeds: Sequence[str]) -> Chosen:
    """What the words of a command line choose; a task may be written without async:.

    Raises:
        ValueError: something that the protocol does not have, or cannot be run; one line.
    """
    known = {name: task for task in protocol.tasks for name in (task.key, title(task), task.folder)}
    titles = [title(task) for task in protocol.tasks]
    for given in tasks:
        if given not in known:
            raise ValueError(unknown_name(f"--tasks={given}", f"task of {protocol.name}", given, titles))
        if (why := available(known[given])) is not None:
            raise ValueError(f"--tasks={given}: it cannot be run, {why}. Leave it out.")
    for given in algorithms:
        if given not in protocol.algorithms:
            raise ValueError(
                unknown_name(f"--algorithms={given}", f"algorithm of {protocol.name}", given, protocol.algorithms)
            )
    numbers = [str(seed) for seed in protocol.seeds]
    for given in seeds:
        if given not in numbers:
            raise ValueError(unknown_name(f"--seeds={given}", f"seed of {protocol.name}", given, numbers))
    return Chosen(tuple(algorithms), tuple(known[given].key for given in tasks), tuple(int(given) for given in seeds))


def read_book(folder: Path) -> Book | None:
    """What a cell's folder says became of it; None if it was never begun.

    Raises:
        ValueError: the file is there, and says nothing that we know; one line.
    """
    path = folder / BOOK
    try:
        given = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise ValueError(DAMAGED.format(path=path, why=error)) from error
    try:
        book = Book(**given)
    except TypeError as error:
        raise ValueError(DAMAGED.format(path=path, why=error)) from error
    if book.schema != SCHEMA or book.state not in STATES:
        raise ValueError(DAMAGED.format(path=path, why=f"schema {book.schema}, state {book.state}"))
    return book


def write_book(folder: Path, book: Book) -> None:
    """Put `cell.json` in its place, whole.

    Raises:
        OSError: the disk refused; what was there is still there.
    """
    write_file(folder / BOOK, (json.dumps(asdict(book), indent=1) + "\n").encode())


def last_step(run: Path) -> int:
    """The last environment step that a run's record speaks of, read from its end only; 0 if of none."""
    try:
        with (run / RECORDS).open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - TAIL_BYTES))
            found = _STEP.findall(file.read())
    except OSError:  # being made, or on a share that is gone for a moment
        return 0
    return int(found[-1]) if found else 0
