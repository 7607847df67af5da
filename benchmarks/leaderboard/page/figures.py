"""What the page's script draws: curves, profiles and sample efficiency as plain lists, thinned for display."""

from typing import Any, Mapping, Sequence

from benchmarks.leaderboard.page.names import Algorithm
from benchmarks.leaderboard.page.text import finite, shown

__all__ = ["MOST_POINTS", "figures", "kept"]

MOST_POINTS = 400
SIGNIFICANT = 6


def kept(n: int, most: int = MOST_POINTS) -> list[int]:
    """Which of `n` points are drawn: all, or every k-th with the first and the last, at most `most` of them.

    Points are left out, never averaged: whatever the page shows was measured.
    """
    if n <= most:
        return list(range(n))
    stride = -(-(n - 1) // (most - 1))
    return sorted({*range(0, n, stride), n - 1})


def figures(data: Mapping[str, Any], algorithms: Mapping[str, Algorithm]) -> dict[str, Any]:
    """`{"algorithms": […], "charts": {id: chart}}`; chart `task-i` belongs to the report's task i.

    A chart: {"x", "y" (titles), "range" (of y, or None), "lines": [{"label", "y"}], "points", "of" (drawn, of how
    many), "series": [{"a": index of the algorithm, "x", "y", "low", "high": lists with None for what is not known, "n":
    a list, a number that all points have, or None}]}.
    """
    charts = {}
    for index, task in enumerate(data["tasks"]):
        curves = data["curves"].get(task["key"]) or {}
        series = [_series(algorithms[name], curve, curve["step"], "mean") for name, curve in curves.items()]
        if series:
            charts[f"task-{index}"] = _chart(series, "environment steps", "mean test return", _references(task))
    n_runs = {entry["algorithm"]: entry["n_runs"] for entry in data.get("aggregates") or ()}
    profiles, efficiency = data.get("profiles") or {}, data.get("efficiency") or {}
    for name, part, axis, titles, bounds in (
        ("profiles", profiles, "tau", ("normalised score τ", "share of runs that score more than τ"), [0, 1]),
        ("efficiency", efficiency, "step", ("environment steps", "interquartile mean of normalised scores"), None),
    ):
        series = [
            _series(algorithms[each], {**curve, "n": n_runs.get(each)}, part[axis], "point")
            for each, curve in (part.get("algorithms") or {}).items()
        ]
        if series:
            charts[name] = {**_chart(series, *titles, []), "range": bounds}
    return {
        "algorithms": [
            {
                "name": shown(each.name),
                "title": shown(each.title),
                "colour": each.colour,
                "marker": each.marker,
                "dash": each.dash,
            }
            for each in algorithms.values()
        ],
        "charts": charts,
    }


def _references(task: Mapping[str, Any]) -> list[dict[str, Any]]:
    known = (("random policy", task.get("random")), ("best known", task.get("best")))
    return [{"label": label, "y": value} for label, value in known if finite(value) is not None]


def _chart(
    series: Sequence[Mapping[str, Any]], x: str, y: str, lines: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    longest = max(series, key=lambda each: each["of"])
    return {
        "x": x,
        "y": y,
        "range": None,
        "lines": list(lines),
        "points": len(longest["x"]),
        "of": longest["of"],
        "series": [{key: value for key, value in each.items() if key != "of"} for each in series],
    }


def _series(algorithm: Algorithm, curve: Mapping[str, Any], steps: Sequence[float], middle: str) -> dict[str, Any]:
    size = min(len(steps), len(curve[middle]))
    chosen = kept(size)
    counts = curve.get("n")
    if isinstance(counts, Sequence) and not isinstance(counts, str):
        counts = [counts[i] for i in chosen]
        counts = counts[0] if len(set(counts)) == 1 else counts
    return {
        "a": algorithm.index,
        "of": size,
        "n": counts,
        "x": [_rounded(steps[i]) for i in chosen],
        "y": [_rounded(curve[middle][i]) for i in chosen],
        "low": _bound(curve.get("low"), chosen),
        "high": _bound(curve.get("high"), chosen),
    }


def _bound(values: Sequence[Any] | None, chosen: Sequence[int]) -> list[float | None]:
    return [_rounded(values[i]) for i in chosen] if values else [None] * len(chosen)


def _rounded(value: Any) -> float | None:
    known = finite(value)
    return known if known is None or isinstance(known, int) else float(f"{known:.{SIGNIFICANT}g}")
