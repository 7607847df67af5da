"""The verb submit: a results folder becomes a bundle."""

import sys
from pathlib import Path

import click

from benchmarks.leaderboard.bundle.limits import in_words
from benchmarks.leaderboard.bundle.packing import Submission, pack
from benchmarks.leaderboard.bundle.refusal import Refused

__all__ = ["command"]

TOLD = 10


@click.command()
@click.option("--results", required=True, metavar="DIR", type=click.Path(path_type=Path, file_okay=False),
              help="The folder that run has filled.")
@click.option("--out", required=True, metavar="FILE", type=click.Path(path_type=Path),
              help="The bundle: a .zip file, or (without .zip) a folder.")
@click.option("--name", default="anonymous", show_default=True, help="Who submits; shown in tables.")
@click.option("--contact", default="", help="Where questions go: a page or an address.")
@click.option("--note", default="", help="What readers of the table should know.")
@click.option("--partial", is_flag=True, help="Accept seed sets that are not complete; every table shows it.")
def command(results: Path, out: Path, name: str, contact: str, note: str, partial: bool) -> None:
    """Pack results so that others can verify them, without trusting anybody.

    \b
    python -m benchmarks.leaderboard submit --results results/smoke --out smoke.zip --name "A. Author"

    The bundle holds every run that was begun, failed ones with their reasons: configuration, command, commit,
    versions, hardware and times, the value of every test episode, the last evaluation's episodes with all actions,
    the networks as safetensors, and the numbers that a report makes of them. Paths of this machine are left out.
    The same results give the same bytes. Pairs of task and algorithm that were never begun are not part of it;
    of those that were, every seed must be there, or --partial says that it is not.
    """
    try:
        packed = pack(results, out, Submission(name, contact, note), partial)
    except Refused as error:
        for reason in error.reasons:
            click.echo(reason, err=True)
        sys.exit(1)
    click.echo(f"{packed.path}: {packed.n_runs} runs, {in_words(packed.n_bytes)}, digest {packed.digest[:16]}")
    if packed.missing:
        click.echo(f"PARTIAL: {len(packed.missing)} parts are missing, and every table will say so:")
        for each in packed.missing[:TOLD]:
            click.echo(f"  {each}")
        if len(packed.missing) > TOLD:
            click.echo(f"  and {len(packed.missing) - TOLD} more")
    click.echo(f"Check it as others will: python -m benchmarks.leaderboard verify {packed.path}")
