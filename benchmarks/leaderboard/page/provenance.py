"""Where a row's numbers come from: its runs, what they have in common, and in what they differ."""

from typing import Any, Mapping

from benchmarks.leaderboard.page.text import duration, finite, number, whole
from benchmarks.leaderboard.results import FINISHED

__all__ = ["provenance", "states_text", "unfinished"]

NOT_RECORDED = "not recorded"


def provenance(row: Mapping[str, Any], decimals: int) -> dict[str, Any]:
    """{"runs": rows of texts, "common": [(name, value)], "different": [(name, [(seeds, value)])]}."""
    runs = row["runs"]
    recorded = [run for run in runs if run.get("provenance")]
    names = list(dict.fromkeys(name for run in recorded for name in run["provenance"]))
    common, different = [], []
    for name in names:
        seeds: dict[str, list[str]] = {}
        for run in recorded:
            seeds.setdefault(str(run["provenance"].get(name, NOT_RECORDED)), []).append(str(run["seed"]))
        if len(seeds) == 1:
            common.append((name, next(iter(seeds))))
        else:
            different.append((name, [(", ".join(which), value) for value, which in seeds.items()]))
    return {
        "runs": [_run(run, decimals) for run in runs],
        "common": common,
        "different": different,
        "n_recorded": len(recorded),
    }


def states_text(states: Mapping[str, int]) -> str:
    """`2 finished, 1 failed`: the states that some run is in."""
    return ", ".join(f"{count} {state}" for state, count in states.items() if count) or "no runs"


def unfinished(states: Mapping[str, int]) -> str | None:
    """`1 failed, 2 not run`; None if all runs are finished."""
    others = {state: count for state, count in states.items() if count and state != FINISHED}
    return states_text(others) if others else None


def _run(run: Mapping[str, Any], decimals: int) -> dict[str, Any]:
    return {
        "seed": str(run["seed"]),
        "state": run["state"],
        "reason": run.get("reason"),
        "cells": [
            ("Steps", run.get("steps"), whole(run.get("steps"))),
            ("Decisions", run.get("decisions"), whole(run.get("decisions"))),
            ("Wall time", run.get("wall_s"), duration(run.get("wall_s"))),
            ("Final return", *_mean(run.get("final"), decimals)),
            ("Absolute metric", *_mean(run.get("absolute"), decimals)),
        ],
    }


def _mean(value: Any, decimals: int) -> tuple[float | None, str]:
    """Of one number, or of what an estimate calls its mean."""
    known = finite(value.get("mean") if isinstance(value, Mapping) else value)
    return known, number(known, decimals)
