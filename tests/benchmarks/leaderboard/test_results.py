"""Results folders are read as they are on disk, whatever state they are in."""

import json
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from benchmarks.leaderboard import records, results
from benchmarks.leaderboard.records import read_record
from benchmarks.leaderboard.results import Run, cell_folder, read_results
from registry.recorder import Recorder
from registry.records import encode, read_records
from tests.benchmarks.leaderboard.synthetic import a_protocol, write_json, write_results

POAC, KITCHEN = "async:poac-1", "async:overcooked-A"


def run_of(found: results.Results, task: str, algorithm: str, seed: int) -> Run:
    (run,) = [run for run in found.runs if (run.task, run.algorithm, run.seed) == (task, algorithm, seed)]
    return run


def record_of(folder: Path, protocol: results.Protocol, seed: int) -> Path:
    """The record of mvd on the first task."""
    (path,) = cell_folder(folder, protocol.tasks[0], "mvd", seed).glob("sacred/*/*/*/records.jsonl")
    return path


def test_every_cell_of_the_protocol_is_there_in_its_order(tmp_path):
    states = {(POAC, "mvd", 2): "not run", (POAC, "qmix", 1): "failed", (KITCHEN, "mvd", 3): "running"}
    states[KITCHEN, "qmix", 2] = "refused"
    found = read_results(write_results(tmp_path, a_protocol(), states))
    cells = [(run.task, run.algorithm, run.seed) for run in found.runs]
    assert list(product((POAC, KITCHEN), ("mvd", "qmix"), (1, 2, 3))) == cells
    for run in found.runs:
        assert states.get((run.task, run.algorithm, run.seed), "finished") == run.state
        assert (run.state in ("failed", "refused")) == (run.reason is not None)
        assert (run.state == "finished") == (run.absolute is not None)
        assert (run.state in ("not run", "refused")) == (len(run.tests) == 0)


def under_way(folder: Path, protocol: results.Protocol, seed: int) -> Path:
    """Let the cell of mvd on the first task be in its first attempt, whose run `cell.json` does not name yet."""
    cell = cell_folder(folder, protocol.tasks[0], "mvd", seed)
    said = json.loads((cell / "cell.json").read_text())
    write_json(cell / "cell.json", {**said, "state": "running", "run": None, "ended": None})
    run = record_of(folder, protocol, seed).parent
    (run / "run.json").write_text("{}")
    return run


def test_a_run_in_its_first_attempt_is_read_as_far_as_it_got(tmp_path):
    protocol = a_protocol()
    write_results(tmp_path, protocol, {(POAC, "mvd", 2): "running"})
    run = under_way(tmp_path, protocol, 2)
    found = run_of(read_results(tmp_path), POAC, "mvd", 2)
    assert ("running", [0, 100, 200, 300, 400, 500]) == (found.state, [test.step for test in found.tests])
    assert "python src/main.py --config=mvd with seed=2" == found.provenance["command"]
    (run / "records.jsonl").unlink()  # killed before it began
    assert 0 == len(run_of(read_results(tmp_path), POAC, "mvd", 2).tests)


def test_a_refused_cell_has_no_run_whatever_lies_there(tmp_path):
    protocol = a_protocol()
    write_results(tmp_path, protocol)
    under_way(tmp_path, protocol, 2)
    path = cell_folder(tmp_path, protocol.tasks[0], "mvd", 2) / "cell.json"
    write_json(path, {**json.loads(path.read_text()), "state": "refused", "reason": "mvd: no room"})
    assert 0 == len(run_of(read_results(tmp_path), POAC, "mvd", 2).tests)


def test_a_test_is_what_the_record_says(tmp_path):
    """The quick reader agrees with the recorder's own, number by number."""
    protocol = a_protocol()
    found = read_results(write_results(tmp_path, protocol))
    run = run_of(found, POAC, "mvd", 2)
    said = [line for line in read_records(record_of(tmp_path, protocol, 2).parent) if line["kind"] == "test"]
    assert [line["t_env"] for line in said] == [test.step for test in run.tests]
    for line, test in zip(said, run.tests):
        assert (line["decisions"], line["wall_s"]) == (test.decisions, test.wall_s)
        assert {"return", "length", "decisions", "battle_won", "draw"} == set(test.values)
        for name, values in test.values.items():
            assert [episode[name] for episode in line["episodes"]] == values.tolist()
    assert "python src/main.py --config=mvd with seed=2" == run.provenance["command"]
    assert (1000, 8) == (run.absolute.step, len(run.absolute.values["return"]))


def test_only_the_columns_asked_for_are_read(tmp_path):
    found = read_results(write_results(tmp_path, a_protocol()), columns=("return", "no_such_metric"))
    assert all(set(test.values) == {"return"} for run in found.runs for test in run.tests)
    assert all(set(run.absolute.values) == {"return"} for run in found.runs)


def test_older_records_without_decisions_and_seconds_are_read(tmp_path):
    run = read_results(write_results(tmp_path, a_protocol(), extras=False)).runs[0]
    assert (None, None) == (run.tests[-1].decisions, run.tests[-1].wall_s)
    assert "decisions" not in run.tests[-1].values
    assert {} == run.provenance


def test_a_record_that_gained_columns_has_no_number_where_there_was_none(tmp_path):
    """A run that went on under a newer version."""
    with Recorder(tmp_path, beat_s=60) as recorder:
        recorder.test(10, [{"seed": 1, "return": 1.0}])
        recorder.test(20, [{"seed": 2, "return": float("nan"), "decisions": 3}, {"seed": 2**63, "return": 2}])
    tests = read_record(tmp_path).tests
    np.testing.assert_array_equal([np.nan], tests[0].values["decisions"])
    np.testing.assert_array_equal([3.0, np.nan], tests[1].values["decisions"])
    np.testing.assert_array_equal([np.nan, 2.0], tests[1].values["return"])


def test_tests_are_a_sequence(tmp_path):
    tests = read_results(write_results(tmp_path, a_protocol())).runs[0].tests
    assert 11 == len(tests) == len(list(tests))
    assert [0, 100] == [test.step for test in tests[:2]]
    assert 1000 == tests[-1].step
    with pytest.raises(IndexError):
        tests[11]
    means = [test.values["return"].mean() for test in tests]
    np.testing.assert_allclose(means, tests.means("return"), rtol=1e-12)


def test_a_torn_last_line_is_left_out(tmp_path):
    protocol = a_protocol()
    write_results(tmp_path, protocol, {(POAC, "mvd", 1): "running"})
    record = record_of(tmp_path, protocol, 1)
    whole = record.read_bytes()
    end = whole.rindex(b"\n", 0, len(whole) - 1) + 1  # the last line is the test at step 500
    for kept in range(end, len(whole)):
        record.write_bytes(whole[:kept])
        assert 400 == read_record(record.parent).tests[-1].step


@pytest.mark.parametrize("position", ["first", "middle"])
def test_a_damaged_line_makes_a_failed_run_with_the_reason(tmp_path, position):
    protocol = a_protocol()
    write_results(tmp_path, protocol)
    record = record_of(tmp_path, protocol, 1)
    content = bytearray(record.read_bytes())
    content[10 if position == "first" else len(content) // 2] ^= 1
    record.write_bytes(content)
    found = read_results(tmp_path)
    run = run_of(found, POAC, "mvd", 1)
    assert ("failed", 0) == (run.state, len(run.tests))
    assert f"{record}: line" in run.reason and "damaged" in run.reason
    assert all(other.state == "finished" for other in found.runs if other is not run)


def test_a_finished_cell_without_a_record_failed(tmp_path):
    protocol = a_protocol()
    write_results(tmp_path, protocol)
    record_of(tmp_path, protocol, 1).unlink()
    assert "no such file" in run_of(read_results(tmp_path), POAC, "mvd", 1).reason


def test_steps_that_go_back_are_refused(tmp_path):
    lines = [{"kind": "test", "t_env": step, "episodes": [{"return": 1.0}]} for step in (10, 20, 20)]
    (tmp_path / "records.jsonl").write_bytes(b"".join(map(encode, lines)))
    with pytest.raises(ValueError, match="the test at step 20 follows one at step 20"):
        read_record(tmp_path)


def test_an_evaluation_that_lost_episodes_makes_a_failed_run(tmp_path):
    protocol = a_protocol()
    write_results(tmp_path, protocol)
    path = cell_folder(tmp_path, protocol.tasks[0], "mvd", 1) / "evaluation" / "episodes.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    assert "8 episodes are said, 7 are there" in run_of(read_results(tmp_path), POAC, "mvd", 1).reason


@pytest.mark.parametrize(
    "content, message",
    [
        ("{", "not a cell of schema 1"),
        ('{"schema": 2}', "not a cell of schema 1"),
        ('{"schema": 1, "state": "won"}', "state 'won'"),
        ('{"schema": 1, "state": "finished", "reason": null, "run": "../../1"}', "lies outside of the cell"),
        ('{"schema": 1, "state": "finished", "reason": null, "run": "/etc"}', "lies outside of the cell"),
    ],
)
def test_a_cell_that_cannot_be_understood_is_refused_in_one_line(tmp_path, content, message):
    protocol = a_protocol()
    write_results(tmp_path, protocol)
    (cell_folder(tmp_path, protocol.tasks[0], "mvd", 1) / "cell.json").write_text(content)
    with pytest.raises(ValueError, match=message) as caught:
        read_results(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_folder_without_results_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no protocol.json is here"):
        read_results(tmp_path)


def test_tasks_that_cannot_be_run_say_so(tmp_path):
    protocol = a_protocol(tasks={POAC: 1000, "async:nowhere-1": 1000})
    found = read_results(write_results(tmp_path, protocol))
    nowhere = [run for run in found.runs if run.task == "async:nowhere-1"]
    assert 6 == len(nowhere)
    assert all(run.state == "not run" and "nowhere" in run.reason for run in nowhere)


def test_without_msgspec_the_same_is_read(tmp_path, monkeypatch):
    write_results(tmp_path, a_protocol())
    with_it = read_results(tmp_path)
    monkeypatch.setitem(sys.modules, "msgspec", None)
    without = read_results(tmp_path)
    for one, other in zip(with_it.runs, without.runs):
        assert one.tests[-1].step == other.tests[-1].step
        for name, column in one.tests.columns.items():
            np.testing.assert_array_equal(column, other.tests.columns[name])
        for name, values in one.absolute.values.items():
            np.testing.assert_array_equal(values, other.absolute.values[name])


def test_several_processes_read_the_same(tmp_path, monkeypatch):
    write_results(tmp_path, a_protocol(), {(POAC, "mvd", 2): "failed"})
    alone = read_results(tmp_path)
    monkeypatch.setattr(results, "MUCH", 0)
    together = read_results(tmp_path)
    assert [run.state for run in alone.runs] == [run.state for run in together.runs]
    for one, other in zip(alone.runs, together.runs):
        np.testing.assert_array_equal(one.tests.steps, other.tests.steps)


def test_many_episodes_are_put_together_in_order(tmp_path, monkeypatch):
    write_results(tmp_path, a_protocol())
    whole = read_results(tmp_path).runs[0].tests.columns["return"]
    monkeypatch.setattr(records, "AT_ONCE", 5)
    np.testing.assert_array_equal(whole, read_results(tmp_path).runs[0].tests.columns["return"])


def test_what_synthetic_results_hold_is_what_the_schema_says(tmp_path):
    """Others test against these folders: a member that is missing here is missing there."""
    protocol = a_protocol()
    write_results(tmp_path, protocol)
    cell = json.loads((cell_folder(tmp_path, protocol.tasks[0], "mvd", 1) / "cell.json").read_text())
    members = "schema task algorithm seed state reason attempts run worker started ended"
    assert set(members.split()) == set(cell)
