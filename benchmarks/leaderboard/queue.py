"""The cells of a results folder as a queue that many processes and machines take from.

A cell is claimed with a lock on its `claim.lock`. The system lets go of a lock when all who hold it have ended, however
they ended, so nothing rests on clocks, time-outs or heartbeats: a cell that says "running" while nobody holds its
lock was left by a worker that died, and the next one goes on with it. What became of a cell is read again after its
lock was taken: a finished cell is never run twice.
"""

import errno
import json
import os
import shutil
import time
from pathlib import Path
from typing import Iterator

from filelock import FileLock, Timeout

from benchmarks.leaderboard import protocol as protocols
from benchmarks.leaderboard.cells import (
    ALL,
    CLAIM,
    ENDED,
    FAILED,
    FINISHED,
    NOT_RUN,
    REFUSED,
    RUNNING,
    Book,
    Cell,
    Chosen,
    cells_of,
    read_book,
    write_book,
)
from benchmarks.leaderboard.protocol import FILE, Protocol
from epymarl_lite.utils.files import write_file

__all__ = ["Claim", "Queue", "Taken", "begin", "check_same", "is_held", "open_queue", "remove_checkpoints"]

_WITHOUT_LOCKS = (errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK)

OTHER = (
    "{results}: this folder is of the protocol {old.name} ({old.hash:.12}…), given is {new.name} ({new.hash:.12}…). "
    "Name another --results, or go on with the folder's own: --protocol {path}."
)
NO_PROTOCOL = "{results}: no protocol lies there. Begin with `run --results {results} --protocol NAME` ({known})."
CHANGED = "{path}: the protocol was edited while the folder is worked on. Put the original back, then run again."
NO_LOCKS = "{path}: this file system gives no locks ({error}). Name a folder on another one with --results."


class Taken(Exception):
    """Another process holds the cell."""


class Claim:
    """A cell that is ours until `release`, or until this process and those it lent `fd` to have ended.

    Attributes:
        book: what `cell.json` says.
        fd: of the lock; a child that inherits it keeps the claim as long as it lives. None where that cannot be had.
    """

    def __init__(self, cell: Cell):
        """Take the lock.

        Raises:
            Taken: another process has it.
            ValueError: the file system has no locks, or `cell.json` is damaged; one line.
            OSError: the disk refused.
        """
        self.cell = cell
        self.fd: int | None = None
        cell.folder.mkdir(parents=True, exist_ok=True)
        path = cell.folder / CLAIM
        self._lock = FileLock(str(path), fallback_to_soft=False, on_acquired=self._lend)
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise Taken from None
        except NotImplementedError as error:
            raise ValueError(NO_LOCKS.format(path=path, error=error)) from error
        except OSError as error:
            if error.errno in _WITHOUT_LOCKS:
                raise ValueError(NO_LOCKS.format(path=path, error=error.strerror)) from error
            raise
        try:
            self.book = read_book(cell.folder) or Book(cell.task.key, cell.algorithm, cell.seed, RUNNING)
        except BaseException:
            self.release()
            raise

    def _lend(self, fd: int) -> None:
        self.fd = fd if os.name == "posix" else None

    def say(self, **changes: object) -> None:
        """Write into `cell.json` what has become of the cell.

        Raises:
            OSError: the disk refused; `cell.json` says what it said before.
        """
        book = self.book.but(**changes)
        write_book(self.cell.folder, book)
        self.book = book

    def release(self) -> None:
        """Let others have the cell."""
        self.fd = None
        self._lock.release()

    def __enter__(self) -> "Claim":
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def is_held(cell: Cell) -> bool:
    """Whether some process holds the cell now.

    The lock is tried, so that for that moment the cell is taken for others who ask.

    Raises:
        PermissionError: we may not write there, so cannot try the lock.
        OSError: the disk refused.
    """
    if not (cell.folder / CLAIM).exists():
        return False
    try:
        Claim(cell).release()
    except Taken:
        return True
    return False


class Queue:
    """The cells of one results folder, as far as they are chosen.

    Args:
        results: the folder; its protocol is `protocol`.
        protocol: as it stands there.
        chosen: what of it is to be worked on.
    """

    def __init__(self, results: Path, protocol: Protocol, chosen: Chosen = ALL):
        self.results, self.protocol = results, protocol
        self.cells = cells_of(protocol, results, chosen)
        self._left = list(self.cells)  # those not seen finished
        self._path = results / FILE
        self._known = self._path.read_bytes()

    def check_protocol(self) -> None:
        """Refuse to go on after `protocol.json` was changed.

        Raises:
            ValueError: its content is another one now; one line.
        """
        try:
            now = self._path.read_bytes()
        except OSError as error:
            raise ValueError(CHANGED.format(path=self._path)) from error
        if now != self._known:
            if protocols.load(self._path).hash != self.protocol.hash:
                raise ValueError(CHANGED.format(path=self._path))
            self._known = now

    def take(self, worker: str, but: frozenset[Path] | set[Path] = frozenset()) -> Claim | None:
        """Claim the first cell that is to be run and free, and book that `worker` is at it; None if there is none.

        Args:
            worker: name of who asks, for people.
            but: folders of cells that are not wanted.

        Raises:
            ValueError: the protocol was edited, or a file is damaged; one line.
            OSError: the disk refused; nothing is claimed.
        """
        self.check_protocol()
        for cell in self._open_cells():
            if cell.folder in but:
                continue
            try:
                claim = Claim(cell)
            except Taken:
                continue
            if claim.book.state in ENDED:  # by another, since it was looked at
                claim.release()
                continue
            try:
                began = claim.book.started or time.time()
                attempts = claim.book.attempts + 1
                claim.say(state=RUNNING, reason=None, attempts=attempts, worker=worker, started=began, ended=None)
            except BaseException:
                claim.release()
                raise
            return claim
        return None

    def is_done(self, but: frozenset[Path] | set[Path] = frozenset()) -> bool:
        """Whether every cell has ended, those of `but` aside."""
        return all(cell.folder in but for cell in self._open_cells())

    def _open_cells(self) -> Iterator[Cell]:
        """Cells that have not ended; what has finished is not looked at again, what has failed may be retried.

        Checkpoints of a finished cell go, which a worker leaves that was killed behind its last line in the book.
        """
        for cell in list(self._left):
            book = read_book(cell.folder)
            if book is not None and book.state == FINISHED:
                self._left.remove(cell)
                remove_checkpoints(cell)
            elif book is None or book.state not in ENDED:
                yield cell

    def states(self) -> dict[str, int]:
        """State -> number of cells."""
        counted = dict.fromkeys((NOT_RUN, RUNNING, FINISHED, FAILED, REFUSED), 0)
        for cell in self.cells:
            book = read_book(cell.folder)
            counted[book.state if book else NOT_RUN] += 1
        return counted


def remove_checkpoints(cell: Cell) -> None:
    """Remove what a cell would go on from; only of one that is booked as finished."""
    run = cell.run()
    if run is not None:
        shutil.rmtree(run / "checkpoints", ignore_errors=True)


def begin(results: Path, protocol: Protocol) -> None:
    """Make `results` the folder of `protocol`, unless it is.

    Raises:
        ValueError: it is the folder of another, or of one that was edited; one line, nothing changed.
        OSError: the disk refused.
    """
    results.mkdir(parents=True, exist_ok=True)
    path = results / FILE
    with FileLock(str(results / "protocol.lock")):
        if not path.exists():
            text = json.dumps(protocols.as_dict(protocol), indent=1, ensure_ascii=False)
            write_file(path, (text + "\n").encode())
            return
    check_same(results, protocol)


def check_same(results: Path, protocol: Protocol) -> None:
    """Refuse a folder that was begun with another protocol.

    Raises:
        ValueError: it was, or its protocol was edited since; one line.
    """
    path = results / FILE
    old = protocols.load(path)
    if old.hash != protocol.hash:
        raise ValueError(OTHER.format(results=results, old=old, new=protocol, path=path))


def open_queue(results: Path, chosen: Chosen = ALL) -> Queue:
    """The queue of a results folder that was begun.

    Raises:
        ValueError: it was not, or its protocol was edited; one line.
    """
    path = results / FILE
    if not path.exists():
        raise ValueError(NO_PROTOCOL.format(results=results, known=", ".join(protocols.names())))
    return Queue(results, protocols.load(path), chosen)
