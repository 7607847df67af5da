"""Workers with cells that take no time, for tests of the queue; imports nothing heavy, as eight processes do."""

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

from benchmarks.leaderboard import worker
from benchmarks.leaderboard.cells import FINISHED
from benchmarks.leaderboard.protocol import Protocol, checked
from benchmarks.leaderboard.queue import Claim, Queue, begin

TINY: dict[str, Any] = {
    "name": "tiny",
    "seeds": [1, 2, 3, 4],
    "test_interval": 100,
    "test_nepisode": 2,
    "absolute_episodes": 0,
    "settings": {},
    "algorithms": ["mvd", "qmix", "vdn"],
    "tasks": [{"key": "async:tabular-relay", "t_max": 1000}, {"key": "async:poac-1", "t_max": 2000}],
}


def tiny(**changes: Any) -> Protocol:
    """24 cells, or as changed."""
    return checked({**TINY, **changes}, Path("tiny.yaml"))


def quick(claim: Claim, queue: Queue) -> None:
    """Make a cell in two milliseconds; notes who made it, and dies if somebody else is at it."""
    busy = claim.cell.folder / "busy"
    os.close(os.open(busy, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    with (claim.cell.folder / "made").open("a") as file:
        file.write(f"{os.getpid()}\n")
    time.sleep(0.002)
    busy.unlink()
    claim.say(state=FINISHED, ended=time.time())


def rounds(folder: str, n_rounds: int, barrier: Any) -> None:
    """One of many workers: all begin each round at the same moment, on the round's own folder."""
    made = []
    worker.POLL_S = 0.01  # the others are never long at a cell
    for k in range(n_rounds):
        results = Path(folder) / f"round-{k}"
        barrier.wait(60)
        begin(results, tiny())
        made.append(worker.work(results, act=quick))
    (Path(folder) / f"worker-{os.getpid()}.json").write_text(json.dumps(made))


def dying(claim: Claim, queue: Queue) -> None:
    """A worker that is killed while it is at a cell."""
    os.kill(os.getpid(), signal.SIGKILL)


def die_at_a_cell(folder: str) -> None:
    """Claim a cell and be killed."""
    worker.work(folder, act=dying)
