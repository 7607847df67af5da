"""From a bundle back to a results folder: to go on with what was submitted, or to report and export it anew."""

import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Iterator, Mapping

from benchmarks.leaderboard import protocol as protocols
from benchmarks.leaderboard.bundle import names
from benchmarks.leaderboard.bundle.archive import open_archive
from benchmarks.leaderboard.bundle.limits import LIMITS, Limits
from benchmarks.leaderboard.bundle.manifest import Files, open_files
from benchmarks.leaderboard.bundle.privacy import Cleaner
from benchmarks.leaderboard.bundle.reading import read_about
from benchmarks.leaderboard.bundle.refusal import Refused
from benchmarks.leaderboard.bundle.runs import Cell, pack_run
from benchmarks.leaderboard.bundle.strict_json import lines
from benchmarks.leaderboard.bundle.verification import Verification
from benchmarks.leaderboard.cells import EVALUATION, FINISHED, RUNNING, Book, read_book, write_book
from benchmarks.leaderboard.protocol import Protocol
from benchmarks.leaderboard.queue import begin
from benchmarks.leaderboard.results import cell_folder
from epymarl_lite.utils.files import sync_folder, write_file
from registry.records import COMPLETED, FAILED, RECORDS, encode

__all__ = ["Restored", "restore"]

EVALUATED = (names.EVALUATION, names.EPISODES, names.WEIGHTS, names.LAST_WEIGHTS)
STAGED = ".restore-{pid}"

NOT_VERIFIED = "restore: the bundle did not pass tier {tier}. Nothing was written."
CHANGED = "restore: {bundle} was changed after it was verified. Nothing was written."
OTHER = (
    "restore: {results} is the folder of the protocol {old.name} ({old.hash:.12}…), the bundle is of {new.name} "
    "({new.hash:.12}…). Name another --results."
)
TAKEN = "restore: {cell} was begun in {results} and is not this run. Name another --results. Nothing was written."


@dataclass(frozen=True)
class Restored:
    """What `restore` did; names of cells."""

    written: tuple[str, ...]
    there: tuple[str, ...]  # the same runs, in the folder before
    left_out: tuple[str, ...]  # had not ended, so there is nothing to go on from


def restore(bundle: Path, found: Verification, results: Path, limits: Limits = LIMITS) -> Restored:
    """Put the runs of a verified bundle into a results folder, each whole or not at all.

    What `submit` makes of them is byte for byte what the bundle holds. A run that had not ended is left out: its
    checkpoint is no part of a bundle.

    Args:
        bundle: zip file or folder; it is read and not changed.
        found: of `verify`, of this bundle.
        results: made where missing; a folder of the same protocol may hold other cells, even at work.

    Raises:
        Refused: not verified, another protocol, or another run of a cell is there; nothing was written.
        OSError: the disk refused; cells that were written are whole, and the same call goes on.
    """
    if found.is_refused or not found.tier:
        raise Refused(NOT_VERIFIED.format(tier=found.tier + 1))
    with open_archive(bundle, limits) as archive:
        files = open_files(archive, limits)
        if files.digest != found.digest:
            raise Refused(CHANGED.format(bundle=bundle))
        protocol = read_about(files).protocol
        _check_protocol(results, protocol)
        places = {cell.name: (cell, place) for cell, place in _cells(files, results, protocol)}
        left_out = tuple(name for name, (cell, _) in places.items() if cell.said["state"] == RUNNING)
        there = tuple(
            name for name, (cell, place) in places.items()
            if name not in left_out and _is_there(files, cell, place, results, protocol)
        )  # fmt: skip
        begin(results, protocol)
        written = tuple(name for name in places if name not in (*left_out, *there))
        staged = results / STAGED.format(pid=os.getpid())
        try:
            for name in written:
                cell, place = places[name]
                shutil.rmtree(staged, ignore_errors=True)
                _write(files, place, cell, staged)
                cell.folder.parent.mkdir(parents=True, exist_ok=True)
                os.rename(staged, cell.folder)
                sync_folder(cell.folder.parent)
        finally:
            shutil.rmtree(staged, ignore_errors=True)
    return Restored(written, there, left_out)


def _check_protocol(results: Path, protocol: Protocol) -> None:
    path = results / protocols.FILE
    if path.exists() and (old := protocols.load(path)).hash != protocol.hash:
        raise Refused(OTHER.format(results=results, old=old, new=protocol))


def _cells(files: Files, results: Path, protocol: Protocol) -> Iterator[tuple[Cell, str]]:
    """Every run of the bundle as a cell of `results`, with its run.json, and where it lies in the bundle."""
    tasks = {task.key: task for task in protocol.tasks}
    for place in read_about(files).folders:
        said = files.json(f"{place}/{names.RUN}")
        task, algorithm, seed = tasks[said["task"]], said["algorithm"], said["seed"]
        yield Cell(task, algorithm, seed, said, cell_folder(results, task, algorithm, seed)), place


def _is_there(files: Files, cell: Cell, place: str, results: Path, protocol: Protocol) -> bool:
    """Whether the folder of a cell holds this very run.

    Raises:
        Refused: it holds another.
    """
    if (book := read_book(cell.folder)) is None:
        if cell.folder.is_dir() and any(cell.folder.iterdir()):  # a worker is about to write its book
            raise Refused(TAKEN.format(cell=cell.name, results=results))
        return False
    own = replace(cell, said=vars(book))
    told = {name: files.read(f"{place}/{name}") for name in names.OF_A_RUN if f"{place}/{name}" in files}
    if pack_run(own, Cleaner(results), has_evaluation=protocol.absolute_episodes > 0) != told:
        raise Refused(TAKEN.format(cell=cell.name, results=results))
    return True


def _write(files: Files, place: str, cell: Cell, folder: Path) -> None:
    """One cell, as `run` would have left it, but for sacred's files and the models of its training."""
    said, run = cell.said, None
    if said["provenance"] or f"{place}/{names.TESTS}" in files:
        run = f"sacred/{cell.algorithm}/{cell.task.folder}/1"
        _put(folder / run / RECORDS, b"".join(map(encode, _records(files, place, said))))
    for name in EVALUATED:
        if f"{place}/{name}" in files:
            _put(folder / Path(EVALUATION) / name, files.read(f"{place}/{name}"))
    told = ("task", "algorithm", "seed", "state", "reason", "attempts", "started", "ended")
    write_book(folder, Book(run=run, **{name: said[name] for name in told}))


def _records(files: Files, place: str, said: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The durable record of a run: its starts, its tests, its end."""
    began = said["started"] or 0.0
    for provenance in said["provenance"]:
        yield {"kind": "provenance", **provenance, "time": began}
    where = f"{place}/{names.TESTS}"
    for test in lines(files.read(where), where, files.limits) if where in files else ():
        columns = test["episodes"]
        yield {
            "kind": "test", "t_env": test["step"], "decisions": test["decisions"], "wall_s": test["wall_s"],
            "episodes": [dict(zip(columns, values)) for values in zip(*columns.values())],
            "time": began + (test["wall_s"] or 0.0),
        }  # fmt: skip
    status = COMPLETED if said["state"] == FINISHED else FAILED
    yield {"kind": "status", "status": status, "time": said["ended"] or began}


def _put(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, data)
