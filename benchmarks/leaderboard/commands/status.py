"""The verb status: how far a results folder is."""

import errno
from pathlib import Path

import click

from benchmarks.leaderboard.cells import (
    FAILED,
    FINISHED,
    NOT_RUN,
    REFUSED,
    RUNNING,
    Cell,
    choose,
    last_step,
    read_book,
)
from benchmarks.leaderboard.commands.options import chosen_options, results_option, words
from benchmarks.leaderboard.protocol import available, title
from benchmarks.leaderboard.queue import Queue, is_held, open_queue

__all__ = ["command"]

LEFT = "left"  # says "running", but nobody holds it: the next worker goes on with it
UNKNOWN = "unknown"  # says "running", and we may not try its lock
MARKS = {FINISHED: "finished", RUNNING: "running", UNKNOWN: "running?", LEFT: "left by its worker", FAILED: "failed",
         REFUSED: "refused", NOT_RUN: "not run"}  # fmt: skip
NOT_ALLOWED = (errno.EACCES, errno.EPERM, errno.EROFS)


@click.command()
@results_option
@chosen_options
@click.option("--cells", "show_cells", is_flag=True, help="A line for every cell.")
def command(
    results: Path, algorithms: tuple[str, ...], tasks: tuple[str, ...], seeds: tuple[str, ...], show_cells: bool
) -> None:
    """Show how many cells are finished, running, left by a killed worker, failed, refused or not run, and why.

    \b
    python -m benchmarks.leaderboard status --results results/smoke

    In a folder that you may not write to, a cell that is running or left is "running?".
    """
    queue = open_queue(results)
    chosen = choose(queue.protocol, words(algorithms), words(tasks), words(seeds))
    queue = open_queue(results, chosen)
    states = {cell.folder: state_of(cell) for cell in queue.cells}
    counts = {state: list(states.values()).count(state) for state in MARKS}
    told = ", ".join(f"{n} {MARKS[state]}" for state, n in counts.items() if n or state == FINISHED)
    protocol = queue.protocol
    click.echo(f"{results}: protocol {protocol.name} ({protocol.hash[:12]}…), {len(queue.cells)} cells: {told}")
    for line in table(queue, states):
        click.echo(line)
    for cell in queue.cells:
        state = states[cell.folder]
        if show_cells or state in (RUNNING, UNKNOWN, LEFT, FAILED):
            click.echo(f"{cell.name}: {described(cell, state)}")
    for line in refusals(queue, states):
        click.echo(line)
    for task in protocol.tasks:
        if (why := available(task)) is not None:
            click.echo(f"{title(task)}: not available, {why}")


def state_of(cell: Cell) -> str:
    """State of a cell, with LEFT for one whose worker has died, UNKNOWN for one of which we cannot tell."""
    book = read_book(cell.folder)
    if book is None:
        return NOT_RUN
    if book.state != RUNNING:
        return book.state
    try:
        return RUNNING if is_held(cell) else LEFT
    except OSError as error:
        if error.errno in NOT_ALLOWED:
            return UNKNOWN
        raise


def described(cell: Cell, state: str) -> str:
    """What there is to tell about one cell."""
    book, run = read_book(cell.folder), cell.run()
    parts = [MARKS[state]]
    if run is not None and state != NOT_RUN:
        parts.append(f"step {last_step(run):,} of {cell.task.t_max:,}")
    if state == UNKNOWN:
        parts.append("its lock cannot be tried by you")
    if book is not None and state in (RUNNING, UNKNOWN):
        parts.append(f"on {book.worker}")
    if book is not None and book.attempts > 1:
        parts.append(f"attempt {book.attempts}")
    if book is not None and book.reason:
        parts.append(book.reason)
    return ", ".join(parts)


def table(queue: Queue, states: dict[Path, str]) -> list[str]:
    """Finished runs of each algorithm on each task."""
    tasks = list(dict.fromkeys(title(cell.task) for cell in queue.cells))
    found: dict[tuple[str, str], list[str]] = {}
    for cell in queue.cells:
        found.setdefault((cell.algorithm, title(cell.task)), []).append(states[cell.folder])
    rows = [["finished runs", *tasks]]
    for algorithm in dict.fromkeys(cell.algorithm for cell in queue.cells):
        row = [algorithm]
        for task in tasks:
            here = found.get((algorithm, task), [])
            row.append("refused" if here and set(here) == {REFUSED} else f"{here.count(FINISHED)}/{len(here)}")
        rows.append(row)
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    return ["  ".join(word.ljust(width) for word, width in zip(row, widths)).rstrip() for row in rows]


def refusals(queue: Queue, states: dict[Path, str]) -> list[str]:
    """Each task and algorithm that is refused, with the reason, once for all seeds."""
    lines: dict[str, None] = {}
    for cell in queue.cells:
        book = read_book(cell.folder)
        if states[cell.folder] == REFUSED and book is not None:
            lines[f"{title(cell.task)} {cell.algorithm}: refused, {book.reason}"] = None
    return list(lines)
