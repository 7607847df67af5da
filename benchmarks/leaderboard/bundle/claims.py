"""The summary numbers of a bundle: made from its raw values, and compared with them."""

import math
from typing import Any, Iterator, Mapping

from benchmarks.leaderboard.results import Results

__all__ = ["differences", "make_claims", "n_numbers"]

SCHEMA = 1
OF_A_ROW = ("task", "algorithm", "n", "states", "steps", "final", "absolute", "win_rate", "normalised", "rank")
TOLERANCE = 1e-9  # of a number's size; the order of additions may differ between machines, nothing else

CHANGED = "{place}: {given} is claimed, {found} is what the raw values give."
ABSENT = "{place}: {what}."


def make_claims(results: Results) -> dict[str, Any]:
    """Rows and aggregates as a report of these results has them."""
    from benchmarks.leaderboard.report.data import report_data

    data = report_data(results)
    return {
        "schema": SCHEMA,
        "rows": [{name: row[name] for name in OF_A_ROW} for row in data["rows"]],
        "aggregates": data["aggregates"],
    }


def differences(claimed: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """Where a claim is not what was found, one line each."""
    return list(_compare(_keyed(claimed), _keyed(found), "claims.json"))


def n_numbers(claims: Any) -> int:
    """How many numbers are claimed."""
    if isinstance(claims, Mapping):
        return sum(map(n_numbers, claims.values()))
    if isinstance(claims, list):
        return sum(map(n_numbers, claims))
    return int(isinstance(claims, (int, float)))


def _keyed(claims: Mapping[str, Any]) -> dict[str, Any]:
    """Rows under their names, so that a difference can be told by them."""
    return {
        "rows": {f"{row['task']} {row['algorithm']}": row for row in claims["rows"]},
        "number of rows": len(claims["rows"]),
        "aggregates": {str(row.get("algorithm")): row for row in claims["aggregates"]},
        "number of aggregates": len(claims["aggregates"]),
    }


def _compare(claimed: Any, found: Any, place: str) -> Iterator[str]:
    if isinstance(claimed, Mapping) and isinstance(found, Mapping):
        for name in dict.fromkeys([*claimed, *found]):
            if name not in claimed:
                yield ABSENT.format(place=f"{place}, {name}", what="not claimed, though the raw values give it")
            elif name not in found:
                yield ABSENT.format(place=f"{place}, {name}", what="claimed, though the raw values do not give it")
            else:
                yield from _compare(claimed[name], found[name], f"{place}, {name}")
    elif isinstance(claimed, list) and isinstance(found, list) and len(claimed) == len(found):
        for k, pair in enumerate(zip(claimed, found)):
            yield from _compare(*pair, f"{place}, {k}")
    elif not _equal(claimed, found):
        yield CHANGED.format(place=place, given=repr(claimed), found=repr(found))


def _equal(claimed: Any, found: Any) -> bool:
    if isinstance(claimed, bool) or isinstance(found, bool):
        return claimed is found
    if isinstance(claimed, (int, float)) and isinstance(found, (int, float)):
        return math.isclose(claimed, found, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    return type(claimed) is type(found) and bool(claimed == found)
