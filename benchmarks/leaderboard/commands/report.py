"""The verb report: tables, curves and the page of a results folder."""

import json
import logging
from pathlib import Path
from typing import Any, Mapping

import click

from benchmarks.leaderboard.commands.options import results_option

__all__ = ["FOLDER", "command", "write_report"]

FOLDER = "report"  # in the results folder
DISK = "report: the report could not be written ({error}). Free space or name another --out, then ask again."


@click.command()
@results_option
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Its folder; RESULTS/report by default.")
@click.option("--title", help="Title of the report; the protocol's name by default.")
@click.option("--no-plots", is_flag=True, help="Leave the pictures out.")
def command(results: Path, out: Path | None, title: str | None, no_plots: bool) -> None:
    """Write report.md, index.html, the pictures and report.json of a results folder.

    \b
    python -m benchmarks.leaderboard report --results results/small

    It can be asked for at any time: what is not run yet is shown as not run. index.html needs no network.
    """
    from benchmarks.leaderboard.report.data import COLUMNS, report_data
    from benchmarks.leaderboard.results import read_results

    logging.getLogger("matplotlib").setLevel(logging.WARNING)
    data = report_data(read_results(results, COLUMNS), title)
    try:
        written = write_report(data, out or results / FOLDER, not no_plots)
    except OSError as error:
        raise ValueError(DISK.format(error=error)) from error
    finished = sum(row["n"] for row in data["rows"])
    click.echo(f"{finished} of {sum(len(row['runs']) for row in data['rows'])} runs are finished.")
    click.echo("\n".join(str(path) for path in written))


def write_report(data: Mapping[str, Any], folder: Path, with_plots: bool = True) -> list[Path]:
    """Write a report's files into `folder`, each whole or not at all; pictures of an earlier report go.

    Returns:
        report.md, index.html, report.json.

    Raises:
        OSError: the disk refused twice.
    """
    from benchmarks.leaderboard.page import page
    from benchmarks.leaderboard.report.markdown import markdown
    from benchmarks.leaderboard.report.plots import draw
    from epymarl_lite.utils.files import write_file

    plots = folder / "plots"
    for old in [*plots.glob("*.png"), *plots.glob("*.svg")]:
        old.unlink()
    names = draw(data, plots) if with_plots else []
    contents = {
        "report.md": markdown(data, [f"plots/{name}" for name in names]),
        "index.html": page(data),
        "report.json": json.dumps(data, allow_nan=False, ensure_ascii=False, separators=(",", ":")) + "\n",
    }
    for name, content in contents.items():
        write_file(folder / name, content.encode("utf-8"))
    return [folder / name for name in contents]
