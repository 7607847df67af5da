"""Writing the durable record of one run (see `records`), by one process at a time, which holds `run.lock`."""

import json
import logging
import math
import os
import socket
import threading
import time
from pathlib import Path
from typing import Any, Callable, Mapping

import psutil
from filelock import FileLock, Timeout

from registry.records import HEARTBEAT, RECORDS, RUNNING, encode, lines, whole_length

LOCK = "run.lock"
SCHEMA = 1
BEAT_S = 10.0
ATTEMPTS, PAUSE_S = 3, 0.2  # a write that fails is tried again: disks have moments

LOCKED = "{where}: another process is writing this run. Wait for it, or end it, before you resume."
LOST = "{where}: the record could not be written ({error}). Make room, check the disk, then resume the run."

_log = logging.getLogger(__name__)


def _scalar(value: Any) -> Any:
    """A JSON value for one number: one-element arrays and tensors are unpacked, NaN and inf become text."""
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)
    return value


def hold(run_dir: str | Path) -> FileLock:
    """The lock of a run's folder, taken; it goes with the process, however that ends.

    Raises:
        ValueError: another process has it; one line, nothing was touched.
    """
    lock = FileLock(str(Path(run_dir) / LOCK))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise ValueError(LOCKED.format(where=run_dir)) from None
    return lock


class Recorder:
    """Writes the record of one run. One process at a time holds it; `close` lets go.

    Args:
        run_dir: the run's folder.
        beat_s: seconds between two heartbeats.
        lock: from `hold`, where the folder is held already; None takes it here.

    Attributes:
        run_dir: the run's folder.
        on_rewind: called after `rewind`, so that what was derived from the records can be derived again.
        error: the write that was given up, or None.
    """

    def __init__(self, run_dir: str | Path, beat_s: float = BEAT_S, lock: FileLock | None = None):
        self.run_dir = Path(run_dir)
        self.on_rewind: Callable[[], None] | None = None
        self.error: OSError | None = None
        self._path = self.run_dir / RECORDS
        self._mutex = threading.RLock()
        self._lock = hold(self.run_dir) if lock is None else lock
        if lock is not None:
            lock.acquire()  # counted: `close` gives back this one only
        try:
            self._open()
        except BaseException:
            self._lock.release()
            raise
        self._status = ""
        self._starts: list[dict[str, Any]] = []  # what `start` wrote; said again after a rewind
        self._began_s, self._before_s = time.monotonic(), 0.0
        self._stop = threading.Event()
        self._beat_s = beat_s
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        self._thread.start()

    def _open(self) -> None:
        if self._path.exists():
            length = whole_length(self._path)
            self._fd = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o644)
            os.ftruncate(self._fd, length)
            self._length = length
        else:
            self._fd = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o644)
            self._length = 0

    def metric(self, name: str, value: Any, t_env: int) -> None:
        """One logged number at environment step `t_env`.

        Raises:
            OSError: the line could not be written; the file ends with the line before it.
        """
        self._append({"kind": "metric", "name": name, "value": _scalar(value), "t_env": int(t_env)})

    def test(self, t_env: int, episodes: list[dict[str, Any]], decisions: int | None = None) -> None:
        """The episodes of one test.

        Args:
            t_env: environment steps of training before it.
            episodes: each a dict with "seed", "return", "length", "decisions" and the task's metrics.
            decisions: training decisions before it, None where nobody counted.
        """
        rows = [{name: _scalar(value) for name, value in episode.items()} for episode in episodes]
        so_far = {"decisions": decisions, "wall_s": round(self.wall_s(), 3)}
        self._append({"kind": "test", "t_env": int(t_env), **so_far, "episodes": rows}, sync=True)

    def start(self, provenance: Mapping[str, Any], **fields: Any) -> None:
        """The run begins, or goes on: RUNNING, and under what circumstances.

        The clock of `wall_s` starts. A `rewind` that follows says both again behind the place it went back to.

        Args:
            provenance: of `registry.provenance.provenance`.
            fields: belong to the status.
        """
        self._began_s, self._before_s = time.monotonic(), 0.0
        self._status = RUNNING
        self._starts = [
            {"kind": "status", "status": RUNNING, "schema": SCHEMA, **fields},
            {"kind": "provenance", **provenance},
        ]
        self._say_start()

    def _say_start(self) -> None:
        for record in self._starts:
            self._append(record, sync=True)
        self._write_heartbeat()

    def wall_s(self) -> float:
        """Seconds that the run has been at work, in this process and before what it resumed from."""
        return self._before_s + time.monotonic() - self._began_s

    def status(self, status: str, **fields: Any) -> None:
        """What has become of the run: RUNNING, COMPLETED, FAILED or INTERRUPTED, with what belongs to it.

        Saying again what was said last, without fields, writes nothing.
        """
        if status == self._status and not fields:
            return
        self._status = status
        self._append({"kind": "status", "status": status, "schema": SCHEMA, **fields}, sync=True)
        self._write_heartbeat()

    def position(self) -> int:
        """Where the record ends now: hand it to `rewind` to forget what came after."""
        with self._mutex:
            os.fsync(self._fd)
            return self._length

    def rewind(self, position: int, wall_s: float = 0.0) -> None:
        """Forget every line behind `position`, so that a resumed run writes no step twice.

        Args:
            position: of `position`, when the checkpoint was written.
            wall_s: of `wall_s` then.

        Raises:
            ValueError: `position` is not the end of a line of this file; nothing has changed.
        """
        with self._mutex:
            ends = {0} | {offset for offset, record in lines(self._path) if record is not None}
            if position not in ends:
                raise ValueError(
                    f"{self._path}: position {position} is not the end of one of its {len(ends) - 1} lines. "
                    "The checkpoint belongs to another run, or the record was shortened."
                )
            os.ftruncate(self._fd, position)
            os.fsync(self._fd)
            self._length = position
        self._before_s = wall_s
        if self._starts:
            self._say_start()
        if self.on_rewind is not None:
            self.on_rewind()

    def close(self) -> None:
        """Write the last heartbeat and let the folder go; a second call does nothing."""
        if self._stop.is_set():
            return
        self._stop.set()
        self._thread.join(timeout=5)
        self._write_heartbeat()
        os.close(self._fd)
        self._lock.release()

    def __enter__(self) -> "Recorder":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _append(self, record: dict[str, Any], sync: bool = False) -> None:
        line = encode({**record, "time": round(time.time(), 3)})
        with self._mutex:
            for attempt in range(1, ATTEMPTS + 1):
                try:
                    self._write(line)
                    if sync:
                        os.fsync(self._fd)
                    self._length += len(line)
                    return
                except OSError as error:
                    os.ftruncate(self._fd, self._length)
                    if attempt == ATTEMPTS:
                        self.error = error
                        raise OSError(error.errno, LOST.format(where=self._path, error=error)) from error
                    _log.warning("%s: %s; trying again.", self._path, error)
                    time.sleep(PAUSE_S)

    def _write(self, line: bytes) -> None:
        os.lseek(self._fd, self._length, os.SEEK_SET)
        written = 0
        while written < len(line):
            written += os.write(self._fd, line[written:])

    def _beat(self) -> None:
        self._write_heartbeat()
        while not self._stop.wait(self._beat_s):
            self._write_heartbeat()

    def _write_heartbeat(self) -> None:
        beat = {
            "pid": os.getpid(),
            "pid_started": psutil.Process().create_time(),
            "machine": socket.gethostname(),
            "time": time.time(),
            "status": self._status,
        }
        path = self.run_dir / HEARTBEAT
        partial = path.with_suffix(f".{threading.get_ident()}.part")
        try:
            partial.write_text(json.dumps(beat))
            os.replace(partial, path)
        except OSError as error:  # the record itself reports a full disk; a missed beat only ages
            _log.warning("%s: %s", path, error)
            partial.unlink(missing_ok=True)
