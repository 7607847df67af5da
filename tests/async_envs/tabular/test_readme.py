"""What README.md states as facts is what the code does."""

import re
from pathlib import Path

import numpy as np

import async_envs.tabular
from async_envs.tabular.family import FAMILY, OPTIONS_OF
from async_envs.tabular.instances import CLIMBING_MATRIX, of_climbing, of_payoff, of_relay
from async_envs.tabular.loader import FIELDS, REQUIRED, load_task
from async_envs.tabular.simulator import make
from tests.async_envs.tabular.tasks import assert_same

README = (Path(async_envs.tabular.__file__).parent / "README.md").read_text(encoding="utf-8")
ROWS = [
    [cell.strip(" `") for cell in line.strip("|").split("|")]
    for line in README.splitlines()
    if line.startswith("|")
]
SNIPPETS = re.findall(r"```(\w+)\n(.*?)```", README, re.DOTALL)


def test_options_are_listed_with_their_tasks_and_defaults():
    listed = {row[0]: row for row in ROWS if len(row) == 5}
    for option in FAMILY.options:
        owner = next(variant for variant, names in OPTIONS_OF.items() if option.name in names)
        default = "none" if option.default is None else str(option.default)
        assert (listed[option.name][1], listed[option.name][3]) == (owner, default)


def test_tasks_are_listed_with_their_best_returns():
    listed = {row[0]: row[2] for row in ROWS if row[0].startswith("async:")}
    assert list(listed) == [f"async:tabular-{variant}" for variant in FAMILY.variants]
    assert of_climbing()[1] == float(listed["async:tabular-climbing"])
    assert of_relay()[1] == float(listed["async:tabular-relay"])
    assert [of_payoff(a, b, False)[1] for a, b in ((1, 2), (-3, 2), (0, 0))] == [4, 9, 0]


def test_the_climbing_matrix_is_the_one_that_is_played():
    rows = [[float(cell) for cell in row[1:]] for row in ROWS if row[0] in ("**a**", "**b**", "**c**")]
    assert rows == [list(row) for row in CLIMBING_MATRIX]


def test_fields_are_listed_and_the_optional_ones_said_to_be():
    listed = {row[0]: row[2] for row in ROWS if row[0] in FIELDS}
    assert set(listed) == set(FIELDS)
    assert {field for field, told in listed.items() if not told.startswith("optional")} == set(REQUIRED)


def test_metrics_are_listed():
    for variant in ("payoff", "climbing", "relay"):
        assert all(f"`{name}`" in README for name in make("k", variant).metric_names)


def test_the_box_is_the_same_in_json_in_python_and_in_npz_and_is_lifted(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (kind, text), (other, code) = SNIPPETS[1:]
    assert (kind, other) == ("json", "python")
    Path("box.json").write_text(text)
    names: dict = {}
    exec(code, names)
    assert_same(load_task("box.json"), load_task("box.npz"))
    assert_same(load_task("box.json"), names["task"])
    assert capsys.readouterr().out == "[1.] [ True]\n"
    sim = make("async:tabular-file", "file", file="box.json")
    sim.reset([1])
    sim.step([[3, 2]])
    sim.step([[1, 3]])
    assert (sim.reward[0], sim.terminated[0], sim.t[0]) == (1.0, True, 2)


def test_the_first_snippet_runs(capsys):
    names: dict = {}
    exec(SNIPPETS[0][1], names)
    assert (names["sim"].t == 1).all() and capsys.readouterr().out.startswith("step 1 of 4")


def test_values_said_of_the_relay_follow_from_its_payments():
    """A receiver at random: (10 - 5) / 2 and (2 - 5) / 2; a starter that ignores the cue: (10 + 2) / 2."""
    rewards = make("k", "relay").task.rewards[6:10].max(axis=1)[:, 3:5]  # state, receiver's hand
    assert rewards.tolist() == [[10, -5], [-5, 2], [2, -5], [-5, 10]]
    assert np.unique(rewards.mean(1)).tolist() == [-1.5, 2.5]
