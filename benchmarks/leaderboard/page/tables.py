"""The page's tables of tasks as plain values: what each cell shows, what it sorts by, and why a number is not there."""

from typing import Any, Mapping, Sequence

from benchmarks.leaderboard.page.cells import Strip, column, estimate, rank_text, values_of
from benchmarks.leaderboard.page.names import Algorithm
from benchmarks.leaderboard.page.provenance import provenance, states_text, unfinished
from benchmarks.leaderboard.page.text import decimals_for, finite, plural, short, whole
from benchmarks.leaderboard.results import FINISHED, NOT_RUN

__all__ = ["coverage", "tasks"]

# column of a row -> (title, what it is, whether the highest is best)
ESTIMATES = {
    "final": ("Final return", "mean of last tests", True),
    "absolute": ("Absolute metric", "mean of best models", True),
    "normalised": ("Normalised", "0 random, 1 best known", True),
    "win_rate": ("Win rate", "of test episodes", True),
}


def tasks(
    data: Mapping[str, Any], algorithms: Mapping[str, Algorithm], charts: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """One table a task, in the report's order; rows by rank, then by final return."""
    found = []
    for index, task in enumerate(data["tasks"]):
        rows = [row for row in data["rows"] if row["task"] == task["key"]]
        columns = [name for name in ESTIMATES if any(row.get(name) for row in rows)]
        decimals = {name: decimals_for(values_of(row.get(name) for row in rows)) for name in columns}
        references = [finite(task.get(name)) for name in ("random", "best")]
        strip = Strip(values_of(row.get("final") for row in rows), references)
        rows = sorted(rows, key=_order)
        found.append(
            {
                "index": index,
                "key": task["key"],
                "title": task.get("title") or task["key"],
                "available": task["available"],
                "why": task.get("why"),
                "facts": _facts(task),
                "settings": task.get("settings") or {},
                "columns": [column(name, *ESTIMATES[name]) for name in columns],
                "absent": [ESTIMATES[name][0] for name in ESTIMATES if name not in columns],
                "strip": strip.titles(),
                "references": strip.references,
                "rows": [_row(row, rows, algorithms, columns, decimals, strip) for row in rows],
                "chart": f"task-{index}" if f"task-{index}" in charts else None,
                "tiers": any(row.get("tier") for row in rows),
            }
        )
    return found


def coverage(data: Mapping[str, Any], algorithms: Mapping[str, Algorithm]) -> dict[str, Any]:
    """How many runs of each cell are finished, and the sentence that says it for all of them."""
    rows = {(row["task"], row["algorithm"]): row for row in data["rows"]}
    used = [each for each in algorithms.values() if any(name == each.name for _, name in rows)]
    found = []
    for index, task in enumerate(data["tasks"]):
        cells = [_covered(rows.get((task["key"], each.name))) for each in used]
        found.append(
            {
                "index": index,
                "title": task.get("title") or task["key"],
                "key": task["key"],
                "cells": cells,
                "available": task["available"],
                "why": task.get("why") or "no reason given",
            }
        )
    open_tasks = {task["key"] for task in data["tasks"] if task["available"]}
    states: dict[str, int] = {}
    for row in data["rows"]:
        if row["task"] in open_tasks:
            for state, count in row["states"].items():
                states[state] = states.get(state, 0) + count
    return {
        "algorithms": used,
        "rows": found,
        "states": states,
        "total": sum(states.values()),
        "rest": unfinished(states),
        "n_open": len(open_tasks),
        "n_closed": len(data["tasks"]) - len(open_tasks),
    }


def _row(
    row: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    algorithms: Mapping[str, Algorithm],
    columns: Sequence[str],
    decimals: Mapping[str, int],
    strip: Strip,
) -> dict[str, Any]:
    return {
        "algorithm": algorithms[row["algorithm"]],
        "rank": row.get("rank"),
        "rank_text": rank_text(row.get("rank"), [each.get("rank") for each in rows]),
        "rank_why": _rank_why(row),
        "cells": [estimate(row.get(name), decimals[name], "mean", _why_not(row)) for name in columns],
        "strip": strip.mark(row.get("final"), "mean"),
        "tier": row.get("tier"),
        "steps": row.get("steps"),
        "steps_text": _steps_text(row),
        "n": row["n"],
        "of": sum(row["states"].values()),
        "states": states_text(row["states"]),
        "rest": unfinished(row["states"]),
        "reasons": list(dict.fromkeys(run["reason"] for run in row["runs"] if run.get("reason"))),
        "provenance": provenance(row, decimals.get("final", 3)),
    }


def _steps_text(row: Mapping[str, Any]) -> str:
    """Where its finished runs ended: the lowest step, and the highest if that is another."""
    lowest, highest = row.get("steps"), row.get("steps_most")
    return whole(lowest) if highest in (None, lowest) else f"{whole(lowest)} to {whole(highest)}"


def _why_not(row: Mapping[str, Any]) -> str:
    if row["n"]:
        return "not measured"
    was_tried = any(count for state, count in row["states"].items() if state != NOT_RUN)
    return states_text(row["states"]) if was_tried else NOT_RUN


def _rank_why(row: Mapping[str, Any]) -> str | None:
    if row.get("rank") is not None:
        return None
    if row["n"] and row["n"] < (asked := sum(row["states"].values())):
        return f"not ranked: {row['n']} of {asked} runs finished"
    return {0: "not ranked: no finished run", 1: "not ranked: one run has no interval"}.get(row["n"], "not ranked")


def _covered(row: Mapping[str, Any] | None) -> dict[str, Any]:
    if row is None:
        return {"kind": "none", "text": NOT_RUN, "rest": None}
    done, total = row["states"].get(FINISHED, 0), sum(row["states"].values())
    kind = "none" if not done else "whole" if done == total else "part"
    if row["states"].get(NOT_RUN, 0) == total:
        return {"kind": kind, "text": NOT_RUN, "rest": None}
    return {"kind": kind, "text": f"{done}/{total}", "rest": unfinished(row["states"])}


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
