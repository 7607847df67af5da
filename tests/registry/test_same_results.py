"""What may change the trained weights, and what may not, through the whole command."""

import multiprocessing
from pathlib import Path
from typing import Any, Iterator

import pytest

from epymarl_lite.runners import parallel_runner
from registry.records import read_records
from tests.registry.command import FOLDER, assert_equal, final_state, run

KINDS = [("vector", 2), ("episode", 1)]


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test stands in a folder of its own and uses the embedded host."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EPYMARL_HOST", "embedded")


def trained(number: int, **changes: Any) -> dict[str, Any]:
    """The last checkpoint of the `number`-th run."""
    assert 0 == run(**changes)
    return final_state(FOLDER.parent / str(number))


def weights(state: dict[str, Any]) -> dict[str, Any]:
    """What was learnt, and the optimiser's memory."""
    return {name: state["learner"][name] for name in state["learner"] if name not in ("logger",)}


def differ(a: Any, b: Any) -> bool:
    try:
        assert_equal(a, b)
    except AssertionError:
        return True
    return False


@pytest.mark.parametrize("runner, at_once", KINDS)
def test_the_same_seed_gives_the_same_weights_and_another_does_not(runner: str, at_once: int) -> None:
    given = {"runner": runner, "batch_size_run": at_once, "t_max": 120}
    one, same = trained(1, **given), trained(2, **given)
    assert_equal(one, same)
    assert differ(weights(one), weights(trained(3, **given, seed=5)))


@pytest.mark.parametrize("runner, at_once", KINDS)
def test_how_often_and_how_long_is_tested_does_not_change_the_weights(runner: str, at_once: int) -> None:
    given = {"runner": runner, "batch_size_run": at_once, "t_max": 160}
    often = trained(1, **given, test_interval=20, test_nepisode=5)
    hardly = trained(2, **given, test_interval=100_000, test_nepisode=1)
    assert often["counters"]["last_test_t"] and weights(often)
    assert_equal(weights(often), weights(hardly))
    assert_equal(often["buffer"], hardly["buffer"])
    n_tests = [len([r for r in read_records(FOLDER.parent / n) if r["kind"] == "test"]) for n in "12"]
    assert 4 <= n_tests[0] and 2 == n_tests[1]


@pytest.fixture
def default_start_method() -> Iterator[None]:
    yield
    multiprocessing.set_start_method(None, force=True)


@pytest.mark.slow
def test_fork_spawn_and_forkserver_train_the_same_weights(
    default_start_method: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers of the parallel runner on POAC, however they are started; and without tests between."""
    states = []
    for number, method in enumerate(("fork", "spawn", "forkserver"), start=1):
        multiprocessing.set_start_method(method, force=True)
        assert method == parallel_runner.multiprocessing.get_start_method()
        states.append(trained(number, runner="parallel", t_max=80, test_interval=1000))
    assert_equal(states[0], states[1])
    assert_equal(states[0], states[2])
