"""`page`: the report's data as one HTML file that needs no network, no server and, for its tables, no script."""

import base64
import hashlib
import json
from functools import cache
from importlib.resources import files
from typing import Any, Mapping

from benchmarks.leaderboard.page import suite, tables
from benchmarks.leaderboard.page.figures import MOST_POINTS, figures
from benchmarks.leaderboard.page.names import algorithms_of
from benchmarks.leaderboard.page.text import finite, plural, shown, whole

__all__ = ["embedded", "page"]

SCRIPTS = ("format.js", "tooltip.js", "chart.js", "tables.js", "main.js")  # one after the other in one element
STYLES = ("page.css", "figures.css")

MOST_NOTES = 14  # in sight; the others unfold


def page(data: Mapping[str, Any]) -> str:
    """The whole of index.html for the report `data` (benchmarks/leaderboard/report/data.py says what is in it).

    Python writes every number into tables; the script adds sorting, filters and curves. The page's policy allows its
    own two inline texts by their hashes and nothing else: a text that got past escaping still could not run or load.
    """
    from markupsafe import Markup

    algorithms = algorithms_of(data)
    drawn = figures(data, algorithms)
    script, style = _assets(SCRIPTS), _assets(STYLES)
    policy = {
        "default-src": "'none'",
        "script-src": _hash(script),
        "style-src": _hash(style),
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "require-trusted-types-for": "'script'",
    }
    return (
        _environment()
        .get_template("index.html.jinja")
        .render(
            data=data,
            algorithms=list(algorithms.values()),
            tasks=tables.tasks(data, algorithms, drawn["charts"]),
            overall=suite.overall(data, algorithms),
            improvement=suite.improvement(data, algorithms),
            coverage=tables.coverage(data, algorithms),
            charts=drawn["charts"],
            most_points=MOST_POINTS,
            most_notes=MOST_NOTES,
            policy="; ".join(f"{name} {value}" for name, value in policy.items()),
            script=Markup(script),
            style=Markup(style),
            embedded=Markup(embedded(drawn)),
        )
    )


def embedded(value: Any) -> str:
    """JSON that may stand in a script element: no `<`, `>`, `&`, and nothing beyond ASCII, in particular no U+2028."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for letter in "<>&":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text


@cache
def _environment() -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("benchmarks.leaderboard.page", "assets"),
        autoescape=True,
        finalize=shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(whole=whole, plural=plural, exact=_exact)
    return environment


def _assets(names: tuple[str, ...]) -> str:
    folder = files("benchmarks.leaderboard.page") / "assets"
    return "\n" + "\n".join((folder / name).read_text(encoding="utf-8") for name in names)


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _exact(value: Any) -> str:
    """What a cell sorts by: the shortest text that is exactly this number, empty for none."""
    known = finite(value)
    return "" if known is None else repr(known)
