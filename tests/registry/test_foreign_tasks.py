"""Tasks of PettingZoo and Gymnasium go the whole way: a key, a run, its record."""

import json
from pathlib import Path

import pytest

from registry.launch import main as train
from registry.provenance import environment_hash
from registry.records import read_records

SMALL = ["batch_size=4", "buffer_size=16", "hidden_dim=8", "batch_size_run=4", "t_max=200", "test_interval=100"]
KEY = "async:pettingzoo-tests.async_envs.asynchronize.tasks"


@pytest.mark.parametrize("algorithm", ["mvd", "ippo"])
def test_a_run_on_a_foreign_task(algorithm: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EPYMARL_HOST", "embedded")
    sizes = SMALL if algorithm == "mvd" else [word for word in SMALL if "_size=" not in word]
    words = ["test_nepisode=4", f"env_args.key={KEY}", "env_args.durations=1,2,3", "env_args.kwargs=max_cycles=6"]
    flags = ["main.py", f"--config={algorithm}", "-C", "no", "with"]
    assert train([*flags, *sizes, *words, f"local_results_path={tmp_path}", "progress=False"]) == 0
    (run,) = tmp_path.glob(f"sacred/{algorithm}/async-pettingzoo-tests.async_envs.asynchronize.tasks/1")
    records = read_records(run)
    tests = [record for record in records if record["kind"] == "test"]
    assert len(tests) >= 2 and all(episode["length"] <= 6 for test in tests for episode in test["episodes"])
    config = json.loads((run / "config.json").read_text())
    (told,) = [record for record in records if record["kind"] == "provenance"]
    assert told["environment"] == environment_hash(KEY, {"durations": [1, 2, 3], "kwargs": "max_cycles=6"})
    assert config["env_args"]["kwargs"] == "max_cycles=6"


def test_what_a_task_is_made_with_is_part_of_what_it_is() -> None:
    plain = environment_hash(KEY, {})
    assert plain == environment_hash(KEY, {"durations": "index_mod3"})
    assert len({plain, environment_hash(KEY, {"kwargs": "masks=False"}), environment_hash(KEY, {"jitter": 1})}) == 3
