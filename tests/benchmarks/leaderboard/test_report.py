"""A report says what the results folder says: counts, means, intervals, what was not run."""

import json
import logging
import math
import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks.leaderboard.__main__ import main
from benchmarks.leaderboard.protocol import load
from benchmarks.leaderboard.report import plots
from benchmarks.leaderboard.report.data import report_data
from benchmarks.leaderboard.report.markdown import markdown, number, table, text
from benchmarks.leaderboard.report.origin import without_places
from benchmarks.leaderboard.report.reading import grid_of, read_at
from benchmarks.leaderboard.results import read_results
from registry.catalog import reference_scores
from registry.records import encode
from tests.benchmarks.leaderboard.synthetic import a_protocol, cells_of, rising, write_results

POAC, OTHER, SMAC = "async:poac-1", "async:poac-2", "async:nowhere-1"
STATES = {(POAC, "qmix", 3): "failed", (OTHER, "mvd", 1): "running", (OTHER, "qmix", 2): "not run"}


def a_report(folder: Path, states=None, score=rising, **changes):
    changes = {"tasks": {POAC: 1000, OTHER: 2000, SMAC: 1000}, **changes}
    return report_data(read_results(write_results(folder, a_protocol(**changes), states or {}, score)))


def row_of(data, task, algorithm):
    (row,) = [row for row in data["rows"] if (row["task"], row["algorithm"]) == (task, algorithm)]
    return row


def apart(task, algorithm, seed, share):
    """mvd far above qmix, which is far above vdn."""
    return 10.0 * share * {"mvd": 3, "qmix": 2, "vdn": 1}[algorithm] + seed / 10


# --- data


def test_a_row_holds_the_mean_of_the_finished_runs_last_tests(tmp_path):
    data = a_report(tmp_path, STATES)
    row = row_of(data, POAC, "qmix")
    expected = [rising(POAC, "qmix", seed, 1.0) for seed in (1, 2)]
    assert {"finished": 2, "running": 0, "failed": 1, "refused": 0, "not run": 0} == row["states"]
    assert (2, 2) == (row["n"], row["final"]["n"])
    assert pytest.approx(np.mean(expected)) == row["final"]["mean"]
    assert pytest.approx(min(expected)) == row["final"]["low"]  # of two runs the bounds are the runs
    assert pytest.approx(max(expected)) == row["final"]["high"]
    assert pytest.approx(np.mean(expected) + 0.5) == row["absolute"]["mean"]
    assert 1000 == row["steps"]
    failed = row["runs"][2]
    assert ("failed", 500, None) == (failed["state"], failed["steps"], failed["final"])
    assert "loss is nan" in failed["reason"]


def test_normalised_is_by_the_reference_scores_that_are_kept(tmp_path):
    data = a_report(tmp_path)
    row, scores = row_of(data, POAC, "mvd"), reference_scores(POAC)
    for name in ("mean", "low", "high"):
        expected = (row["final"][name] - scores.random) / (scores.best - scores.random)
        assert pytest.approx(expected) == row["normalised"][name]


def test_a_score_does_not_move_when_an_algorithm_is_added(tmp_path):
    """Nor do its intervals, to the last digit."""
    small = a_report(tmp_path / "small", algorithms=("mvd", "qmix"))
    large = a_report(tmp_path / "large", algorithms=("qmix", "vdn", "mvd"))
    for task in (POAC, OTHER):
        one, other = row_of(small, task, "mvd"), row_of(large, task, "mvd")
        assert [one[name] for name in ("final", "absolute", "normalised")] == [
            other[name] for name in ("final", "absolute", "normalised")
        ]
    aggregates = [{each["algorithm"]: each for each in data["aggregates"]} for data in (small, large)]
    assert aggregates[0]["mvd"] == aggregates[1]["mvd"]


def test_tasks_whose_options_change_the_returns_are_not_normalised(tmp_path):
    data = a_report(tmp_path, settings={"env_args.speeds": "original"})
    assert all(task["best"] is None for task in data["tasks"])
    assert all(row["normalised"] is None for row in data["rows"])
    assert [] == data["aggregates"] and {} == data["profiles"]["algorithms"]
    assert any("poac-1 has no reference scores with these settings" in note for note in data["notes"])


def test_options_that_leave_the_returns_their_meaning_are_allowed(tmp_path):
    protocol = load("small")
    data = report_data(read_results(write_results(tmp_path, protocol, extras=False)))
    assert {"env_args.masks": "useful"}.items() <= data["tasks"][2]["settings"].items()
    assert all(row["normalised"]["n"] == 3 for row in data["rows"])


def test_ranks_part_only_where_intervals_do(tmp_path):
    data = a_report(tmp_path, score=apart, algorithms=("vdn", "mvd", "qmix"))
    assert [3, 1, 2] == [row["rank"] for row in data["rows"] if row["task"] == POAC]
    data = a_report(tmp_path / "same", score=lambda task, algorithm, seed, share: float(seed))
    assert [1, 1] == [row["rank"] for row in data["rows"] if row["task"] == POAC]


def test_an_algorithm_is_ranked_when_all_its_runs_are_finished(tmp_path):
    """Two of three seeds may be the two that went well."""
    states = {(POAC, "mvd", 3): "failed"}
    data = a_report(tmp_path, score=apart, algorithms=("vdn", "mvd", "qmix"), seeds=(1, 2, 3), states=states)
    assert [2, None, 1] == [row["rank"] for row in data["rows"] if row["task"] == POAC]
    assert row_of(data, POAC, "mvd")["final"]["low"] is not None
    assert [3, 1, 2] == [row["rank"] for row in data["rows"] if row["task"] == OTHER]


def test_one_run_has_no_interval_and_no_rank(tmp_path):
    data = a_report(tmp_path, seeds=(4,))
    row = row_of(data, POAC, "mvd")
    assert (1, None, None, None) == (row["final"]["n"], row["final"]["low"], row["final"]["high"], row["rank"])
    assert all(each["iqm"]["low"] is None for each in data["aggregates"])
    assert all(pair["low"] is None for pair in data["improvement"])
    assert any("no intervals of its aggregates" in note for note in data["notes"])
    json.dumps(data, allow_nan=False)


def test_curves_hold_unfinished_runs_with_n_at_each_point(tmp_path):
    curve = a_report(tmp_path, STATES)["curves"][POAC]["qmix"]
    assert list(range(0, 1001, 100)) == curve["step"]
    assert [3] * 6 + [2] * 5 == curve["n"]
    for step, mean, n in zip(curve["step"], curve["mean"], curve["n"]):
        expected = np.mean([rising(POAC, "qmix", seed, step / 1000) for seed in range(1, n + 1)])
        assert pytest.approx(expected) == mean


def test_a_grid_is_thinned_and_ends_at_the_budget():
    assert [0, 10, 20, 25] == grid_of(25, 10).tolist()
    grid = grid_of(5_050_000, 2_000)
    assert len(grid) <= 202 and 0 == grid[0] and 5_050_000 == grid[-1]
    assert not (grid[:-1] % 2_000).any()


def test_a_run_is_read_between_its_tests_and_not_behind_them(tmp_path):
    found = read_results(write_results(tmp_path, a_protocol(tasks={POAC: 1000}), {(POAC, "mvd", 1): "running"}))
    values = read_at(found.runs[0], np.array([0.0, 50.0, 500.0, 501.0]), 100)
    expected = [rising(POAC, "mvd", 1, share) for share in (0.0, 0.05, 0.5)]
    np.testing.assert_allclose([*expected, math.nan], values, rtol=1e-9)


def test_a_finished_run_without_a_number_at_its_end_failed(tmp_path):
    data = a_report(
        tmp_path, score=lambda task, algorithm, seed, share: math.nan if (seed, share) == (2, 1.0) else float(seed)
    )
    row = row_of(data, POAC, "mvd")
    assert (2, "failed") == (row["n"], row["runs"][1]["state"])
    assert "the mean return of its last test is nan" == row["runs"][1]["reason"]
    json.dumps(data, allow_nan=False)


def test_tasks_of_other_versions_are_shown_as_not_available(tmp_path):
    data = a_report(tmp_path)
    (task,) = [task for task in data["tasks"] if task["key"] == SMAC]
    assert not task["available"] and "nowhere" in task["why"]
    assert {"not run": 3} == {state: n for state, n in row_of(data, SMAC, "mvd")["states"].items() if n}
    assert {} == data["curves"][SMAC]


def test_nothing_run_is_a_report_too(tmp_path):
    protocol = a_protocol()
    states = {(task.key, algorithm, seed): "not run" for task, algorithm, seed in cells_of(protocol)}
    data = report_data(read_results(write_results(tmp_path, protocol, states)))
    assert all(row["n"] == 0 and row["final"] is None and row["rank"] is None for row in data["rows"])
    assert ([], [], []) == (data["aggregates"], data["improvement"], plots.draw(data, tmp_path))
    assert "nothing to put together" in markdown(data)


def test_suites_count_only_tasks_with_finished_runs_and_say_so(tmp_path):
    states = {(OTHER, "qmix", seed): "not run" for seed in (1, 2, 3)}
    data = a_report(tmp_path, states)
    assert {"mvd": (6, 2), "qmix": (3, 1)} == {
        each["algorithm"]: (each["n_runs"], each["n_tasks"]) for each in data["aggregates"]
    }
    assert [1, 1] == [pair["n_tasks"] for pair in data["improvement"]]
    assert any("over 1 to 2 tasks" in note for note in data["notes"])
    assert any("QMIX on poac-2: 0 of 3 runs finished (3 not run)." == note for note in data["notes"])


def test_suites_of_as_many_but_other_tasks_say_so(tmp_path):
    """mvd has finished runs on one task, qmix on the other."""
    states = {(task, name, seed): "not run" for task, name in ((OTHER, "qmix"), (POAC, "mvd")) for seed in (1, 2, 3)}
    data = a_report(tmp_path, states)
    assert {"mvd": [OTHER], "qmix": [POAC]} == {each["algorithm"]: each["tasks"] for each in data["aggregates"]}
    assert any("over different sets of 1 tasks" in note for note in data["notes"])
    assert not any("Aggregates are over" in note for note in a_report(tmp_path / "same")["notes"])


def test_a_row_tells_where_its_runs_ended(tmp_path):
    """One of them went on to the end of an episode that the others had finished in time."""
    results = write_results(tmp_path, a_protocol(tasks={POAC: 1000}))
    run = read_results(results).runs[1]
    (record,) = run.folder.glob("sacred/*/*/*/records.jsonl")
    lines = [json.loads(line) for line in record.read_bytes().splitlines()]
    for line in lines:
        line["t_env"] = {1000: 1012}.get(line.get("t_env"), line.get("t_env"))
        line.pop("crc")
    record.write_bytes(b"".join(map(encode, lines)))
    row = row_of(report_data(read_results(results)), POAC, "mvd")
    assert (1000, 1012) == (row["steps"], row["steps_most"])


def test_improvement_goes_both_ways(tmp_path):
    data = a_report(tmp_path, score=apart, algorithms=("vdn", "mvd"))
    found = {(pair["x"], pair["y"]): pair for pair in data["improvement"]}
    assert 1.0 == found["mvd", "vdn"]["point"] and 0.0 == found["vdn", "mvd"]["point"]
    assert (6, 6, 2) == tuple(found["mvd", "vdn"][name] for name in ("n_x", "n_y", "n_tasks"))


def test_efficiency_ends_where_the_shortest_task_does(tmp_path):
    data = a_report(tmp_path)
    assert 1000 == data["efficiency"]["step"][-1]
    assert len(data["efficiency"]["step"]) == len(data["efficiency"]["algorithms"]["mvd"]["point"])


def with_first_test_late(results, first):
    """Take the tests before step `first` out of the record of mvd's second run."""
    run = read_results(results).runs[1]
    (record,) = run.folder.glob("sacred/*/*/*/records.jsonl")
    lines = record.read_bytes().splitlines(keepends=True)
    kept = [line for line in lines if (told := json.loads(line))["kind"] != "test" or told["t_env"] >= first]
    record.write_bytes(b"".join(kept))


def test_efficiency_leaves_out_steps_that_some_run_has_no_number_for(tmp_path):
    """The first test of one run is at step 300: within one interval of 200, but not of 0 and 100."""
    results = write_results(tmp_path, a_protocol(tasks={POAC: 1000, OTHER: 2000}))
    whole = report_data(read_results(results))["efficiency"]
    with_first_test_late(results, 300)
    late = report_data(read_results(results))["efficiency"]
    assert list(range(0, 1001, 100)) == whole["step"] and list(range(200, 1001, 100)) == late["step"]
    for name, band in late["algorithms"].items():
        for bound, values in band.items():
            assert values[1:] == pytest.approx(whole["algorithms"][name][bound][3:]) and None not in values


def test_a_run_with_its_only_test_at_the_end_leaves_its_last_interval(tmp_path):
    results = write_results(tmp_path, a_protocol(tasks={POAC: 1000}))
    with_first_test_late(results, 1000)
    assert [900, 1000] == report_data(read_results(results))["efficiency"]["step"]


def test_provenance_is_flat_text(tmp_path):
    told = row_of(a_report(tmp_path), POAC, "mvd")["runs"][0]["provenance"]
    assert all(type(name) is str and type(value) is str for name, value in told.items())
    assert ("2", "2.13.0", "3 settings") == (told["hardware.cores"], told["versions.torch"], told["config"])


def test_commands_are_told_without_folders_of_the_machine():
    told = "python src/main.py --config=mvd with seed=1 'local_results_path=/data/my runs' checkpoint_path=/x y=2"
    assert "python src/main.py --config=mvd with seed=1 local_results_path=DIR checkpoint_path=DIR y=2" == (
        without_places(told)
    )
    assert "open 'quote" == without_places("open 'quote")


# --- Markdown


def test_every_mean_in_markdown_has_its_n(tmp_path):
    written = markdown(a_report(tmp_path, STATES))
    tables = written.split("## Every run")[0]
    cells = [cell for line in tables.splitlines() if line.startswith("|") for cell in line.split("|")]
    with_bounds = [cell for cell in cells if "[" in cell]
    assert len(with_bounds) > 20
    assert all("(n = " in cell for cell in with_bounds)


def test_markdown_shows_what_was_not_run(tmp_path):
    written = markdown(a_report(tmp_path, STATES))
    assert "2 finished, 1 not run" in written
    assert "| poac-2 | QMIX | 2 | not run | – | – | – | – | – |  |" in written
    assert "Not available: the family nowhere is not part of this version." in written


def test_markdown_of_hostile_names_is_harmless(tmp_path):
    data = a_report(tmp_path)
    hostile = "<script>alert(1)</script> | [x](javascript:alert(1)) `a`\n# head"
    data["title"] = data["algorithms"][0]["title"] = data["notes"][0] = data["rows"][0]["runs"][0]["reason"] = hostile
    written = markdown(data)
    assert "<script" not in written and "](javascript" not in written.replace("\\](javascript", "")
    assert "\n# head" not in written
    assert all(line.count("|") - line.count("\\|") in (0, *range(3, 40)) for line in written.splitlines())


def test_numbers_keep_four_figures():
    assert ["1,235", "123.5", "12.35", "1.235", "-0.123"] == [
        number(value) for value in (1234.6, 123.46, 12.346, 1.2346, -0.12346)
    ]
    assert "| a | b |\n|---|---|\n| 1 | 2 |" == table([("a", "b"), ("1", "2")])
    assert "a\\|b &lt;c&gt; \\*d\\*" == text("a|b <c>\n*d*")


# --- pictures


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Folder, names and data of a report's pictures."""
    folder = tmp_path_factory.mktemp("drawn")
    data = a_report(folder / "results", STATES, tasks={POAC: 1000, OTHER: 2000})
    return folder, plots.draw(data, folder), data


def test_every_picture_is_there_twice(drawn):
    folder, names, _ = drawn
    expected = ["curve-poac-1", "curve-poac-2", "aggregates", "profiles", "improvement", "efficiency"]
    assert [f"{stem}.png" for stem in expected] == names
    for stem in expected:
        assert b"\x89PNG" == (folder / f"{stem}.png").read_bytes()[:4]
        assert "<svg" in (folder / f"{stem}.svg").read_text()


def test_pictures_are_the_same_bytes_each_time(drawn, tmp_path):
    folder, names, data = drawn
    one = {**data, "profiles": {"algorithms": {}}, "improvement": [], "efficiency": {"algorithms": {}}, "curves": {}}
    assert ["aggregates.png"] == plots.draw(one, tmp_path)
    for suffix in ("png", "svg"):
        assert (folder / f"aggregates.{suffix}").read_bytes() == (tmp_path / f"aggregates.{suffix}").read_bytes()


def test_two_processes_draw_the_same(drawn, tmp_path, monkeypatch):
    folder, _, data = drawn
    monkeypatch.setattr(plots, "FEW", 0)
    part = {**data, "curves": {}, "improvement": [], "efficiency": {"algorithms": {}}}
    assert ["aggregates.png", "profiles.png"] == plots.draw(part, tmp_path)
    for name in ("aggregates.svg", "profiles.svg"):
        assert (folder / name).read_bytes() == (tmp_path / name).read_bytes()


def words_of(monkeypatch, data, folder):
    """All that the pictures of `data` say, as text."""
    monkeypatch.setitem(plots.STYLE, "svg.fonttype", "none")
    return "\n".join((folder / name).with_suffix(".svg").read_text() for name in plots.draw(data, folder))


def test_axes_promise_intervals_only_where_there_are_some(drawn, tmp_path, monkeypatch):
    _, _, data = drawn
    assert "95 % interval" in words_of(monkeypatch, {**data, "improvement": []}, tmp_path)
    one = a_report(tmp_path / "results", tasks={POAC: 1000}, seeds=(1,))
    assert "95 % interval" not in words_of(monkeypatch, one, tmp_path / "results")


def test_an_algorithm_looks_the_same_everywhere_and_like_no_other():
    names = [f"algorithm-{k}" for k in range(18)]
    found = plots.looks(names)
    assert 18 == len({tuple(look.values()) for look in found.values()})
    assert found["algorithm-3"] == plots.looks(names[:5])["algorithm-3"]


# --- the verb


def test_the_verb_writes_the_whole_report(tmp_path):
    write_results(tmp_path / "results", a_protocol(tasks={POAC: 1000}), {(POAC, "mvd", 1): "failed"})
    (tmp_path / "out" / "plots").mkdir(parents=True)
    (tmp_path / "out" / "plots" / "old.png").write_bytes(b"")
    words = ["report", "--results", str(tmp_path / "results"), "--out", str(tmp_path / "out"), "--title", "Mine"]
    result = CliRunner().invoke(main, words)
    assert 0 == result.exit_code, result.output
    assert "5 of 6 runs are finished." in result.output
    written = (tmp_path / "out" / "report.md").read_text()
    assert written.startswith("# Mine\n")
    shown = re.findall(r"!\[.*?\]\((.*?)\)", written)
    assert 5 == len(shown) and all((tmp_path / "out" / name).is_file() for name in shown)
    assert not (tmp_path / "out" / "plots" / "old.png").exists()
    assert "Mine" == json.loads((tmp_path / "out" / "report.json").read_text())["title"]
    page = (tmp_path / "out" / "index.html").read_text()
    assert "Mine" in page and "QMIX" in page


@pytest.mark.parametrize("words", [["report"], ["report", "--results", "a", "--board", "b"]])
def test_the_verb_needs_one_folder(words):
    result = CliRunner().invoke(main, words)
    assert 2 == result.exit_code
    assert 1 == len(result.output.strip().splitlines())


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(logging, "raiseExceptions", False)  # handlers of earlier tests, whose streams are closed
    write_results(tmp_path / "results", a_protocol(tasks={POAC: 1000}))
    (tmp_path / "file").write_text("")
    words = ["report", "--results", str(tmp_path / "results"), "--out", str(tmp_path / "file" / "below"), "--no-plots"]
    result = CliRunner().invoke(main, words)
    assert 2 == result.exit_code
    assert result.output.startswith("report: the report could not be written") and 1 == len(result.output.splitlines())
