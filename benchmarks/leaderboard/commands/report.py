"""The verb report: tables, curves and the page of a results folder."""

import json
import logging
from pathlib import Path
from typing import Any, Mapping

import click

__all__ = ["FOLDER", "command", "write_report"]

FOLDER = "report"  # in the results folder
FOLDERS: Any = click.Path(path_type=Path, file_okay=False)
WHICH = "report: --results or --board is missing, or both are there. Write --results results/small, or --board board."
DISK = "report: the report could not be written ({error}). Free space or name another --out, then ask again."


@click.command()
@click.option("--results", metavar="DIR", type=FOLDERS, help="The folder that everything lies in.")
@click.option("--board", metavar="DIR", type=FOLDERS, help="In its place: a board of verified submissions.")
@click.option("--out", metavar="DIR", type=FOLDERS, help="Folder of the report; `report` in the first one by default.")
@click.option("--title", help="Title of the report; the protocol's name by default.")
@click.option("--no-plots", is_flag=True, help="Leave the pictures out.")
def command(results: Path | None, board: Path | None, out: Path | None, title: str | None, no_plots: bool) -> None:
    """Write report.md, index.html, the pictures and report.json of a results folder, or of a board.

    \b
    python -m benchmarks.leaderboard report --results results/small
    python -m benchmarks.leaderboard report --board board

    It can be asked for at any time: what is not run yet is shown as not run. index.html needs no network.
    """
    folder = results or board
    if folder is None or (results and board):
        raise ValueError(WHICH)
    logging.getLogger("matplotlib").setLevel(logging.WARNING)
    data = _of_results(folder, title) if results else _of_board(folder, title)
    try:
        written = write_report(data, out or folder / FOLDER, not no_plots)
    except OSError as error:
        raise ValueError(DISK.format(error=error)) from error
    finished = sum(row["n"] for row in data["rows"])
    click.echo(f"{finished} of {sum(len(row['runs']) for row in data['rows'])} runs are finished.")
    click.echo("\n".join(str(path) for path in written))


def _of_results(folder: Path, title: str | None) -> dict[str, Any]:
    from benchmarks.leaderboard.report.data import COLUMNS, report_data
    from benchmarks.leaderboard.results import read_results

    return report_data(read_results(folder, COLUMNS), title)


def _of_board(folder: Path, title: str | None) -> dict[str, Any]:
    from benchmarks.leaderboard.bundle.board import read_board
    from benchmarks.leaderboard.report.data import COLUMNS, report_data

    board = read_board(folder, COLUMNS)
    return report_data(board.results, title, board.tiers, board.notes)


def write_report(data: Mapping[str, Any], folder: Path, with_plots: bool = True) -> list[Path]:
    """Write a report's files into `folder`, each whole or not at all; pictures of an earlier report go.

    Returns:
        report.md, index.html, report.json.

    Raises:
        OSError: the disk refused twice.
    """
    from benchmarks.leaderboard.page.page import page
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
