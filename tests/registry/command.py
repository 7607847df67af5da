"""What the tests of whole runs share: a tiny command line, forked children, and what a run left behind."""

import json
import os
import sys
import time
import traceback
from pathlib import Path
from typing import Any, Callable

import torch
from click.testing import CliRunner

from epymarl_lite.checkpoint import read_checkpoint, saved_steps
from registry.__main__ import main as registry_main
from registry.launch import main
from registry.records import read_records

MAIN = str(Path(__file__).resolve().parents[2] / "src" / "main.py")
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "EPYMARL_HOST": "embedded"}
# Two episodes of 20 steps a rollout, so a rollout is 40 steps; an update needs two episodes.
TINY = {
    "env_args.key": "async:poac-1", "env_args.episode_limit": 20, "t_max": 240, "batch_size": 2,
    "buffer_size": 8, "batch_size_run": 2, "seed": 4, "hidden_dim": 8, "test_nepisode": 2,
    "test_interval": 80, "learner_log_interval": 1, "runner_log_interval": 1, "log_interval": 40,
    "checkpoint_interval": 40, "progress": False, "epsilon_anneal_time": 100,
}  # fmt: skip
FOLDER = Path("results/sacred/mvd/async-poac-1/1")


def words(*flags: str, config: str = "mvd", **changes: Any) -> list[str]:
    """A command line; `env_args__x=1` stands for env_args.x=1, and None leaves a key out."""
    values = {**TINY, **{name.replace("__", "."): value for name, value in changes.items()}}
    values = {name: value for name, value in values.items() if value is not None}
    return [MAIN, f"--config={config}", *flags, "with", *(f"{name}={values[name]}" for name in values)]


def run(**changes: Any) -> int:
    """The exit status of a run in this process; pytest captures what it prints."""
    return main(words("-C", "no", **changes))


def in_a_child(act: Callable[[], int], limit_s: float = 120.0) -> int:
    """Exit status of `act` in a forked copy of this process; minus the signal's number if one killed it."""
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        status = 99
        try:
            status = act()
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    until = time.monotonic() + limit_s
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > until:
            os.kill(child, 9)
            os.waitpid(child, 0)
            raise AssertionError(f"no end within {limit_s} s")
        time.sleep(0.01)


def story(folder: Path) -> list[dict[str, Any]]:
    """Every metric and every test of a run, in order, without what the clock says."""
    timeless = {"time": None, "wall_s": None}
    facts = [{**record, **timeless} for record in read_records(folder) if "t_env" in record]
    assert facts
    return facts


def columns(folder: Path) -> dict[str, Any]:
    """sacred's metrics: name -> (values, steps)."""
    metrics = json.loads((folder / "metrics.json").read_text())
    return {name: (entry["values"], entry["steps"]) for name, entry in metrics.items()}


def final_state(folder: Path) -> dict[str, Any]:
    """All that the last checkpoint holds, but for the record's length (it counts resumptions) and the clock."""
    newest = saved_steps(folder / "checkpoints")[0]
    state = read_checkpoint(folder / "checkpoints" / str(newest)).state
    return {name: state[name] for name in state if name not in ("recorder", "wall_s")}


def models(folder: Path, step: int) -> dict[str, Any]:
    """The saved models of a step: file -> its tensors."""
    files = sorted((folder / "models" / str(step)).iterdir())
    return {file.name: torch.load(file, weights_only=True) for file in files}


def assert_equal(a: Any, b: Any, where: str = "") -> None:
    """Two nested structures are equal, tensors bit for bit."""
    assert type(a) is type(b), where
    if isinstance(a, dict):
        assert list(a) == list(b), where
        for name in a:
            assert_equal(a[name], b[name], f"{where}.{name}")
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b), where
        for i, (one, other) in enumerate(zip(a, b)):
            assert_equal(one, other, f"{where}[{i}]")
    elif isinstance(a, torch.Tensor):
        assert a.dtype == b.dtype and torch.equal(a, b), where
    else:
        assert a == b or (a != a and b != b), where


def assert_same_run(a: Path, b: Path) -> None:
    """The two runs tell the same: metrics, tests, sacred's files, and every number of the last checkpoint."""
    assert story(a) == story(b)
    assert columns(a) == columns(b)
    assert json.loads((a / "info.json").read_text()) == json.loads((b / "info.json").read_text())
    assert_equal(final_state(a), final_state(b))


def invoke(*words: str) -> tuple[int, str, str]:
    """(exit status, stdout, stderr) of one `python -m registry`, in this process."""
    done = CliRunner().invoke(registry_main, words)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout, done.stderr
