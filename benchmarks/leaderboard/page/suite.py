"""The page's tables over all tasks: aggregates, and who is likely to beat whom."""

from collections import Counter
from typing import Any, Mapping, Sequence

from benchmarks.leaderboard.page.cells import Strip, column, estimate, rank_text, values_of
from benchmarks.leaderboard.page.names import Algorithm
from benchmarks.leaderboard.page.text import finite
from benchmarks.leaderboard.statistics.bootstrap import Interval
from benchmarks.leaderboard.statistics.ranks import ranks

__all__ = ["improvement", "overall"]

AGGREGATES = {
    "iqm": ("IQM", "interquartile mean, higher is better", True),
    "median": ("Median", "higher is better", True),
    "mean": ("Mean", "higher is better", True),
    "optimality_gap": ("Optimality gap", "lower is better", False),
}


def overall(data: Mapping[str, Any], algorithms: Mapping[str, Algorithm]) -> dict[str, Any] | None:
    """The table over all tasks, best interquartile mean first; None without aggregates."""
    entries = data.get("aggregates") or []
    if not entries:
        return None
    columns = [name for name in AGGREGATES if any(entry.get(name) for entry in entries)]
    unfinished = {row["algorithm"] for row in data["rows"] if 0 < row["n"] < sum(row["states"].values())}
    places = _ranks([entry for entry in entries if entry["algorithm"] not in unfinished])
    strip = Strip([*values_of(entry.get("iqm") for entry in entries), 0.0, 1.0], [0.0, 1.0])
    rows = []
    for entry in entries:
        rank = places.get(entry["algorithm"])
        rows.append(
            {
                "algorithm": algorithms[entry["algorithm"]],
                "rank": rank,
                "rank_text": rank_text(rank, places.values()),
                "rank_why": None if rank else _rank_why(entry["algorithm"] in unfinished),
                "n_runs": entry["n_runs"],
                "n_tasks": entry["n_tasks"],
                "cells": [
                    {**estimate(entry.get(name), 3, "point"), "n": str(entry["n_runs"])} for name in columns
                ],
                "strip": strip.mark(entry.get("iqm"), "point"),
            }
        )
    rows.sort(key=lambda row: (row["rank"] is None, row["rank"] or 0, -(row["cells"][0]["value"] or 0)))
    return {
        "columns": [column(name, *AGGREGATES[name]) for name in columns],
        "rows": rows,
        "strip": strip.titles(),
        "references": strip.references,
    }


def improvement(data: Mapping[str, Any], algorithms: Mapping[str, Algorithm]) -> list[dict[str, Any]]:
    """For each algorithm the probability that a run of it beats a run of each other one.

    A pair that the report has one way round only is turned: P(Y > X) = 1 - P(X > Y), ties counting half.
    """
    known = {(pair["x"], pair["y"]): pair for pair in data.get("improvement") or ()}
    for (x, y), pair in list(known.items()):
        turned = {
            name: None if finite(pair[other]) is None else 1.0 - pair[other]
            for name, other in (("point", "point"), ("low", "high"), ("high", "low"))
        }
        known.setdefault((y, x), {"x": y, "y": x, **turned})
    strip = Strip([0.0, 1.0], [0.5])
    n: dict[str, dict[str, int]] = {}
    for row in data["rows"]:
        if row["n"]:
            n.setdefault(row["algorithm"], {})[row["task"]] = row["n"]
    found = []
    for name, algorithm in algorithms.items():
        rows = [
            {
                "algorithm": algorithms[y],
                "cell": {**estimate(pair, 2, "point"), "n": _both(n, name, y)},
                "strip": strip.mark(pair, "point"),
            }
            for y in algorithms
            for pair in [known.get((name, y))]
            if pair
        ]
        if rows:
            found.append({"algorithm": algorithm, "rows": rows, "references": strip.references})
    return found


def _rank_why(is_unfinished: bool) -> str:
    if is_unfinished:
        return "not ranked: not all runs of a task are finished"
    return "not ranked: other tasks than those ranked, or no interval"


def _ranks(entries: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Places by IQM, among the algorithms of `_compared_tasks`; {} without entries."""
    compared = _compared_tasks(entries)
    known = {
        entry["algorithm"]: entry["iqm"]
        for entry in entries
        if frozenset(entry["tasks"]) == compared and finite((entry.get("iqm") or {}).get("low")) is not None
    }
    places = ranks([Interval(each["point"], each["low"], each["high"]) for each in known.values()])
    return {name: place for name, place in zip(known, places) if place is not None}


def _compared_tasks(entries: Sequence[Mapping[str, Any]]) -> frozenset[str] | None:
    """The largest set of tasks that an algorithm has finished runs on; of several, the one that more have.

    None where that leaves a choice: then nobody can be said to lead.
    """
    counted = Counter(frozenset(entry["tasks"]) for entry in entries)
    sizes = {tasks: (len(tasks), n) for tasks, n in counted.items()}
    largest = [tasks for tasks, size in sizes.items() if size == max(sizes.values())]
    return largest[0] if len(largest) == 1 else None


def _both(n: Mapping[str, Mapping[str, int]], x: str, y: str) -> str | None:
    """How many runs of x and of y were compared, those on tasks where both have some."""
    shared = n.get(x, {}).keys() & n.get(y, {}).keys()
    return ", ".join(str(sum(n[name][task] for task in shared)) for name in (x, y)) if shared else None
