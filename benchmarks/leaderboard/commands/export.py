"""The verb export: results for other tools."""

from pathlib import Path

import click

from benchmarks.leaderboard.commands.options import results_option

__all__ = ["command"]

FILES = ("marl-eval", "csv", "parquet")
FOLDER = "export"  # in the results folder
DISK = "export: {path} could not be written ({error}). Free space or name another --out, then ask again."


@click.command()
@results_option
@click.option("--format", "format_name", type=click.Choice(FILES), required=True, help="What to write.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="The file; in RESULTS/export by default.")
def command(results: Path, format_name: str, out: Path | None) -> None:
    """Write every episode of every test for other tools.

    \b
    python -m benchmarks.leaderboard export --results results/small --format marl-eval
    python -m benchmarks.leaderboard export --results results/small --format csv --out episodes.csv

    marl-eval: the JSON that marl-eval reads, finished runs only. csv, parquet: a row an episode, with the state of its
    run; parquet needs the package pyarrow.
    """
    from benchmarks.leaderboard.export import FORMATS, export
    from benchmarks.leaderboard.results import read_results

    path = out or results / FOLDER / FORMATS[format_name][0]
    found = read_results(results)
    try:
        click.echo(str(export(found, format_name, path)))
    except OSError as error:
        raise ValueError(DISK.format(path=path, error=error.strerror)) from error
