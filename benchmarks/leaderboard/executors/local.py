"""Workers as processes of this machine."""

import signal
import socket
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.leaderboard import worker
from benchmarks.leaderboard.cells import Chosen
from benchmarks.processes import ROOT, ended_by, environment, last_line

__all__ = ["LocalPool"]

REPLACEMENTS = 100  # of workers that were killed; a machine that kills more has another problem


@dataclass
class _Worker:
    process: subprocess.Popen[bytes]
    said: Path  # file with what it said
    before: int  # bytes of it that are others'


@dataclass
class LocalPool:
    """`n_workers` processes; one that is killed is replaced."""

    results: Path
    chosen: Chosen
    n_workers: int
    replacements: int = REPLACEMENTS
    _workers: list[_Worker] = field(default_factory=list)
    _complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        (self.results / "workers").mkdir(parents=True, exist_ok=True)
        for _ in range(self.n_workers):
            self._start()

    @property
    def pids(self) -> list[int]:
        """Process numbers of the workers alive."""
        return [each.process.pid for each in self._workers]

    def alive(self) -> int:
        """How many are at work; replaces those that were killed."""
        for each in list(self._workers):
            status = each.process.poll()
            if status is None:
                continue
            self._workers.remove(each)
            if status:
                said = last_line(each.said, each.before) if status > 0 else "its cell is taken up by another"
                self._complaints.append(f"a worker ended ({ended_by(status)}): {said}")
            if status < 0 and self.replacements > 0:
                self.replacements -= 1
                self._start()
        return len(self._workers)

    def complaints(self) -> list[str]:
        """What workers said that ended badly since this was last asked."""
        told, self._complaints = self._complaints, []
        return told

    def stop(self) -> None:
        """Ask all to end, which write checkpoints first, and wait."""
        for each in self._workers:
            each.process.send_signal(signal.SIGINT)
        for each in self._workers:
            each.process.wait()
        self._workers.clear()

    def _start(self) -> None:
        said = self.results / "workers" / f"{socket.gethostname()}.txt"
        with said.open("ab") as file:
            before = file.tell()
            process = subprocess.Popen(
                worker.command(self.results, self.chosen, wait=True), cwd=ROOT, env=environment(),
                stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        self._workers.append(_Worker(process, said, before))
