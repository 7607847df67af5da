"""Whole runs of the actor-critics: the same weights again, after a kill, and what the commands say of them."""

import signal
from pathlib import Path
from typing import Any

import pytest

from registry.resume import resume
from tests.registry.command import assert_equal, assert_same_run, final_state, in_a_child, run
from tests.registry.test_kill import run_and_die_in_rollout
from tests.registry.test_verify import ask

SIZES = {"batch_size": 4, "buffer_size": 4, "batch_size_run": 2, "t_max": 320}
RUNS: dict[str, dict[str, Any]] = {
    "acac": {"config": "acac"},
    "ippo": {"config": "ippo", "epsilon_anneal_time": None},
    "mac_iaicc": {"config": "mac_iaicc"},
}


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test stands in a folder of its own and uses the embedded host."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EPYMARL_HOST", "embedded")


def folder(algorithm: str, root: str = "results") -> Path:
    return Path(root) / "sacred" / algorithm / "async-poac-1" / "1"


def given(algorithm: str, **changes: Any) -> dict[str, Any]:
    return {**SIZES, **RUNS[algorithm], **changes}


@pytest.mark.parametrize("algorithm", RUNS)
@pytest.mark.parametrize("at", [6, 7])  # with two fresh episodes waiting in the buffer, and with none
def test_a_killed_run_goes_on_as_if_undisturbed(algorithm: str, at: int) -> None:
    assert 0 == run(**given(algorithm, local_results_path="whole"))
    assert -signal.SIGKILL == in_a_child(lambda: run_and_die_in_rollout(at, **given(algorithm)))
    assert 0 == resume(folder(algorithm))
    assert_same_run(folder(algorithm, "whole"), folder(algorithm))


@pytest.mark.parametrize("algorithm", RUNS)
def test_how_often_is_asked_and_tested_does_not_change_the_weights(algorithm: str) -> None:
    """More updates for each episode are more calls, which a learner of fresh episodes lets pass."""
    assert 0 == run(**given(algorithm, local_results_path="one"))
    changes = {"updates_per_episode": 0.5, "test_interval": 40, "test_nepisode": 3}
    assert 0 == run(**given(algorithm, local_results_path="two", **changes))
    one, two = (final_state(folder(algorithm, root)) for root in ("one", "two"))
    assert one["learner"]["training_steps"] == 4
    assert_equal(one["learner"], two["learner"])


@pytest.mark.parametrize("algorithm", RUNS)
def test_verify_says_that_there_is_nothing_to_verify(algorithm: str) -> None:
    code, told, errors = ask("--key", "async:poac-1", "--config", algorithm)
    assert code != 0
    line = f"learner='{algorithm}_learner' learns policies without a mixer or proxies"
    assert line in told + errors and "Traceback" not in told + errors


def test_paper_asks_for_sixteen_fresh_episodes_of_four_environments() -> None:
    from registry import config as configuration
    from registry.hosts import select

    for algorithm in RUNS:
        updates = {"env_args": {"key": "async:poac-1"}, "paper": True}
        config = configuration.assemble(select.choose("embedded"), algorithm, None, updates)
        sizes = [config[name] for name in ("batch_size_run", "batch_size", "buffer_size", "lr", "critic_lr")]
        assert [4, 16, 16, 0.0005, 0.0005] == sizes
        assert ("epsilon_start" in config) == (algorithm != "ippo")
