"""Options that several verbs share."""

from pathlib import Path
from typing import Any, Callable

import click

__all__ = ["chosen_options", "results_option", "words"]

results_option = click.option(
    "--results", required=True, metavar="DIR", type=click.Path(path_type=Path, file_okay=False),
    help="The folder that everything lies in.",
)  # fmt: skip


def chosen_options(verb: Callable[..., Any]) -> Callable[..., Any]:
    """--algorithms, --tasks and --seeds; each takes names with commas between them, and may come again."""
    for name, example in (("seeds", "1,2"), ("tasks", "poac-1,poac-2"), ("algorithms", "mvd,qmix")):
        told = f"Only these {name} of the protocol, e.g. {example}."
        verb = click.option(f"--{name}", multiple=True, metavar="A,B", help=told)(verb)
    return verb


def words(given: tuple[str, ...]) -> list[str]:
    """What stands between the commas, each once, in order."""
    return list(dict.fromkeys(word.strip() for each in given for word in each.split(",") if word.strip()))
