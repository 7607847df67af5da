"""A made-up report for the tests of the page: every state that a row can be in, and numbers that nobody measured."""

import copy
import math
import random
from typing import Any, Callable

HOSTILE = (
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '" onmouseover="alert(1)',
    "' autofocus onfocus='alert(1)",
    "]]><!--<svg/onload=alert(1)>-->",
    "line\u2028and\u2029paragraph",
    "\u202egnp.exe",
    "{{ 7 * 7 }} {% raise %} ${7*7}",
    "&lt;b&gt; &amp; &#60;",
    "nul\x00 and half \ud800 a pair",
    "javascript:alert(1)",
)

NAMES = {"mvd": "MVD", "qmix": "QMIX", "qmix_a": "QMIX(A)", "qatten_a": "Qatten(A)", "vdn_a": "VDN(A)"}
MECHANISMS = {
    "mvd": "dueling values, mixed over proxies and interactions",
    "qmix": "monotonic mixing, waiting agents continue",
    "qmix_a": "monotonic mixing of deciding agents",
    "qatten_a": "attention over deciding agents",
    "vdn_a": "sum over deciding agents",
}
TASKS = {
    "async:poac-1": (
        "POAC-1",
        -2.5,
        20.0,
        {"mvd": 17.2, "qmix": 12.6, "qmix_a": 12.1, "qatten_a": 7.9, "vdn_a": 9.4},
    ),
    "async:poac-2": (
        "POAC-2",
        -4.1,
        20.0,
        {"mvd": 9.8, "qmix": 3.1, "qmix_a": 5.2, "qatten_a": 2.7, "vdn_a": -0.4},
    ),
    "async:overcooked-A": (
        "Overcooked-A",
        -38.0,
        205.0,
        {"mvd": 191.4, "qmix": 187.7, "qmix_a": 120.5, "qatten_a": 84.1, "vdn_a": 160.2},
    ),
}
MISSING = {
    "async:smac-2s_vs_1sc": "SMAC 2s_vs_1sc",
    "async:smac-3s5z": "SMAC 3s5z",
}
VERSIONS = {"python": "3.11.9", "torch": "2.13.0", "numpy": "2.4.6", "numba": "0.68.1"}


def report(n_seeds: int = 3, n_tests: int = 50, seed: int = 6) -> dict[str, Any]:
    """A report on five algorithms and three tasks, some runs of which failed or were not run."""
    rng = random.Random(seed)
    rows, curves = [], {}
    for key, (title, low, best, goals) in TASKS.items():
        curves[key] = {}
        for name, goal in goals.items():
            n = n_seeds
            if (key, name) == ("async:poac-2", "vdn_a"):
                n = 1
            if (key, name) == ("async:overcooked-A", "qatten_a"):
                n = 0
            if (key, name) == ("async:poac-1", "qmix_a"):
                n = n_seeds - 1
            rows.append(_row(rng, key, name, n, n_seeds, goal, low, best))
            if n:
                curves[key][name] = _curve(rng, n_tests, n, low, goal, (best - low) / 9)
        _rank([row for row in rows if row["task"] == key])
    names = list(NAMES)
    return {
        "schema": 1,
        "title": "Asynchronous cooperation: the small protocol",
        "protocol": {
            "name": "small",
            "hash": "9f2c" * 16,
            "seeds": list(range(1, n_seeds + 1)),
            "test_interval": 10000,
            "test_nepisode": 32,
            "absolute_episodes": 320,
        },
        "tasks": [
            {
                "key": key,
                "title": title,
                "t_max": 500000,
                "available": True,
                "why": None,
                "random": low,
                "best": best,
                "settings": {"env_args.masks": "useful"} if "overcooked" in key else {},
            }
            for key, (title, low, best, _) in TASKS.items()
        ]
        + [
            {
                "key": key,
                "title": title,
                "t_max": 2000000,
                "available": False,
                "why": "the family smac is not part of this version",
                "random": None,
                "best": None,
                "settings": {},
            }
            for key, title in MISSING.items()
        ],
        "algorithms": [
            {"name": name, "title": title, "mechanism": MECHANISMS[name], "source": "arXiv 2408.03692"}
            for name, title in NAMES.items()
        ],
        "rows": rows,
        "curves": curves,
        "aggregates": [
            {
                "algorithm": name,
                "n_runs": 3 * n_seeds - i,
                "n_tasks": 2 if name in ("qatten_a",) else 3,
                "tasks": list(TASKS)[: 2 if name in ("qatten_a",) else 3],
                **{
                    kind: _interval(rng, value - 0.11 * i, 0.05)
                    for kind, value in (("iqm", 0.83), ("median", 0.81), ("mean", 0.79))
                },
                "optimality_gap": _interval(rng, 0.2 + 0.11 * i, 0.05),
            }
            for i, name in enumerate(names)
        ],
        "profiles": {
            "tau": [i / 50 for i in range(51)],
            "algorithms": {name: _profile(0.82 - 0.11 * i) for i, name in enumerate(names)},
        },
        "improvement": [
            {"x": x, "y": y, **_interval(rng, 0.5 + 0.07 * (names.index(y) - names.index(x)), 0.08)}
            for x in names
            for y in names
            if names.index(x) < names.index(y)
        ],
        "efficiency": {
            "step": [10000 * (i + 1) for i in range(n_tests)],
            "algorithms": {name: _efficiency(n_tests, 0.82 - 0.11 * i) for i, name in enumerate(names)},
        },
        "notes": [
            "Qatten(A) was not run on Overcooked-A: two cores, no time left.",
            "VDN(A) on POAC-2 has one finished run, so no interval.",
            "Async SMAC is not part of this version; its tasks are shown as not available.",
        ],
    }


def with_texts(data: Any, change: Callable[[str], str], path: str = "") -> Any:
    """A copy of `data` with every text of it changed: names alike everywhere, keys of the schema left alone."""
    named = path.rpartition(".")[2] in ("curves", "curve", "algorithms", "settings", "provenance")
    if isinstance(data, dict):
        child = "curve" if path.endswith("curves") else None
        return {
            (change(key) if named else key): with_texts(value, change, f"{path}.{child or ('_' if named else key)}")
            for key, value in data.items()
        }
    if isinstance(data, list):
        return [with_texts(item, change, path + "[]") for item in data]
    return change(data) if isinstance(data, str) else copy.copy(data)


def _row(
    rng: random.Random, key: str, name: str, n: int, n_seeds: int, goal: float, low: float, best: float
) -> dict[str, Any]:
    spread = (best - low) / 25
    runs = []
    for i in range(n_seeds):
        state = "finished" if i < n else "failed" if n == n_seeds - 1 else "not run"
        done = state == "finished"
        runs.append(
            {
                "seed": i + 1,
                "state": state,
                "reason": (
                    "ValueError: loss is not finite at step 212,480 (qmix_a_learner)" if state == "failed" else None
                ),
                "steps": 500000 if done else 212480 if state == "failed" else None,
                "decisions": 311207 + i if done else None,
                "wall_s": 5412.7 + 60 * i if done else None,
                "final": round(goal + rng.gauss(0, spread), 3) if done else None,
                "absolute": round(goal + rng.gauss(0, spread) + spread, 3) if done else None,
                "provenance": (
                    {
                        "command": f"python src/main.py --config={name} with env_args.key={key} seed={i + 1}",
                        "commit": "643a55500e1c41d3a1e0a9d3c5f2a7b6e8d90f12",
                        "dirty": "no",
                        "hardware": "2 cores, 8 GB, no GPU, 1 thread",
                        "host": "embedded 0.1.0",
                        "environment": "b1946ac9" * 8,
                        **{f"version of {package}": version for package, version in VERSIONS.items()},
                    }
                    if state != "not run"
                    else {}
                ),
            }
        )
    states = {
        state: sum(run["state"] == state for run in runs) for state in ("finished", "running", "failed", "not run")
    }
    finals = [run["final"] for run in runs if run["final"] is not None]
    absolutes = [run["absolute"] for run in runs if run["absolute"] is not None]
    final = _estimate(finals)
    return {
        "task": key,
        "algorithm": name,
        "n": n,
        "states": states,
        "steps": 500000 if n else None,
        "final": final,
        "absolute": _estimate(absolutes),
        "win_rate": (
            _estimate([min(1.0, max(0.0, (value - low) / (best - low))) for value in finals])
            if "poac" in key
            else None
        ),
        "normalised": final
        and {
            field: None if value is None else value if field == "n" else round((value - low) / (best - low), 4)
            for field, value in final.items()
        },
        "rank": None,
        "tier": "replayed" if name == "mvd" and n else None,
        "runs": runs,
    }


def _estimate(values: list[float]) -> dict[str, Any] | None:
    if not values:
        return None
    mean = sum(values) / len(values)
    alone = len(values) == 1
    return {
        "mean": round(mean, 4),
        "low": None if alone else min(values),
        "high": None if alone else max(values),
        "n": len(values),
    }


def _rank(rows: list[dict[str, Any]]) -> None:
    known = [row for row in rows if row["final"] and row["final"]["low"] is not None]
    for row in known:
        row["rank"] = 1 + sum(other["final"]["low"] > row["final"]["high"] for other in known)


def _curve(rng: random.Random, n_tests: int, n: int, low: float, goal: float, noise: float) -> dict[str, list[Any]]:
    points: dict[str, list[Any]] = {"step": [], "mean": [], "low": [], "high": [], "n": []}
    drift = 0.0
    for i in range(n_tests):
        drift = 0.8 * drift + rng.gauss(0, noise / 3)
        mean = low + (goal - low) * (1 - math.exp(-4.5 * (i + 1) / n_tests)) + drift
        width = abs(rng.gauss(noise, noise / 5)) * (1.3 - (i + 1) / n_tests)
        points["step"].append(10000 * (i + 1))
        points["mean"].append(round(mean, 4))
        points["low"].append(None if n == 1 else round(mean - width, 4))
        points["high"].append(None if n == 1 else round(mean + 0.8 * width, 4))
        points["n"].append(n)
    return points


def _interval(rng: random.Random, point: float, width: float) -> dict[str, float]:
    return {
        "point": round(point, 4),
        "low": round(point - width - rng.random() * width, 4),
        "high": round(point + width + rng.random() * width, 4),
    }


def _profile(centre: float) -> dict[str, list[float]]:
    point = [1 / (1 + math.exp(14 * (i / 50 - centre))) for i in range(51)]
    return {
        "point": point,
        "low": [max(0.0, p - 0.4 * p * (1 - p) - 0.02) for p in point],
        "high": [min(1.0, p + 0.4 * p * (1 - p) + 0.02) for p in point],
    }


def _efficiency(n_tests: int, goal: float) -> dict[str, list[float]]:
    point = [goal * (1 - math.exp(-5 * (i + 1) / n_tests)) for i in range(n_tests)]
    return {"point": point, "low": [p - 0.07 for p in point], "high": [p + 0.06 for p in point]}
