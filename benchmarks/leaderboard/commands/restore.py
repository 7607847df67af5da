"""The verb restore: a bundle becomes a results folder again."""

import sys
from pathlib import Path

import click

from benchmarks.leaderboard.bundle.refusal import Refused
from benchmarks.leaderboard.bundle.restoring import restore
from benchmarks.leaderboard.bundle.verification import HIGHEST, table, verify
from benchmarks.leaderboard.commands.verify import NOT_THERE, headline, progress

__all__ = ["command"]

ENOUGH = 2  # the tier that says that the numbers are those of the episodes


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--results", required=True, metavar="DIR", type=click.Path(path_type=Path, file_okay=False),
              help="The folder; made where missing. One of the same protocol may hold other cells.")
@click.option("--tier", "highest", default=ENOUGH, show_default=True, type=click.IntRange(1, HIGHEST),
              help="Verify up to this tier before.")
def command(bundle: Path, results: Path, highest: int) -> None:
    """Put the runs of a bundle into a results folder, to go on with them, or to report and export them anew.

    \b
    python -m benchmarks.leaderboard restore smoke.zip --results results/smoke
    python -m benchmarks.leaderboard run --results results/smoke

    The folder's own submission is again the same bundle. Runs that had not ended are left out, as a bundle has no
    checkpoints: run begins them anew. Runs that are in the folder already are passed over; if it holds another
    run of a cell, nothing is written. Exit status 1 if it is refused.
    """
    if not bundle.exists():
        raise ValueError(NOT_THERE.format(verb="restore", bundle=bundle))
    found = verify(bundle, highest, progress)
    click.echo(headline(found))
    click.echo(table(found))
    try:
        done = restore(bundle, found, results)
    except Refused as error:
        for reason in error.reasons:
            click.echo(reason, err=True)
        sys.exit(1)
    click.echo(f"{results}: {len(done.written)} cells written, {len(done.there)} were there already.")
    for name in done.left_out:
        click.echo(f"  {name}: had not ended, left out")
