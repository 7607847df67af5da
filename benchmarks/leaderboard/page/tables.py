"""The page's tables as plain values: what each cell shows, what it sorts by, and why a number is not there."""

import math
from typing import Any, Iterable, Mapping, Sequence

from benchmarks.leaderboard.page.names import Algorithm
from benchmarks.leaderboard.page.provenance import provenance, states_text
from benchmarks.leaderboard.page.text import decimals_for, finite, number, plural, short, whole

__all__ = ["coverage", "improvement", "overall", "tasks"]

# column of a row -> (title, what it is, whether the highest is best)
ESTIMATES = {
    "final": ("Final return", "mean of last tests", True),
    "absolute": ("Absolute metric", "mean of best models", True),
    "normalised": ("Normalised", "0 random, 1 best known", True),
    "win_rate": ("Win rate", "of test episodes", True),
}
AGGREGATES = {
    "iqm": ("IQM", "interquartile mean, higher is better", True),
    "median": ("Median", "higher is better", True),
    "mean": ("Mean", "higher is better", True),
    "optimality_gap": ("Optimality gap", "lower is better", False),
}
MARGIN = 4.0  # per cent of a strip left free on both sides


def tasks(data: Mapping[str, Any], algorithms: Mapping[str, Algorithm], charts: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One table a task, in the report's order; rows by rank, then by final return."""
    found = []
    for index, task in enumerate(data["tasks"]):
        rows = [row for row in data["rows"] if row["task"] == task["key"]]
        columns = [name for name in ESTIMATES if any(row.get(name) for row in rows)]
        decimals = {name: decimals_for(_values(row.get(name) for row in rows)) for name in columns}
        references = [finite(task.get(name)) for name in ("random", "best")]
        strip = _Strip([*_values(row.get("final") for row in rows), *references])
        rows = sorted(rows, key=_order)
        found.append({
            "index": index, "key": task["key"], "title": task.get("title") or task["key"], "available": task["available"],
            "why": task.get("why"), "facts": _facts(task), "settings": task.get("settings") or {},
            "columns": [_column(name, *ESTIMATES[name]) for name in columns],
            "absent": [ESTIMATES[name][0] for name in ESTIMATES if name not in columns],
            "strip": strip.titles(), "references": [strip.place(value) for value in references if value is not None],
            "rows": [_row(row, rows, algorithms, columns, decimals, strip) for row in rows],
            "chart": f"task-{index}" if f"task-{index}" in charts else None,
            "tiers": any(row.get("tier") for row in rows),
        })
    return found


def overall(data: Mapping[str, Any], algorithms: Mapping[str, Algorithm]) -> dict[str, Any] | None:
    """The table over all tasks, best interquartile mean first; None without aggregates."""
    entries = data.get("aggregates") or []
    if not entries:
        return None
    columns = [name for name in AGGREGATES if any(entry.get(name) for entry in entries)]
    ranks = _overall_ranks(entries)
    strip = _Strip([*_values(entry.get("iqm") for entry in entries), 0.0, 1.0])
    rows = []
    for entry in entries:
        rank = ranks.get(entry["algorithm"])
        rows.append({
            "algorithm": algorithms[entry["algorithm"]], "rank": rank,
            "rank_text": _rank_text(rank, ranks.values()),
            "rank_why": None if rank else "not ranked: fewer tasks than others, or no interval",
            "n_runs": entry["n_runs"], "n_tasks": entry["n_tasks"],
            "cells": [{**_estimate(entry.get(name), 3, "point"), "n": str(entry["n_runs"])} for name in columns],
            "strip": strip.mark(entry.get("iqm"), "point"),
        })
    rows.sort(key=lambda row: (row["rank"] is None, row["rank"] or 0, -(row["cells"][0]["value"] or 0)))
    return {
        "columns": [_column(name, *AGGREGATES[name]) for name in columns], "rows": rows, "strip": strip.titles(),
        "references": [strip.place(0.0), strip.place(1.0)],
    }


def improvement(data: Mapping[str, Any], algorithms: Mapping[str, Algorithm]) -> list[dict[str, Any]]:
    """For each algorithm the probability that a run of it beats a run of each other one.

    A pair that the report has one way round only is turned: P(Y > X) = 1 - P(X > Y), ties counting half.
    """
    known = {(pair["x"], pair["y"]): pair for pair in data.get("improvement") or ()}
    for (x, y), pair in list(known.items()):
        turned = {name: None if finite(pair[other]) is None else 1.0 - pair[other]
                  for name, other in (("point", "point"), ("low", "high"), ("high", "low"))}
        known.setdefault((y, x), {"x": y, "y": x, **turned})
    strip = _Strip([0.0, 1.0])
    n_runs = {entry["algorithm"]: entry["n_runs"] for entry in data.get("aggregates") or ()}
    found = []
    for name, algorithm in algorithms.items():
        rows = [
            {"algorithm": algorithms[y], "cell": {**_estimate(pair, 2, "point"), "n": _both(n_runs, name, y)}, "strip": strip.mark(pair, "point")}
            for y in algorithms for pair in [known.get((name, y))] if pair
        ]
        if rows:
            found.append({"algorithm": algorithm, "rows": rows, "references": [strip.place(0.5)]})
    return found


def coverage(data: Mapping[str, Any], algorithms: Mapping[str, Algorithm]) -> dict[str, Any]:
    """How many runs of each cell are finished, and the sentence that says it for all of them."""
    rows = {(row["task"], row["algorithm"]): row for row in data["rows"]}
    used = [each for each in algorithms.values() if any(name == each.name for _, name in rows)]
    found = []
    for index, task in enumerate(data["tasks"]):
        cells = [_covered(rows.get((task["key"], each.name))) for each in used]
        found.append({"index": index, "title": task.get("title") or task["key"], "key": task["key"], "cells": cells,
                      "available": task["available"], "why": task.get("why") or "no reason given"})
    open_tasks = {task["key"] for task in data["tasks"] if task["available"]}
    states: dict[str, int] = {}
    for row in data["rows"]:
        if row["task"] in open_tasks:
            for state, count in row["states"].items():
                states[state] = states.get(state, 0) + count
    return {
        "algorithms": used, "rows": found, "states": states, "total": sum(states.values()),
        "rest": states_text({state: count for state, count in states.items() if state != "finished"})
        if any(count for state, count in states.items() if state != "finished") else None,
        "n_open": len(open_tasks), "n_closed": len(data["tasks"]) - len(open_tasks),
    }


class _Strip:
    """A scale on which a table's estimates are drawn beside each other, in per cent of the cell's width."""

    def __init__(self, values: Sequence[float | None]) -> None:
        known = [value for value in values if value is not None]
        self.low, self.high = (min(known), max(known)) if known else (0.0, 1.0)
        if self.low == self.high:
            self.low, self.high = self.low - 1.0, self.high + 1.0

    def place(self, value: float) -> str:
        share = (value - self.low) / (self.high - self.low)
        return f"{MARGIN + (100.0 - 2.0 * MARGIN) * share:.2f}%"

    def mark(self, estimate: Mapping[str, Any] | None, middle: str) -> dict[str, str] | None:
        known = {name: finite((estimate or {}).get(name)) for name in (middle, "low", "high")}
        if known[middle] is None:
            return None
        return {("point" if name == middle else name): self.place(value) for name, value in known.items() if value is not None}

    def titles(self) -> tuple[str, str]:
        return short(self.low), short(self.high)


def _row(
    row: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], algorithms: Mapping[str, Algorithm],
    columns: Sequence[str], decimals: Mapping[str, int], strip: _Strip,
) -> dict[str, Any]:
    return {
        "algorithm": algorithms[row["algorithm"]],
        "rank": row.get("rank"), "rank_text": _rank_text(row.get("rank"), [each.get("rank") for each in rows]),
        "rank_why": _rank_why(row),
        "cells": [_estimate(row.get(name), decimals[name], "mean", _why_not(row)) for name in columns],
        "strip": strip.mark(row.get("final"), "mean"), "tier": row.get("tier"),
        "steps": row.get("steps"), "steps_text": whole(row.get("steps")),
        "n": row["n"], "of": sum(row["states"].values()), "states": states_text(row["states"]),
        "rest": states_text({state: count for state, count in row["states"].items() if state != "finished"})
        if any(count for state, count in row["states"].items() if state != "finished") else None,
        "reasons": list(dict.fromkeys(run["reason"] for run in row["runs"] if run.get("reason"))),
        "provenance": provenance(row, decimals.get("final", 3)),
    }


def _estimate(estimate: Mapping[str, Any] | None, decimals: int, middle: str, why: str = "not available") -> dict[str, Any]:
    """One cell: the value, its interval, how many runs it is of, or why it is not there."""
    value = finite((estimate or {}).get(middle))
    if estimate is None or value is None:
        return {"value": None, "why": why}
    low, high, n = finite(estimate.get("low")), finite(estimate.get("high")), estimate.get("n")
    interval = None if low is None or high is None else (number(low, decimals), number(high, decimals))
    return {
        "value": value, "text": number(value, decimals), "interval": interval, "n": n, "low": low, "high": high,
        "why": "one run, no interval" if n == 1 else "no interval",
    }


def _why_not(row: Mapping[str, Any]) -> str:
    return "not measured" if row["n"] else states_text(row["states"]) if any(
        count for state, count in row["states"].items() if state != "not run") else "not run"


def _rank_why(row: Mapping[str, Any]) -> str | None:
    if row.get("rank") is not None:
        return None
    return {0: "not ranked: no finished run", 1: "not ranked: one run has no interval"}.get(row["n"], "not ranked")


def _rank_text(rank: int | None, all_ranks: Iterable[int | None]) -> str:
    """`1`, or `2=` where others have the same rank."""
    if rank is None:
        return "–"
    return f"{rank}=" if sum(other == rank for other in all_ranks) > 1 else str(rank)


def _overall_ranks(entries: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """1 + the number of algorithms above, where overlapping intervals, also in a chain, stand at one place.

    Only algorithms that have as many tasks as any other are compared.
    """
    most = max(entry["n_tasks"] for entry in entries)
    known = {
        entry["algorithm"]: entry["iqm"] for entry in entries
        if entry["n_tasks"] == most and finite((entry.get("iqm") or {}).get("low")) is not None
    }
    ranks: dict[str, int] = {}
    floor, rank = math.inf, 1
    for name in sorted(known, key=lambda each: -known[each]["high"]):
        if known[name]["high"] < floor:
            rank = len(ranks) + 1
        floor = min(floor, known[name]["low"])
        ranks[name] = rank
    return ranks


def _both(n_runs: Mapping[str, int], x: str, y: str) -> str | None:
    return f"{n_runs[x]}, {n_runs[y]}" if x in n_runs and y in n_runs else None


def _column(name: str, title: str, what: str, highest_is_best: bool) -> dict[str, Any]:
    return {"name": name, "title": title, "what": what, "first": "descending" if highest_is_best else "ascending"}


def _covered(row: Mapping[str, Any] | None) -> dict[str, Any]:
    if row is None:
        return {"kind": "none", "text": "not run", "rest": None}
    done, total = row["states"].get("finished", 0), sum(row["states"].values())
    kind = "none" if not done else "whole" if done == total else "part"
    rest = {state: count for state, count in row["states"].items() if count and state != "finished"}
    if list(rest) == ["not run"] and not done:
        return {"kind": "none", "text": "not run", "rest": None}
    return {"kind": kind, "text": f"{done}/{total}",
            "rest": states_text(rest) if rest else None}


def _facts(task: Mapping[str, Any]) -> list[str]:
    facts = [plural(task["t_max"], "environment step")]
    for name, what in (("random", "random policy"), ("best", "best known")):
        value = finite(task.get(name))
        if value is not None:
            how = task.get("best_how") if name == "best" else None
            facts.append(f"{what} {short(value)}" + (f" ({how})" if how else ""))
    return facts


def _order(row: Mapping[str, Any]) -> tuple[bool, int, bool, float]:
    mean = finite((row.get("final") or {}).get("mean"))
    return row.get("rank") is None, row.get("rank") or 0, mean is None, -(mean or 0.0)


def _values(estimates: Iterable[Mapping[str, Any] | None]) -> list[float | None]:
    return [finite(each.get(name)) for each in estimates if each for name in ("mean", "point", "low", "high")]
