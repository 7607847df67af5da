"""The verb add: a bundle is verified and put on a board."""

import sys
from pathlib import Path

import click

from benchmarks.leaderboard.bundle.board import add
from benchmarks.leaderboard.bundle.refusal import Refused
from benchmarks.leaderboard.bundle.verification import HIGHEST, table, verify
from benchmarks.leaderboard.commands.verify import NOT_THERE, headline, progress

__all__ = ["command"]


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--board", required=True, metavar="DIR", type=click.Path(path_type=Path, file_okay=False),
              help="The board's folder; made where missing.")
@click.option("--tier", "highest", default=HIGHEST, show_default=True, type=click.IntRange(1, HIGHEST),
              help="Verify up to this tier; the table shows the one reached.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), help="Of tier 4's fresh episodes; drawn if left out.")
@click.option("--replace", metavar="SUBMISSION", help="Take this submission off the board, as its folder is called.")
def command(bundle: Path, board: Path, highest: int, seed: int | None, replace: str | None) -> None:
    """Verify a bundle and put it on a board.

    \b
    python -m benchmarks.leaderboard add smoke.zip --board board
    python -m benchmarks.leaderboard report --board board

    A board holds the bundles of one protocol, each run once: a bundle that is there already, a copy of another
    submission's run and a cell that somebody else has submitted are refused. It is put there whole or not at all.
    Exit status 1 if it is refused.
    """
    if not bundle.exists():
        raise ValueError(NOT_THERE.format(verb="add", bundle=bundle))
    found = verify(bundle, highest, progress, seed)
    click.echo(headline(found))
    click.echo(table(found))
    try:
        place = add(bundle, found, board, replace)
    except Refused as error:
        for reason in error.reasons:
            click.echo(reason, err=True)
        sys.exit(1)
    click.echo(f"On the board: {place}")
