"""What stands in the page's tables, on reports small enough to check by hand."""

from typing import Any

import pytest

from benchmarks.leaderboard.page import suite, tables
from benchmarks.leaderboard.page.cells import Strip
from benchmarks.leaderboard.page.names import N_COLOURS, algorithms_of
from benchmarks.leaderboard.page.provenance import provenance


def report(**parts: Any) -> dict[str, Any]:
    """One task, no rows; the parts replace."""
    task = {
        "key": "t",
        "title": "T",
        "t_max": 100,
        "available": True,
        "why": None,
        "random": 0.0,
        "best": 10.0,
        "settings": {},
    }
    return {"algorithms": [], "rows": [], "curves": {}, "tasks": [task], **parts}


def aggregate(
    name: str, low: float | None, high: float | None, n_tasks: int = 2, tasks: str | None = None
) -> dict[str, Any]:
    """An algorithm over tasks, each named by a letter; the first `n_tasks` if none are given."""
    middle = 0.5 if low is None or high is None else (low + high) / 2
    iqm = {"point": middle, "low": low, "high": high}
    names = list(tasks or "abcdefgh"[:n_tasks])
    return {"algorithm": name, "n_runs": 6, "n_tasks": len(names), "tasks": names, "iqm": iqm}


def overall(*entries: dict[str, Any]) -> list[tuple[str, str]]:
    """(algorithm, rank as shown), from above."""
    data = report(aggregates=list(entries))
    found = suite.overall(data, algorithms_of(data))
    assert found is not None
    return [(row["algorithm"].name, row["rank_text"]) for row in found["rows"]]


def test_overlapping_intervals_share_a_rank_and_a_chain_is_not_cut() -> None:
    """a overlaps b, b overlaps c, d is below all: three at place one, d fourth."""
    found = overall(
        aggregate("d", 0.0, 0.1), aggregate("c", 0.3, 0.5), aggregate("b", 0.45, 0.7), aggregate("a", 0.6, 0.9)
    )
    assert [("a", "1="), ("b", "1="), ("c", "1="), ("d", "4")] == found


def test_algorithm_with_fewer_tasks_or_without_interval_has_no_overall_rank() -> None:
    """It is not compared, and so moves nobody."""
    found = overall(
        aggregate("few", 0.9, 1.0, n_tasks=1),
        aggregate("b", 0.1, 0.2),
        aggregate("none", None, None),
        aggregate("a", 0.3, 0.4),
    )
    assert [("a", "1"), ("b", "2"), ("few", "–"), ("none", "–")] == found


def test_algorithms_of_as_many_but_other_tasks_are_not_ranked_against_each_other() -> None:
    """An easy pair of tasks says nothing about a hard one; the pair that more algorithms have is ranked."""
    one, other = aggregate("easy", 0.8, 0.9, tasks="ab"), aggregate("hard", 0.5, 0.6, tasks="bc")
    assert [("easy", "–"), ("hard", "–")] == overall(one, other)
    more = aggregate("harder", 0.3, 0.4, tasks="cb")
    assert [("hard", "1"), ("harder", "2"), ("easy", "–")] == overall(one, other, more)
    alone = aggregate("all", 0.1, 0.2, tasks="abc")
    assert [("all", "1"), ("easy", "–"), ("hard", "–"), ("harder", "–")] == overall(one, other, more, alone)


@pytest.mark.parametrize(
    "states, why",
    [
        ({"finished": 3}, None), ({"finished": 2, "failed": 1}, "not ranked: 2 of 3 runs finished"),
        ({"finished": 1}, "not ranked: one run has no interval"), ({"failed": 3}, "not ranked: no finished run"),
    ],
)  # fmt: skip
def test_who_is_not_ranked_is_told_why(states: dict[str, int], why: str | None) -> None:
    rank = 1 if states == {"finished": 3} else None
    row = {"task": "t", "algorithm": "a", "n": states.get("finished", 0), "states": states, "runs": [], "rank": rank}
    data = report(rows=[row])
    (table,) = tables.tasks(data, algorithms_of(data), {})
    assert table["rows"][0]["rank_why"] == why


def test_algorithm_with_unfinished_runs_has_no_overall_rank() -> None:
    entries = [aggregate("half", 0.9, 1.0), aggregate("b", 0.1, 0.2), aggregate("a", 0.3, 0.4)]
    row = {"task": "a", "algorithm": "half", "n": 2, "states": {"finished": 2, "running": 1}, "runs": []}
    data = report(aggregates=entries, rows=[row])
    found = suite.overall(data, algorithms_of(data))
    assert found is not None
    rows = [(row["algorithm"].name, row["rank_text"], row["rank_why"]) for row in found["rows"]]
    assert [("a", "1", None), ("b", "2", None)] == rows[:2]
    assert ("half", "–", "not ranked: not all runs of a task are finished") == rows[2]


@pytest.mark.parametrize(
    "steps, text", [({"steps": 500_000, "steps_most": 500_000}, "500,000"), ({"steps": None, "steps_most": None}, "–"),
                    ({"steps": 500_000, "steps_most": 505_012}, "500,000 to 505,012"), ({"steps": 7}, "7")],
)  # fmt: skip
def test_runs_that_ended_at_different_steps_show_the_lowest_and_the_highest(steps: dict[str, Any], text: str) -> None:
    row = {"task": "t", "algorithm": "a", "n": 2, "states": {"finished": 2}, "runs": [], **steps}
    data = report(rows=[row])
    (table,) = tables.tasks(data, algorithms_of(data), {})
    assert text == table["rows"][0]["steps_text"]


def test_pair_that_is_known_one_way_is_turned() -> None:
    """P(Y > X) = 1 - P(X > Y), its interval with the ends exchanged."""
    data = report(improvement=[{"x": "a", "y": "b", "point": 0.7, "low": 0.6, "high": 0.9}])
    ours, theirs = suite.improvement(data, algorithms_of(data))
    assert ("0.70", ("0.60", "0.90")) == (ours["rows"][0]["cell"]["text"], ours["rows"][0]["cell"]["interval"])
    assert ("0.30", ("0.10", "0.40")) == (theirs["rows"][0]["cell"]["text"], theirs["rows"][0]["cell"]["interval"])


def test_pair_that_is_known_both_ways_is_taken_as_it_is() -> None:
    """The report's own number stands."""
    data = report(
        improvement=[
            {"x": "a", "y": "b", "point": 0.7, "low": 0.6, "high": 0.9},
            {"x": "b", "y": "a", "point": 0.2, "low": 0.1, "high": 0.3},
        ]
    )
    _, theirs = suite.improvement(data, algorithms_of(data))
    assert "0.20" == theirs["rows"][0]["cell"]["text"]


def test_provenance_separates_what_runs_share() -> None:
    """One value for all is said once, others with the seeds they belong to, a missing one as not recorded."""
    runs = [
        {"seed": seed, "state": "finished", "provenance": given}
        for seed, given in (
            (1, {"commit": "c", "host": "x"}),
            (2, {"commit": "c", "host": "y"}),
            (3, {"commit": "c"}),
            (4, {}),
        )
    ]
    found = provenance({"runs": runs}, 2)
    assert [("commit", "c")] == found["common"]
    assert [("host", [("1", "x"), ("2", "y"), ("3", "not recorded")])] == found["different"]
    assert 3 == found["n_recorded"]


@pytest.mark.parametrize(
    "states, text, kind, rest",
    [
        ({"finished": 3, "failed": 0}, "3/3", "whole", None),
        ({"finished": 1, "failed": 1, "not run": 1}, "1/3", "part", "1 failed, 1 not run"),
        ({"finished": 0, "not run": 3}, "not run", "none", None),
        ({"finished": 0, "running": 2}, "0/2", "none", "2 running"),
    ],
)
def test_coverage_of_a_cell(states: dict[str, int], text: str, kind: str, rest: str | None) -> None:
    """How many runs are finished, and what became of the others."""
    data = report(rows=[{"task": "t", "algorithm": "a", "states": states}])
    (row,) = tables.coverage(data, algorithms_of(data))["rows"]
    assert [{"kind": kind, "text": text, "rest": rest}] == row["cells"]


def test_algorithms_look_different_from_each_other() -> None:
    """28 of them: no two have colour, marker and dash in common, and none of the first seven its colour."""
    data = report(algorithms=[{"name": f"a{i}"} for i in range(28)])
    looks = [(each.colour, each.marker, each.dash) for each in algorithms_of(data).values()]
    assert 28 == len(set(looks))
    assert N_COLOURS == len({colour for colour, _, _ in looks[:N_COLOURS]})


def test_name_that_only_the_rows_know_is_an_algorithm_too() -> None:
    """A submitted one comes last, under its own name."""
    data = report(
        algorithms=[{"name": "a", "title": "A"}], rows=[{"algorithm": "theirs"}], curves={"t": {"drawn": {}}}
    )
    assert ["A", "theirs", "drawn"] == [each.title for each in algorithms_of(data).values()]


@pytest.mark.parametrize(
    "references, low, high, places",
    [
        ([0.0, 30.0], 0.0, 20.0, ["4.00%"]),  # twice as long is allowed, three times is not
        ([5.0, 20.0], 5.0, 20.0, ["4.00%", "96.00%"]),
        ([None, 15.0], 10.0, 20.0, ["50.00%"]),
    ],
)
def test_references_are_on_a_scale_that_they_do_not_stretch(
    references: list[float | None], low: float, high: float, places: list[str]
) -> None:
    """A random policy far below all rows would press their intervals to dots."""
    strip = Strip([10.0, None, 20.0], references)
    assert ((low, high), places) == ((strip.low, strip.high), strip.references)
