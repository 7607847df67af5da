"""A host's own algorithms on our environments, and whole runs through its `run`."""

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from registry.records import read_records
from tests.hosts.conftest import host_or_skip
from tests.hosts.harness import train

MAIN = Path(__file__).resolve().parents[2] / "src" / "main.py"


@pytest.mark.upstream
@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["qmix", "iql", "ippo"])
def test_upstreams_own_algorithms_learn_on_our_environment(algorithm, tmp_path, monkeypatch, start_method):
    host = host_or_skip("upstream")
    at_once = 2 if algorithm == "ippo" else 1
    _, heard = train(
        host, f"host:{algorithm}", tmp_path, monkeypatch, batch_size_run=at_once, batch_size=2, t_max=100
    )
    name = "pg_loss" if algorithm == "ippo" else "loss"
    assert heard.stats[name] and all(math.isfinite(value) for _, value in heard.stats[name])
    assert heard.stats["test_return_mean"][-1][0] > 100  # tested once more at the end


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["embedded", pytest.param("upstream", marks=pytest.mark.upstream), "pymarlzooplus"]
)
def test_the_command_runs_on_every_host(name, tmp_path):
    """The whole way: command line, sacred, the host's own run, our record."""
    host = host_or_skip(name)
    given = "env_args.key=async:poac env_args.episode_limit=20 t_max=100 batch_size=2 buffer_size=8 seed=1 "
    given += "test_nepisode=5 test_interval=80 batch_size_run=2 save_model=True save_model_interval=50"
    environment = {**os.environ, "EPYMARL_HOST": name, "OMP_NUM_THREADS": "1"}
    before = snapshot(host.config_dir.parent)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(MAIN), "--config=mvd", "with", *given.split()],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    folder = tmp_path / "results" / "sacred" / "mvd" / "async-poac" / "1"
    tests = [record for record in read_records(folder) if record["kind"] == "test"]
    assert [5] * len(tests) == [len(record["episodes"]) for record in tests]
    assert tests[-1]["t_env"] == 120  # 40 steps a rollout
    assert (folder / "models" / "120" / "agent.th").is_file() or name == "upstream"
    assert any((folder / "models").rglob("mixer.th"))
    for path in (tmp_path / "results").rglob("*"):
        assert set(path.name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
    assert ["results"] == [path.name for path in tmp_path.iterdir()]
    assert before == snapshot(host.config_dir.parent)


def snapshot(folder: Path) -> list[tuple[str, int]]:
    """Every file below `folder` but byte code that an installed package may keep."""
    return sorted(
        (str(path), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file() and (path.suffix != ".pyc" or "site-packages" not in path.parts)
    )
