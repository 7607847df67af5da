"""The verb retry: failed cells are put back into the queue."""

import time
from pathlib import Path

import click

from benchmarks.leaderboard.cells import FAILED, REFUSED, RUNNING, choose
from benchmarks.leaderboard.commands.options import chosen_options, results_option, words
from benchmarks.leaderboard.queue import Claim, Taken, open_queue

__all__ = ["command"]

NOTHING = "{results}: no chosen cell is {states}; nothing was changed."


@click.command()
@results_option
@chosen_options
@click.option("--refused", is_flag=True, help="Also cells that were refused, e.g. for want of memory.")
@click.option("--anew", is_flag=True, help="From step 0 instead of the last checkpoint; the old run is kept aside.")
def command(
    results: Path,
    algorithms: tuple[str, ...],
    tasks: tuple[str, ...],
    seeds: tuple[str, ...],
    refused: bool,
    anew: bool,
) -> None:
    """Put failed cells back into the queue; the next `run`, or one under way, goes on with them.

    \b
    python -m benchmarks.leaderboard retry --results results/smoke --algorithms qmix

    A cell goes on from its last checkpoint, with its settings as they were.
    """
    chosen = choose(open_queue(results).protocol, words(algorithms), words(tasks), words(seeds))
    states = (FAILED, REFUSED) if refused else (FAILED,)
    n_found = 0
    for cell in open_queue(results, chosen).cells:
        if not cell.folder.exists():
            continue
        try:
            with Claim(cell) as claim:
                if claim.book.state not in states:
                    continue
                click.echo(f"{cell.name}: back in the queue, was {claim.book.state} ({claim.book.reason})")
                if anew:
                    put_aside(cell.folder)
                claim.say(state=RUNNING, run=None if anew else claim.book.run, ended=None)
                n_found += 1
        except Taken:
            continue
    if not n_found:
        click.echo(NOTHING.format(results=results, states=" or ".join(states)))


def put_aside(folder: Path) -> None:
    """Move a cell's run out of the way, into a folder of its own."""
    aside = folder / f"given-up-{time.strftime('%Y%m%d-%H%M%S')}"
    aside.mkdir()
    for name in ("sacred", "evaluation", "output.txt"):
        if (folder / name).exists():
            (folder / name).rename(aside / name)
