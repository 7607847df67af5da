"""NaN or infinity anywhere stops the run, with every runner: one line, exit status 1, FAILED."""

import json
from pathlib import Path
from typing import Any

import pytest

from async_envs.poac.simulator import PoacSimulator
from plugins.learners import value_learner
from registry.records import FAILED, run_status
from tests.registry.command import FOLDER, run

RUNNERS = {
    "vector": {"runner": "vector", "batch_size_run": 2},
    "episode": {"runner": "episode", "batch_size_run": 1},
    "parallel": {"runner": "parallel", "batch_size_run": 2},  # forked workers: they inherit the poison
}


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test stands in a folder of its own and uses the embedded host."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EPYMARL_HOST", "embedded")


def poison(monkeypatch: pytest.MonkeyPatch, name: str, value: float) -> None:
    """From step 7 on, one number of the simulator's array `name` is `value`."""
    step = PoacSimulator._step

    def poisoned(self: Any, actions: Any) -> None:
        step(self, actions)
        if self.t.max() >= 7:
            getattr(self, name).reshape(-1)[0] = value

    monkeypatch.setattr(PoacSimulator, "_step", poisoned)


def assert_failed_in_one_line(told: str, *texts: str) -> None:
    """The last lines are the error's and the hint's; nothing was booked as a success."""
    lines = [line for line in told.splitlines() if line]
    assert lines[-1].startswith("The full trace: "), lines[-3:]
    assert all(text in lines[-2] for text in texts), lines[-2]
    assert "Traceback" not in told
    assert FAILED == run_status(FOLDER)
    assert "FAILED" == json.loads((FOLDER / "run.json").read_text())["status"]


@pytest.mark.parametrize("value", [float("nan"), float("inf")], ids=["nan", "inf"])
@pytest.mark.parametrize("name", ["reward", "obs", "state"])
@pytest.mark.parametrize("runner", RUNNERS)
def test_a_bad_number_of_the_environment_fails_the_run(
    runner: str,
    name: str,
    value: float,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    poison(monkeypatch, name, value)
    assert 1 == run(**RUNNERS[runner])
    assert_failed_in_one_line(capfd.readouterr().err, name, "step")


@pytest.mark.parametrize("runner", ["vector", "episode"])
def test_a_loss_that_is_no_number_fails_the_run(
    runner: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    error = value_learner.squared_error
    monkeypatch.setattr(value_learner, "squared_error", lambda *given: error(*given) * float("nan"))
    assert 1 == run(**RUNNERS[runner])
    assert_failed_in_one_line(capfd.readouterr().err, "mvd_learner: loss holds nan")
