"""ICES in whole runs: on the hosts' own runners, and stopped and resumed."""

import importlib
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from epymarl_lite.checkpoint import read_checkpoint, saved_steps
from epymarl_lite.interrupt import Interrupted
from registry.hosts.base import Host
from registry.hosts.select import choose
from tests.hosts.harness import Heard, settings, train
from tests.hosts.test_contract import check_trained
from tests.registry.command import assert_equal

TRAINS = ("explorer_loss", "explorer_value_loss", "world_elbo_global", "world_elbo_local")


class StopAfter:
    """A signal that comes when a run has been asked about it `n` times."""

    def __init__(self, n: int):
        self._left = n

    @property
    def signum(self) -> int | None:
        """None until then."""
        self._left -= 1
        return signal.SIGTERM if self._left < 0 else None


def run_embedded(run_dir: Path, tmp_path: Path, **given: Any) -> Heard:
    """A tiny run; `given` goes to the host's run."""
    config = settings(choose("embedded"), "ices", tmp_path, ices_world_transitions=10, checkpoint_interval=10_000)
    host = importlib.import_module("epymarl_lite.run")
    heard = Heard(run_dir)
    choose("embedded").parts()
    host.run_sequential(host.arguments(config, heard.console_logger), heard, None, run_dir=run_dir, **given)
    return heard


def last_checkpoint(run_dir: Path) -> dict[str, Any]:
    step = saved_steps(run_dir / "checkpoints")[0]
    state = read_checkpoint(run_dir / "checkpoints" / str(step)).state
    return {name: state[name] for name in ("learner", "controller", "runner", "buffer", "random")}


def test_a_run_that_is_stopped_and_resumed_ends_as_the_undisturbed_one(tmp_path: Path) -> None:
    """Stopped twice, after 40 and 80 steps (updates begin at 40): every network, optimiser and generator agrees."""
    run_embedded(tmp_path / "whole", tmp_path, stop=StopAfter(99))
    resume = None
    for _ in range(2):
        with pytest.raises(Interrupted):
            run_embedded(tmp_path / "parts", tmp_path, stop=StopAfter(2), resume=resume)
        resume = tmp_path / "parts"
    run_embedded(tmp_path / "parts", tmp_path, stop=StopAfter(99), resume=resume)
    whole, parts = last_checkpoint(tmp_path / "whole"), last_checkpoint(tmp_path / "parts")
    assert whole["learner"]["training_steps"] >= 6
    assert_equal(whole, parts)


def test_the_embedded_host_gives_the_world_model_samples_of_its_own(tmp_path: Path, monkeypatch: Any) -> None:
    """Three samples an update: one for values and explorer, one for each view."""
    from epymarl_lite.components.replay_buffer import ReplayBuffer

    drawn = []
    sample = ReplayBuffer.sample
    monkeypatch.setattr(ReplayBuffer, "sample", lambda self, n: drawn.append(n) or sample(self, n))
    run_embedded(tmp_path / "run", tmp_path, stop=StopAfter(99))
    steps = last_checkpoint(tmp_path / "run")["learner"]["training_steps"]
    assert steps > 0 and drawn == [2] * 3 * steps


def check_explored(watched: Any, heard: Any) -> None:
    """As every learner's, and every part of ICES has learnt."""
    check_trained(watched, heard, 4)
    for name in TRAINS:
        values = [value for _, value in heard.stats[name]]
        assert values and bool(torch.isfinite(torch.tensor(values)).all()), name
    assert len({value for _, value in heard.stats["explorer_loss"]}) > 1


def test_it_trains_with_the_hosts_episode_runner(host: Host, tmp_path: Path, monkeypatch: Any) -> None:
    watched, heard = train(host, "ices", tmp_path, monkeypatch, runner="episode", batch_size_run=1)
    check_explored(watched, heard)


@pytest.mark.slow
def test_it_trains_with_the_hosts_parallel_runner(
    host: Host, tmp_path: Path, monkeypatch: Any, start_method: Any
) -> None:
    watched, heard = train(host, "ices", tmp_path, monkeypatch, runner="parallel")
    check_explored(watched, heard)
