"""What was exported is loaded back, and is every number of the results."""

import csv
import json
import sys

import numpy as np
import pytest
from click.testing import CliRunner
from pyarrow import parquet

from benchmarks.leaderboard.__main__ import main
from benchmarks.leaderboard.export import COLUMNS, export
from benchmarks.leaderboard.results import read_results
from tests.benchmarks.leaderboard.synthetic import a_protocol, write_results

POAC = "async:poac-1"
STATES = {(POAC, "qmix", 3): "failed", (POAC, "mvd", 1): "not run"}


@pytest.fixture
def results(tmp_path):
    """Results of two tasks; a run failed, one was not run."""
    return read_results(write_results(tmp_path / "results", a_protocol(), STATES))


def numbers(run):
    """(kind, step, name, values) of everything that a run was tested in."""
    tests = [("test", test) for test in run.tests]
    for kind, test in [*tests, ("absolute", run.absolute)] if run.absolute else tests:
        for name, values in test.values.items():
            yield kind, test.step, name, values.tolist()


def test_marl_evals_json_holds_every_value_of_the_finished_runs(results, tmp_path):
    said = json.loads(export(results, "marl-eval", tmp_path / "marl-eval.json").read_text())
    assert {"poac": {"poac-1"}, "overcooked": {"overcooked-A"}} == {name: set(tasks) for name, tasks in said.items()}
    assert {"seed_2", "seed_3"} == set(said["poac"]["poac-1"]["mvd"])
    assert {"seed_1", "seed_2"} == set(said["poac"]["poac-1"]["qmix"])
    for run in results.runs:
        if run.state != "finished":
            continue
        task = run.task.removeprefix("async:")
        found = said[task.split("-")[0]][task][run.algorithm][f"seed_{run.seed}"]
        assert [f"step_{k}" for k in range(11)] + ["absolute_metrics"] == list(found)
        steps = {found[f"step_{k}"]["step_count"]: found[f"step_{k}"] for k in range(11)}
        for kind, step, name, values in numbers(run):
            assert values == (steps[step] if kind == "test" else found["absolute_metrics"])[name]
        assert "step_count" not in found["absolute_metrics"]


def test_csv_holds_a_row_an_episode_with_the_state_of_its_run(results, tmp_path):
    with export(results, "csv", tmp_path / "episodes.csv").open(newline="") as file:
        said = list(csv.DictReader(file))
    assert {*COLUMNS, "return", "length", "decisions", "battle_won", "draw"} == set(said[0])
    for run in results.runs:
        own = (run.task, run.algorithm, str(run.seed))
        mine = [row for row in said if (row["task"], row["algorithm"], row["seed"]) == own]
        assert all(row["state"] == run.state for row in mine)
        for kind, step, name, values in numbers(run):
            rows = [row for row in mine if (row["kind"], int(row["step"])) == (kind, step)]
            assert values == [float(row[name]) for row in rows]
            assert [str(k) for k in range(len(values))] == [row["episode"] for row in rows]


def test_parquet_and_csv_hold_the_same(results, tmp_path):
    table = parquet.read_table(export(results, "parquet", tmp_path / "episodes.parquet"))
    with export(results, "csv", tmp_path / "episodes.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert table.column_names == list(rows[0])
    for name in table.column_names:
        one, other = table[name].to_pylist(), [row[name] for row in rows]
        kind = {"int64": int, "double": float}.get(str(table.schema.field(name).type), str)
        assert one == [kind(value) if value != "" else None for value in other]


def test_what_was_not_recorded_is_empty(tmp_path):
    results = read_results(write_results(tmp_path / "results", a_protocol(), extras=False))
    with export(results, "csv", tmp_path / "episodes.csv").open(newline="") as file:
        row = next(csv.DictReader(file))
    assert ("", "") == (row["training_decisions"], row["wall_s"])
    table = parquet.read_table(export(results, "parquet", tmp_path / "episodes.parquet"))
    tests = np.array(table["kind"].to_pylist()) == "test"
    decisions = np.array(table["decisions"].to_pylist(), object)
    assert all(value is None for value in decisions[tests]) and all(value is not None for value in decisions[~tests])


def test_numbers_that_json_lacks_are_null(tmp_path):
    def score(task, algorithm, seed, share):
        return float("nan") if share == 0.5 else 1.0

    results = read_results(write_results(tmp_path / "results", a_protocol(), score=score))
    text = export(results, "marl-eval", tmp_path / "marl-eval.json").read_text()
    assert "NaN" not in text
    assert [None] * 4 == json.loads(text)["poac"]["poac-1"]["mvd"]["seed_1"]["step_5"]["return"]


@pytest.mark.parametrize(
    "name, file", [("marl-eval", "marl-eval.json"), ("csv", "episodes.csv"), ("parquet", "episodes.parquet")]
)
def test_the_verb_writes_into_the_results_folder(tmp_path, name, file):
    write_results(tmp_path, a_protocol())
    result = CliRunner().invoke(main, ["export", "--results", str(tmp_path), "--format", name])
    assert 0 == result.exit_code, result.output
    assert str(tmp_path / "export" / file) == result.output.strip()
    assert [tmp_path / "export" / file] == list((tmp_path / "export").iterdir())


def test_without_pyarrow_the_verb_says_what_to_install(tmp_path, monkeypatch):
    write_results(tmp_path, a_protocol())
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    result = CliRunner().invoke(main, ["export", "--results", str(tmp_path), "--format", "parquet"])
    assert 2 == result.exit_code
    assert "export: --format=parquet needs the package pyarrow, which is not installed. Run pip install pyarrow." == (
        result.output.strip()
    )
    assert [] == list((tmp_path / "export").iterdir())
