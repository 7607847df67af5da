"""A worker: takes cell after cell from a results folder, trains it, evaluates it, and books what became of it.

`python -m benchmarks.leaderboard.worker RESULTS '{"tasks": […], …}'` is one; the executors start many.
"""

import json
import os
import shutil
import signal
import socket
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Callable

from benchmarks.leaderboard.cells import (
    ALL,
    EVALUATION,
    FAILED,
    FINISHED,
    OUTPUT,
    REFUSED,
    Cell,
    Chosen,
)
from benchmarks.leaderboard.queue import Claim, Queue, open_queue, remove_checkpoints
from benchmarks.processes import die_with_parent, ended_by, last_line, run_process
from registry.records import COMPLETED, run_status

__all__ = ["Stopped", "command", "main", "make", "work", "worker_name"]

USAGE = 2  # exit status of a command that was refused before any work
POLL_S = 2.0  # between two looks at cells that others hold
LOOKS, AGAIN_S = 4, 0.25  # of who does not wait for them; a look at the lock, as by status, takes milliseconds
INTERRUPTED = (-signal.SIGINT, -signal.SIGTERM, 128 + signal.SIGINT, 128 + signal.SIGTERM)
NOT_COMPLETED = "the process ended well, but its record does not say COMPLETED"


class Stopped(Exception):
    """Somebody ended the cell's process in good order; it can go on."""


def worker_name() -> str:
    """For people: machine and process."""
    return f"{socket.gethostname()}-{os.getpid()}"


def make(claim: Claim, queue: Queue) -> None:
    """Train and evaluate a claimed cell, from wherever it stands, and book the end.

    Raises:
        Stopped: its process was ended in good order; nothing is booked.
        OSError: the end could not be booked.
    """
    state, reason = course(claim, queue.protocol.absolute_episodes)
    run = claim.cell.run()
    here = str(queue.results.absolute())
    claim.say(
        state=state,
        reason=reason and reason.replace(here, "."),  # without the place on this machine
        run=run and run.relative_to(claim.cell.folder).as_posix(),
        ended=time.time(),
    )
    if state == FINISHED:
        remove_checkpoints(claim.cell)


def course(claim: Claim, absolute_episodes: int) -> tuple[str, str | None]:
    """(state, reason) after all that is left to do for a cell."""
    cell = claim.cell
    if not is_trained(cell):
        clear_stillborn(cell)
        state, reason = step(claim, cell.command(), "")
        if state != FINISHED:
            return state, reason
        if not is_trained(cell):
            return FAILED, NOT_COMPLETED
    if absolute_episodes and not (cell.folder / EVALUATION).exists():
        return step(claim, evaluation_command(cell, absolute_episodes), "absolute metric: ")
    return FINISHED, None


def evaluation_command(cell: Cell, n_episodes: int) -> list[str]:
    """What plays the absolute metric: the best model on episodes that no test of the training has seen."""
    words = ["--run", str(cell.run()), "--model", "best", "--episodes", str(n_episodes)]
    words += ["--with-last", "--out", str(cell.folder / EVALUATION)]
    return [sys.executable, "-m", "registry", "evaluate", *words]


def is_trained(cell: Cell) -> bool:
    """Whether its run has come to its end."""
    run = cell.run()
    return run is not None and run_status(run) == COMPLETED


def step(claim: Claim, command: list[str], what: str) -> tuple[str, str | None]:
    """(state, reason) after one process of a cell.

    Raises:
        Stopped: it was ended in good order.
    """
    output = claim.cell.folder / OUTPUT
    before = output.stat().st_size if output.exists() else 0
    lend = () if claim.fd is None else (claim.fd,)
    status = run_process(command, output, lend)
    if status == 0:
        return FINISHED, None
    if status in INTERRUPTED:
        raise Stopped
    said = last_line(output, before)
    if status == USAGE and claim.cell.run() is None:
        return REFUSED, what + said
    return FAILED, f"{what}{ended_by(status)}: {said}"


def clear_stillborn(cell: Cell) -> None:
    """Remove what a process left that was killed before its record was begun."""
    if cell.run() is None:
        shutil.rmtree(cell.folder / "sacred", ignore_errors=True)


def work(
    results: str | Path, chosen: Chosen = ALL, wait: bool = True, act: Callable[[Claim, Queue], None] = make
) -> int:
    """Take cells until none is left; returns how many were made.

    Args:
        results: the folder.
        chosen: what of it.
        wait: stay while other workers hold cells, to go on with what a dead one leaves. Without it a few looks are
            taken all the same, as others hold a cell for a moment to see whether anybody does.
        act: what is done with a claimed cell.

    Raises:
        ValueError: the protocol was edited, or a file is damaged; one line.
        OSError: the disk refused what became of a cell; it stays "running" and is taken up again.
    """
    queue, name, n_made = open_queue(Path(results), chosen), worker_name(), 0
    stopped: set[Path] = set()  # by somebody's hand: not again by us
    n_looks = 0
    while True:
        claim = queue.take(name, stopped)
        if claim is None:
            n_looks += 1
            if queue.is_done(stopped) or not wait and n_looks == LOOKS:
                return n_made
            time.sleep(POLL_S if wait else AGAIN_S)
            continue
        n_looks = 0
        with claim:
            try:
                act(claim, queue)
            except Stopped:
                stopped.add(claim.cell.folder)
        n_made += 1


def command(results: Path, chosen: Chosen, wait: bool) -> list[str]:
    """The command line of a worker that ends with this process."""
    words = json.dumps({**asdict(chosen), "wait": wait, "parent": os.getpid()})
    return [sys.executable, "-m", "benchmarks.leaderboard.worker", str(results), words]


def main(argv: list[str]) -> int:
    """A worker as a process; returns its exit status."""
    given = json.loads(argv[2])
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, signal.default_int_handler)
    die_with_parent(given["parent"])
    chosen = Chosen(tuple(given["algorithms"]), tuple(given["tasks"]), tuple(given["seeds"]))
    try:
        work(argv[1], chosen, given["wait"])
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except (ValueError, OSError) as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return USAGE if isinstance(error, ValueError) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
