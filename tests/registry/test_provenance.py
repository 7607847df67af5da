"""The record says where a run comes from, how much was decided and how long it took, through kills as well."""

import json
import os
import re
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from plugins.runners.vector import VectorRunner
from registry import provenance as module
from registry import recorder as recorder_module
from registry.provenance import command_line, environment_hash, environment_of, provenance, resolved
from registry.recorder import Recorder
from registry.records import read_records
from registry.resume import resume
from tests.registry.command import FOLDER, MAIN, assert_same_run, in_a_child, run
from tests.registry.test_damage import sign_all
from tests.registry.test_kill import run_and_die_in_rollout

HASH = re.compile("[0-9a-f]{64}")


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test stands in a folder of its own and uses the embedded host."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EPYMARL_HOST", "embedded")


def of_kind(folder: Path, kind: str) -> list[dict[str, Any]]:
    return [record for record in read_records(folder) if record["kind"] == kind]


def test_the_record_begins_with_where_the_run_comes_from() -> None:
    assert 0 == run(t_max=40)
    first, second = read_records(FOLDER)[:2]
    assert ("status", "RUNNING", "provenance") == (first["kind"], first["status"], second["kind"])
    config = json.loads((FOLDER / "config.json").read_text())
    del config["local_results_path"]
    assert config == second["config"]
    assert second["command"].startswith("python src/main.py --config=mvd -C no with env_args.key=async:poac-1 ")
    assert ("embedded", 1) == (second["host"], second["hardware"]["threads"])
    assert {"cpu", "cores", "memory", "gpu", "threads"} == set(second["hardware"])
    assert {"python", "torch", "numpy", "numba"} <= set(second["versions"])
    assert environment_hash("async:poac-1", {"episode_limit": 20}) == second["environment"]
    assert HASH.fullmatch(second["lock"]) and {"commit", "dirty", "platform"} <= set(second)


def test_every_start_that_left_work_behind_is_in_the_record_once() -> None:
    """Killed in rollout 4 and, resumed, at the same place; the second resumption comes to the end."""
    assert -signal.SIGKILL == in_a_child(lambda: run_and_die_in_rollout(4, t_max=400))
    assert -signal.SIGKILL == in_a_child(lambda: resume_and_die_in_rollout(3))
    assert 0 == resume(FOLDER.absolute())  # which the record does not tell
    starts = [record for record in read_records(FOLDER) if "t_env" not in record]
    told = [(record["kind"], record.get("status"), record.get("resumed")) for record in starts]
    began, went_on = ("status", "RUNNING", False), ("status", "RUNNING", True)
    origin = ("provenance", None, None)
    assert [began, origin, went_on, origin, went_on, origin, ("status", "COMPLETED", None)] == told
    commands = [record["command"] for record in of_kind(FOLDER, "provenance")]
    assert commands[0].startswith("python src/main.py")
    assert [f"python -m registry resume {FOLDER}", "python -m registry resume 1"] == commands[1:]
    assert 1 == len({json.dumps(record["config"]) for record in of_kind(FOLDER, "provenance")})


def resume_and_die_in_rollout(number: int) -> int:
    count = [0]
    play = VectorRunner.run

    def counted(self: Any, test_mode: bool = False) -> Any:
        count[0] += 1
        if count[0] == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return play(self, test_mode)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(VectorRunner, "run", counted)
        return resume(FOLDER)


@pytest.mark.parametrize("runner, at_once", [("vector", 2), ("episode", 1), ("parallel", 2)])
def test_tests_tell_decisions_and_seconds(runner: str, at_once: int) -> None:
    """Every rollout's mean is in the record (runner_log_interval=1): the totals are their sums."""
    assert 0 == run(runner=runner, batch_size_run=at_once, t_max=120)
    tests = of_kind(FOLDER, "test")
    assert len(tests) >= 2
    means = [(r["t_env"], r["value"]) for r in of_kind(FOLDER, "metric") if r["name"] == "decisions_mean"]
    for before, test in zip([None, *tests], tests):
        total = sum(at_once * mean for t_env, mean in means if t_env <= test["t_env"])
        assert 0 < test["decisions"] == pytest.approx(total, abs=1e-6)
        for episode in test["episodes"]:
            assert 0 < episode["decisions"] <= 3 * episode["length"] and type(episode["decisions"]) is int
        if before is not None:
            assert before["decisions"] < test["decisions"] and before["wall_s"] < test["wall_s"]
    names = {record["name"] for record in of_kind(FOLDER, "metric")}
    assert {"decisions_mean", "test_decisions_mean"} <= names
    logged = [r["value"] for r in of_kind(FOLDER, "metric") if r["name"] == "test_decisions_mean"]
    counted = [sum(e["decisions"] for e in test["episodes"]) / len(test["episodes"]) for test in tests]
    assert logged == pytest.approx(counted)


@pytest.mark.parametrize("runner, at_once", [("vector", 2), ("episode", 1)])
def test_a_killed_run_tells_the_same_decisions_and_best_networks(
    runner: str, at_once: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"runner": runner, "batch_size_run": at_once, "save_best_model": True, "t_max": 200, "test_interval": 40}
    (tmp_path / "whole").mkdir()
    with monkeypatch.context() as patch:
        patch.chdir(tmp_path / "whole")
        assert 0 == run(**given)
    whole = tmp_path / "whole" / FOLDER
    assert -signal.SIGKILL == in_a_child(lambda: run_and_die_after_test(3, **given))
    assert 0 == resume(FOLDER)
    assert_same_run(whole, FOLDER)
    assert [t["decisions"] for t in of_kind(whole, "test")] == [t["decisions"] for t in of_kind(FOLDER, "test")]
    best = [{path.name: path.read_bytes() for path in (run / "models/best").iterdir()} for run in (whole, FOLDER)]
    assert best[0] == best[1] and "best.json" in best[0]


def run_and_die_after_test(number: int, **given: Any) -> int:
    """A run that is killed when its `number`-th test is in the record, before the checkpoint."""
    count = [0]
    test = Recorder.test

    def counted(self: Any, *words: Any, **more: Any) -> None:
        test(self, *words, **more)
        count[0] += 1
        if count[0] == number:
            os.kill(os.getpid(), signal.SIGKILL)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Recorder, "test", counted)
        return run(**given)


def test_a_run_that_an_older_version_began_goes_on() -> None:
    """Its configuration lacks a switch, its checkpoints lack what is told since; unknown is said to be unknown."""
    assert -signal.SIGKILL == in_a_child(lambda: run_and_die_in_rollout(5))
    config = json.loads((FOLDER / "config.json").read_text())
    del config["save_best_model"]
    (FOLDER / "config.json").write_text(json.dumps(config))
    for path in (FOLDER / "checkpoints").glob("*/state.pt"):
        state = torch.load(path, weights_only=True)
        del state["wall_s"], state["best"], state["runner"]["decisions"]
        torch.save(state, path)
    sign_all(FOLDER / "checkpoints")
    assert 0 == resume(FOLDER)
    told = [(test["t_env"], test["decisions"] is None) for test in of_kind(FOLDER, "test")]
    assert [(40, False), (120, False), (200, True), (280, True)] == told


def test_a_checkpoint_that_does_not_know_decisions_leaves_them_unknown() -> None:
    """As those of older versions; a made-up number would be worse than none."""
    from tests.plugins.acting import Records, build_runner, settings

    old, _ = build_runner(settings())
    old.run()
    state = old.resume_state()
    assert state["decisions"] > 0
    del state["decisions"]
    records = Records()
    resumed, _ = build_runner(settings(), recorder=records)
    resumed.load_resume_state(state)
    resumed.run()
    resumed.evaluate(1)
    assert [None] == records.decisions


def test_seconds_of_resumed_runs_add_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """7 seconds, of which 5 are before the checkpoint; then 3 more: 8."""
    now = [100.0]
    monkeypatch.setattr(recorder_module.time, "monotonic", lambda: now[0])
    with Recorder(tmp_path, beat_s=60) as recorder:
        recorder.start({"host": "embedded"})
        now[0] += 5.0
        position, wall_s = recorder.position(), recorder.wall_s()
        now[0] += 2.0
        recorder.test(10, [{"seed": 1, "return": 0.0, "length": 1}])
    now[0] += 1000.0
    with Recorder(tmp_path, beat_s=60) as recorder:
        recorder.start({"host": "embedded"})
        recorder.rewind(position, wall_s)
        now[0] += 3.0
        recorder.test(10, [{"seed": 1, "return": 0.0, "length": 1}], decisions=4)
    (test,) = of_kind(tmp_path, "test")
    assert (5.0, 8.0, 4) == (wall_s, test["wall_s"], test["decisions"])
    assert 2 == len(of_kind(tmp_path, "provenance"))


# the hash of a task


def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A family's folder of our own that `environment_hash` reads in the place of the real ones."""
    folder = tmp_path / "family"
    (folder / "maps").mkdir(parents=True)
    (folder / "rules.py").write_bytes(b"A = 1\nB = 2\n")
    (folder / "maps" / "one.txt").write_bytes(b"..#\n")
    monkeypatch.setattr(module, "_folder_of", lambda name: folder)
    return folder


def test_the_hash_follows_source_and_data_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = copied(tmp_path, monkeypatch)

    def now() -> str:
        module._digest.cache_clear()
        return environment_hash("async:poac-1", {})

    first = now()
    (folder / "README.md").write_text("a page")
    (folder / "scores.yaml").write_text("tasks: {}")
    (folder / "rules.pyc").write_bytes(b"byte code")
    (folder / "scores.yaml").write_text("random: -3.5")
    (folder / "rules.py").write_bytes(b"A = 1\r\nB = 2\r\n")
    assert first == now()
    (folder / "maps" / "one.txt").write_bytes(b"..!\n")
    second = now()
    (folder / "maps" / "one.txt").rename(folder / "maps" / "two.txt")
    third = now()
    (folder / "rules.py").write_bytes(b"A = 1\nB = 3\n")
    assert 4 == len({first, second, third, now()})
    module._digest.cache_clear()


def test_the_hash_follows_key_and_options() -> None:
    plain = environment_hash("async:poac-1", {})
    assert HASH.fullmatch(plain)
    same = [environment_hash("async:poac", {}), environment_hash("async:poac-1", {"bot": None, "vsp": False})]
    same.append(environment_of({"env_args": {"key": "async:poac-1", "seed": 3, "guided": None}}))
    assert {plain} == set(same)
    others = [
        environment_hash("async:poac-2", {}), environment_hash("async:poac-1", {"episode_limit": 20}),
        environment_hash("async:poac-1", {"episode_limit": 21}), environment_hash("async:poac-1", {"vsp": True}),
        environment_hash("async:overcooked-A", {}),
    ]  # fmt: skip
    assert 6 == len({plain, *others})
    with pytest.raises(ValueError, match="unknown option 'bott'"):
        environment_hash("async:poac-1", {"bott": "KAI1"})


def test_an_option_at_its_default_changes_nothing() -> None:
    assert environment_hash("async:tabular-payoff", {}) == environment_hash("async:tabular-payoff", {"a": 1})
    assert environment_hash("async:tabular-payoff", {}) != environment_hash("async:tabular-payoff", {"a": 2})


def test_a_file_counts_by_what_is_in_it(tmp_path: Path) -> None:
    for name, text in {"a.json": "{}", "b.json": "{}", "c.json": "[]"}.items():
        (tmp_path / name).write_text(text)
    a, b, c = (environment_hash("async:tabular-file", {"file": str(tmp_path / name)}) for name in (
        "a.json", "b.json", "c.json",
    ))  # fmt: skip
    assert a == b != c


def test_a_task_of_the_hosts_has_no_hash() -> None:
    assert environment_of({"env_args": {"key": "lbforaging:Foraging-8x8-2p-3f-v3"}}) is None
    assert environment_of({"env_args": None}) is None


def test_the_command_is_told_without_the_place_of_the_clone() -> None:
    assert "python src/main.py --config=mvd with 'env_args.key=a b'" == command_line(
        [MAIN, "--config=mvd", "with", "env_args.key=a b"]
    )
    assert "python other/main.py" == command_line(["other/main.py"])
    assert "python src/main.py with seed=1 t_max=5" == command_line(
        ["src/main.py", "with", "seed=1", "local_results_path=/srv/somebody/results", "t_max=5"]
    )
    assert resolved({"local_results_path": "secret", "t_max": 5, "odd": Path("x")}) == {"t_max": 5, "odd": "x"}


def test_outside_of_a_checkout_the_commit_is_null(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "ROOT", tmp_path)
    told = provenance({"threads": 2, "env_args": {}}, sys.argv, "upstream")
    assert (None, None, "upstream", None) == (told["commit"], told["dirty"], told["host"], told["environment"])
    assert json.loads(json.dumps(told)) == told
