"""A report's pictures, PNG and SVG: curves of each task; aggregates, profiles, improvement, efficiency of the suite.

Colours are those of Okabe and Ito (https://jfly.uni-koeln.de/color/), which readers with any colour vision tell apart;
with more algorithms than colours, dashes tell them apart too. An algorithm looks the same in every picture.
"""

import io
import math
from functools import partial
from pathlib import Path
from typing import Any, Mapping, Sequence

from benchmarks.leaderboard.processes import in_processes
from epymarl_lite.utils.files import write_file
from registry.config import folder_name

__all__ = ["draw", "looks"]

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DASHES = ("-", "--", ":", "-.")
MANY = 7  # algorithms from which shades overlap too much to tell: intervals become thin lines
FEW = 7  # pictures that one process draws as soon as two
FORMATS = ("png", "svg")
STYLE: Any = {
    "font.size": 9, "axes.grid": True, "grid.alpha": 0.3, "axes.axisbelow": True, "svg.hashsalt": "leaderboard",
}  # fmt: skip
AGGREGATES = {"iqm": "interquartile mean", "median": "median", "mean": "mean", "optimality_gap": "optimality gap"}

Job = tuple[str, Mapping[str, Any] | None]  # a picture's name; the task whose curves it shows


def looks(names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """name -> colour and dashes of its line."""
    return {
        name: {"color": COLOURS[k % len(COLOURS)], "linestyle": DASHES[k // len(COLOURS) % len(DASHES)]}
        for k, name in enumerate(names)
    }


def draw(data: Mapping[str, Any], folder: Path) -> list[str]:
    """Draw everything there is something to draw of.

    Returns:
        file names of the PNGs in `folder`, in the order of the report.

    Raises:
        OSError: the disk refused twice.
    """
    tasks = [task for task in data["tasks"] if data["curves"].get(task["key"])]
    parts = {
        "aggregates": data["aggregates"],
        "profiles": data["profiles"]["algorithms"],
        "improvement": data["improvement"],
        "efficiency": data["efficiency"]["algorithms"],
    }
    jobs: list[Job] = [(f"curve-{folder_name(task['title'])}", task) for task in tasks]
    jobs += [(name, None) for name, part in parts.items() if part]
    return in_processes(partial(_draw_one, data=data, folder=folder), jobs, len(jobs) > FEW)


def _draw_one(job: Job, data: Mapping[str, Any], folder: Path) -> str:
    import matplotlib

    name, task = job
    suite = {"aggregates": _aggregates, "profiles": _profiles, "improvement": _improvement, "efficiency": _efficiency}
    with matplotlib.rc_context(STYLE):
        figure = suite[name](data) if task is None else _curves(task, data)
        return _save(figure, folder / name)


def _save(figure: Any, stem: Path) -> str:
    for suffix in FORMATS:
        content = io.BytesIO()
        metadata = {"Date": None} if suffix == "svg" else {"Software": None}  # the same report, the same bytes
        figure.savefig(content, format=suffix, dpi=130, metadata=metadata)
        figure.set_layout_engine("none")  # where things stand is found out once
        write_file(stem.with_name(f"{stem.name}.{suffix}"), content.getvalue())
    return f"{stem.name}.png"


def _figure(width: float, height: float, n_columns: int = 1) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(1, n_columns, squeeze=False)[0]


def _titles(data: Mapping[str, Any]) -> dict[str, str]:
    return {each["name"]: each["title"] for each in data["algorithms"]}


def _bands(
    axis: Any,
    x: Mapping[str, Sequence[float]],
    bands: Mapping[str, Mapping[str, Any]],
    labels: Mapping[str, str],
    names: Sequence[str],
    middle: str,
) -> None:
    """Lines with their intervals, in the order and looks of the algorithms `names`."""
    for name, look in looks(names).items():
        if name not in bands:
            continue
        band = bands[name]
        axis.plot(x[name], _numbers(band[middle]), label=labels[name], linewidth=1.6, **look)
        low, high = _numbers(band["low"]), _numbers(band["high"])
        if len(bands) < MANY:
            axis.fill_between(x[name], low, high, color=look["color"], alpha=0.18, linewidth=0)
        else:
            for edge in (low, high):
                axis.plot(x[name], edge, color=look["color"], linewidth=0.4, alpha=0.5)


def _numbers(values: Sequence[float | None]) -> list[float]:
    return [math.nan if value is None else value for value in values]


def _steps(axis: Any) -> None:
    from matplotlib.ticker import EngFormatter

    axis.xaxis.set_major_formatter(EngFormatter(sep=""))
    axis.set_xlabel("environment steps")


def _legend(figure: Any, axis: Any, n: int) -> None:
    figure.legend(*axis.get_legend_handles_labels(), loc="outside right upper", ncols=1 + n // 13, frameon=False)


def _curves(task: Mapping[str, Any], data: Mapping[str, Any]) -> Any:
    """Returns over steps of one task."""
    figure, (axis,) = _figure(7.2, 3.8)
    curves, titles = data["curves"][task["key"]], _titles(data)
    labels = {name: f"{titles[name]} (n = {_span(curve['n'])})" for name, curve in curves.items()}
    _bands(axis, {name: curve["step"] for name, curve in curves.items()}, curves, labels, list(titles), "mean")
    for name, dashes in (("random", (0, (1, 3))), ("best", (0, (5, 4)))):
        if task[name] is not None:
            axis.axhline(task[name], color="0.45", linewidth=0.9, linestyle=dashes, label=name)
    bounded = any(low is not None for curve in curves.values() for low in curve["low"])
    axis.set_ylabel("test return, mean and 95 % interval" if bounded else "test return, mean")
    axis.set_title(task["title"])
    _steps(axis)
    _legend(figure, axis, len(curves))
    return figure


def _span(counts: Sequence[int]) -> str:
    low, high = min(counts), max(counts)
    return str(low) if low == high else f"{low} to {high}"


def _aggregates(data: Mapping[str, Any]) -> Any:
    """A panel for each of the four, a line for each algorithm."""
    found, titles = data["aggregates"], _titles(data)
    figure, axes = _figure(10.5, 1.1 + 0.3 * len(found), len(AGGREGATES))
    look = looks(list(titles))
    for axis, (name, words) in zip(axes, AGGREGATES.items()):
        for place, each in enumerate(found):
            colour, number = look[each["algorithm"]]["color"], each[name]
            if number["low"] is not None:
                axis.plot([number["low"], number["high"]], [place, place], color=colour, linewidth=6, alpha=0.35,
                          solid_capstyle="butt")  # fmt: skip
            axis.plot([number["point"]], [place], "|", color=colour, markersize=12, markeredgewidth=2)
        axis.set_ylim(len(found) - 0.5, -0.5)
        axis.set_yticks(range(len(found)), ["" for _ in found])
        axis.set_title(words + (", lower is better" if name == "optimality_gap" else ""), fontsize="medium")
    axes[0].set_yticklabels([f"{titles[each['algorithm']]} (n = {each['n_runs']})" for each in found])
    bounded = any(each[name]["low"] is not None for each in found for name in AGGREGATES)
    words = "normalised final return"
    figure.supxlabel(f"{words}, with 95 % interval" if bounded else words, fontsize="medium")
    return figure


def _profiles(data: Mapping[str, Any]) -> Any:
    figure, (axis,) = _figure(7.2, 3.8)
    bands, titles = data["profiles"]["algorithms"], _titles(data)
    _bands(axis, dict.fromkeys(bands, data["profiles"]["tau"]), bands, _counted(data), list(titles), "point")
    axis.set_xlabel("normalised final return τ")
    axis.set_ylabel("share of runs above τ")
    axis.set_title("performance profiles")
    _legend(figure, axis, len(bands))
    return figure


def _efficiency(data: Mapping[str, Any]) -> Any:
    figure, (axis,) = _figure(7.2, 3.8)
    bands, titles = data["efficiency"]["algorithms"], _titles(data)
    _bands(axis, dict.fromkeys(bands, data["efficiency"]["step"]), bands, _counted(data), list(titles), "point")
    axis.set_ylabel("interquartile mean of normalised returns")
    axis.set_title("sample efficiency")
    _steps(axis)
    _legend(figure, axis, len(bands))
    return figure


def _counted(data: Mapping[str, Any]) -> dict[str, str]:
    titles = _titles(data)
    return {each["algorithm"]: f"{titles[each['algorithm']]} (n = {each['n_runs']})" for each in data["aggregates"]}


def _improvement(data: Mapping[str, Any]) -> Any:
    """A square for each pair: the row beats the column."""
    pairs, titles = {(pair["x"], pair["y"]): pair for pair in data["improvement"]}, _titles(data)
    names = [name for name in titles if any(name in pair for pair in pairs)]
    size = 2.2 + 0.62 * len(names)
    figure, (axis,) = _figure(size + 0.9, size)
    table = [[pairs[x, y]["point"] if (x, y) in pairs else math.nan for y in names] for x in names]
    image = axis.imshow(table, cmap="PuOr", vmin=0.0, vmax=1.0)
    for i, x in enumerate(names):
        for j, y in enumerate(names):
            if (x, y) in pairs:
                _write_pair(axis, i, j, pairs[x, y])
    axis.grid(False)
    axis.set_yticks(range(len(names)), [titles[name] for name in names])
    axis.set_xticks(range(len(names)), [titles[name] for name in names], rotation=45, ha="right")
    axis.set_title("P(a run of the row beats a run of the column)", fontsize="medium")
    figure.colorbar(image, ax=axis, shrink=0.7)
    return figure


def _write_pair(axis: Any, i: int, j: int, pair: Mapping[str, Any]) -> None:
    is_dark = abs(pair["point"] - 0.5) > 0.35
    bounds = "" if pair["low"] is None else f"\n{pair['low']:.2f}–{pair['high']:.2f}"
    colour = "white" if is_dark else "black"
    axis.text(j, i, f"{pair['point']:.2f}{bounds}", ha="center", va="center", color=colour, fontsize=6.5)
