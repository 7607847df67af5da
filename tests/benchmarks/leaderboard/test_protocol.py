"""Protocols: what the four that ship say, and what is refused in one line."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.leaderboard.protocol import PROTOCOLS, Task, as_dict, available, checked, load, names
from plugins.config.schema import config_names

SMOKE = yaml.safe_load((PROTOCOLS / "smoke.yaml").read_text())


def changed(**values: Any) -> dict[str, Any]:
    """The smoke protocol with other values."""
    return {**SMOKE, **values}


def read(given: Any) -> Any:
    """The protocol of a file that holds `given`."""
    return checked(given, Path("mine.yaml"))


# the four that ship


def test_there_are_four_and_each_is_called_as_its_file() -> None:
    assert ["paper", "small", "smoke", "standard"] == names()
    assert all(name == load(name).name for name in names())


def test_paper_is_the_papers() -> None:
    """Section 5: five seeds, every 2,000 steps, 20 episodes; 5.05M steps on POAC and Overcooked, 2M to 5M on SMAC."""
    paper = load("paper")
    assert (5, 2_000, 20, {"paper": True}) == (
        len(paper.seeds), paper.test_interval, paper.test_nepisode, dict(paper.settings)
    )  # fmt: skip
    budgets = {task.key.removeprefix("async:"): task.t_max for task in paper.tasks}
    assert budgets == {
        **{f"poac-{k}": 5_050_000 for k in range(1, 6)},
        **{f"overcooked-{kitchen}": 5_050_000 for kitchen in "ABC"},
        "smac-2s_vs_1sc": 2_000_000, "smac-3s5z": 2_000_000, "smac-3s5z_vs_3s6z": 5_000_000,
    }  # fmt: skip


def test_standard_is_that_of_gorsane_et_al() -> None:
    """Ten seeds, 32 episodes every 10,000 steps, 2M steps, 320 episodes of the best, own settings."""
    standard = load("standard")
    assert (10, 10_000, 32, 320, {}) == (
        len(standard.seeds), standard.test_interval, standard.test_nepisode, standard.absolute_episodes,
        dict(standard.settings),
    )  # fmt: skip
    assert {2_000_000} == {task.t_max for task in standard.tasks}
    assert [task.key for task in load("paper").tasks] == [task.key for task in standard.tasks]


@pytest.mark.parametrize("name", ["paper", "standard"])
def test_every_algorithm_that_there_is_stands_in_the_large_ones(name: str) -> None:
    assert tuple(config_names()) == load(name).algorithms


def test_small_is_three_tasks_five_algorithms_three_seeds() -> None:
    small = load("small")
    assert ["async:poac-1", "async:poac-2", "async:overcooked-A"] == [task.key for task in small.tasks]
    assert {500_000} == {task.t_max for task in small.tasks} and (1, 2, 3) == small.seeds
    assert {"mvd", "qmix", "qmix_a", "qatten_a", "vdn_a"} == set(small.algorithms)
    assert (10_000, 32, 320) == (small.test_interval, small.test_nepisode, small.absolute_episodes)


def test_overcooked_takes_what_its_page_says_that_learns() -> None:
    from async_envs import overcooked

    readme = (Path(overcooked.__file__).parent / "README.md").read_text()
    settings = load("small").tasks[2].settings
    assert 5 == len(settings) and all(f"{name}={value}" in readme for name, value in settings.items())


def test_a_task_of_a_family_that_is_not_there_is_not_available() -> None:
    assert available(Task("async:zinc-3s5z", 1, {})) == "the family zinc is not part of this version"
    assert "unknown scenario 'async:poac-9'" in str(available(Task("async:poac-9", 1, {})))
    assert available(Task("async:poac-1", 1, {})) is None


# the hash


def test_the_hash_is_of_all_that_is_in_it() -> None:
    before = read(SMOKE).hash
    others = [
        changed(name="other"), changed(seeds=[1, 3]), changed(seeds=[2, 1]), changed(algorithms=["mvd", "qmix"]),
        changed(settings={}), changed(test_interval=501), changed(test_nepisode=5), changed(absolute_episodes=0),
        changed(tasks=SMOKE["tasks"][:1]), changed(tasks=[{**SMOKE["tasks"][0], "t_max": 9}, SMOKE["tasks"][1]]),
        changed(tasks=[{**SMOKE["tasks"][0], "settings": {"lr": 1}}, SMOKE["tasks"][1]]),
    ]  # fmt: skip
    hashes = {read(other).hash for other in others}
    assert len(others) == len(hashes) and before not in hashes and 64 == len(before)


def test_the_hash_rests_on_the_content_alone(tmp_path: Path) -> None:
    """Not on the order of keys, on comments, or on a settings mapping that is left out."""
    path = tmp_path / "mine.yaml"
    path.write_text("# mine\n" + yaml.safe_dump(dict(reversed(SMOKE.items()))))
    assert load("smoke").hash == load(path).hash
    floats = changed(test_interval=500.0, tasks=[{**task, "t_max": 2e3} for task in SMOKE["tasks"]])
    assert load("smoke") == read(floats)
    without = changed(tasks=[{"settings": {}, **task} for task in SMOKE["tasks"]])
    assert load("smoke").hash == read(without).hash


def test_a_resolved_protocol_is_read_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "protocol.json"
    path.write_text(json.dumps(as_dict(load("small"))))
    assert load("small") == load(path)


def test_a_resolved_protocol_that_was_edited_is_refused() -> None:
    with pytest.raises(ValueError, match="mine.yaml: its hash says .* it was edited by hand"):
        read({**as_dict(load("smoke")), "test_nepisode": 5})


def test_a_familys_first_task_is_written_out() -> None:
    found = read(changed(tasks=[{"key": "async:poac", "t_max": 5}]))
    assert "async:poac-1" == found.tasks[0].key and "async-poac-1" == found.tasks[0].folder


@pytest.mark.parametrize("key", ["async:pettingzoo-a.b:C", "async:gymnasium-pack:space/Name-v0"])
def test_tasks_of_others_may_be_written_with_their_colons_and_slashes(key: str) -> None:
    task = read(changed(tasks=[{"key": key, "t_max": 5}])).tasks[0]
    assert key == task.key and not set(":/") & set(task.folder)


# what is refused


@pytest.mark.parametrize("given, line", [
    ([], "the whole of it: [] is not of type 'object'"),
    ({}, "'name' is a required property"),
    (changed(extra=1), "'extra' was unexpected"),
    (changed(name="../out"), "name: '../out' does not match"),
    (changed(name="paper\n"), "name: 'paper\\n' does not match"),
    (changed(settings={"lr\n": 1}), "settings"),
    (changed(settings={"checkpoint_path": "elsewhere/models"}), "settings"),
    (changed(settings={"load_step": 5}), "settings"),
    (changed(seeds=[]), "seeds: [] should be non-empty"),
    (changed(seeds=[1, 1]), "non-unique"),
    (changed(seeds=[True]), "seeds[0]: True is not of type 'integer'"),
    (changed(seeds=[2**32]), "seeds[0]: 4294967296 is greater than"),
    (changed(test_interval=0), "test_interval: 0 is less than"),
    (changed(settings={"seed": 1}), "settings"),
    (changed(settings={"lr": [1]}), "settings.lr: [1] is not of type"),
    (changed(settings={"a b": 1}), "settings"),
    (changed(tasks=[{"key": "poac-1", "t_max": 1}]), "tasks[0].key: 'poac-1' does not match"),
    (changed(tasks=[{"key": "async:poac-1", "t_max": 1.5}]), "tasks[0].t_max: 1.5 is not of type 'integer'"),
    (changed(tasks=[SMOKE["tasks"][1], {"key": "async:poac", "t_max": 2}]), "async:poac-1 is there twice"),
    (changed(tasks=[{"key": "async:gymnasium-a:b", "t_max": 2}, {"key": "async:gymnasium-a/b", "t_max": 2}]),
     "async:gymnasium-a:b and async:gymnasium-a/b would share the folder async-gymnasium-a-b. Put them in two"),
    (changed(algorithms=["qmixx"]), "unknown algorithm 'qmixx'. Did you mean 'qmix'"),
])  # fmt: skip
def test_what_is_wrong_is_said_in_one_line(given: Any, line: str) -> None:
    with pytest.raises(ValueError) as caught:
        read(given)
    assert str(caught.value).startswith("mine.yaml: ") and line in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name, line", [
    ("smal", "--protocol=smal: unknown protocol 'smal'. Did you mean 'small'"),
    ("there/is/none.yaml", "--protocol=there/is/none.yaml: this file cannot be read (No such file or directory)"),
])  # fmt: skip
def test_a_protocol_that_is_not_there_is_said_in_one_line(name: str, line: str) -> None:
    with pytest.raises(ValueError) as caught:
        load(name)
    assert line in str(caught.value) and "\n" not in str(caught.value)


def test_a_file_that_is_no_yaml_is_said_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    for content in (b"a: [", b"\xff\xfe\x00"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="this is not a protocol") as caught:
            load(path)
        assert "\n" not in str(caught.value)


def test_reading_a_protocol_needs_no_torch() -> None:
    code = "import sys, benchmarks.leaderboard.protocol as p; p.load('small'); sys.exit('torch' in sys.modules)"
    assert 0 == subprocess.run([sys.executable, "-c", code]).returncode
