"""The verb verify: a bundle's tiers, one after another."""

import sys
from pathlib import Path

import click

from benchmarks.leaderboard.bundle.refusal import harmless
from benchmarks.leaderboard.bundle.verification import HIGHEST, TIERS, Verification, table, verify, write_record

__all__ = ["command", "headline", "progress"]

NOT_THERE = "{verb}: {bundle}: there is no such file or folder. Name a bundle that submit has written."


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--tier", "highest", default=HIGHEST, show_default=True, type=click.IntRange(1, HIGHEST),
              help="Stop after this tier.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), help="Of tier 4's fresh episodes; drawn if left out.")
@click.option("--record", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Where the verification record goes; BUNDLE.verification.json if left out.")
def command(bundle: Path, highest: int, seed: int | None, record: Path | None) -> None:
    """Check a bundle tier by tier, and print what each tier found.

    \b
    python -m benchmarks.leaderboard verify smoke.zip

    \b
    1 schema-checked        form, sizes, hashes, seed sets, settings, environments; no run told twice
    2 recomputed from raw   every claimed number is made again from the test episodes
    3 actions replayed      the last evaluations' actions give the recorded values
    4 weights re-evaluated  the networks act and test as recorded, and are as good on fresh episodes

    The first tier that refuses ends it. Nothing is unpacked, and nothing in a bundle is run. Exit status 1 if it is
    refused. What was found is written beside the bundle as JSON.
    """
    if not bundle.exists():
        raise ValueError(NOT_THERE.format(verb="verify", bundle=bundle))
    found = verify(bundle, highest, progress, seed)
    click.echo(headline(found))
    click.echo(table(found))
    record = bundle.with_name(f"{bundle.name}.verification.json") if record is None else record
    try:
        write_record(found, record)
    except OSError as error:
        click.echo(f"verify: the record was not written: {error}", err=True)
        sys.exit(1)
    sys.exit(int(found.is_refused))


def progress(line: str) -> None:
    """What is being done, where somebody watches."""
    if sys.stderr.isatty():
        click.echo(harmless(line), err=True)


def headline(found: Verification) -> str:
    """What the bundle is and how far it got, in one line."""
    reached = f"tier {found.tier} ({TIERS[found.tier]}) reached" if found.tier else "no tier reached"
    partial = "PARTIAL, " if found.partial else ""
    verdict = "REFUSED, " if found.is_refused else ""
    return f"{found.name}: {verdict}{partial}{reached}"
