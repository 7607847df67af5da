"""A run that was killed, interrupted or damaged goes on as if nothing had happened."""

import json
import logging
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import torch as th

from epymarl_lite.checkpoint import CheckpointError, read_checkpoint, saved_steps, stored_episodes
from epymarl_lite.interrupt import Interrupted, StopRequest
from epymarl_lite.lock import locked
from epymarl_lite.run import run
from epymarl_lite.runners import EpisodeRunner
from epymarl_lite.training import Training
from tests.epymarl_lite import fakes

fakes.register()
ROOT = Path(__file__).resolve().parents[2]
SETTINGS = {
    "t_max": 900,
    "save_model": True,
    "save_model_interval": 300,
    "save_best_model": True,
    "buffer_size": 30,
    "label": "global_random",
}


def command(run_dir, *more, **changes):
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT), os.environ.get("PYTHONPATH", "")])
    settings = json.dumps({**SETTINGS, **changes})
    return subprocess.Popen(
        [sys.executable, "-m", "tests.epymarl_lite.fakes", str(run_dir), *more, "--set", settings],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process):
    _, errors = process.communicate(timeout=120)
    return process.returncode, errors


def here(run_dir, resume=None, **changes):
    given = fakes.config(**{**SETTINGS, **changes})
    return run(None, given, logging.getLogger("test"), fakes.Recorder(run_dir), resume)


def final_of(run_dir):
    """All that a run leaves: its records, and its last checkpoint as numbers."""
    loaded = read_checkpoint(run_dir / "checkpoints" / str(saved_steps(run_dir / "checkpoints")[0]))
    state = {key: value for key, value in loaded.state.items() if key != "recorder"}
    th.set_printoptions(threshold=10**9, precision=17)  # every number of every tensor
    whole_state = repr(state)
    th.set_printoptions(profile="default")
    episodes = {number: code.tobytes() for number, code in stored_episodes(loaded)}
    newest = {number: episodes[number] for number in sorted(episodes)[-SETTINGS["buffer_size"] :]}
    models = {str(f.relative_to(run_dir)): f.read_bytes() for f in (run_dir / "models").rglob("*.*")}
    return fakes.Recorder(run_dir).lines(), whole_state, newest, models


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("runs") / "undisturbed"
    here(run_dir)
    return final_of(run_dir)


@pytest.mark.slow
@pytest.mark.parametrize("kills", [(2000,), (900, 7000)])
def test_a_run_killed_anywhere_ends_byte_for_byte_as_the_undisturbed_one(tmp_path, undisturbed, kills):
    for k, n_bytes in enumerate(kills):
        n_bytes += random.Random(n_bytes).randrange(400)
        returncode, errors = finish(
            command(tmp_path, "--kill-after", str(n_bytes), *["--resume"][: int(k > 0)])
        )
        assert returncode == -signal.SIGKILL, errors
    returncode, errors = finish(command(tmp_path, "--resume"))
    assert returncode == 0, errors
    for left, right in zip(undisturbed, final_of(tmp_path)):
        assert left == right


def test_every_stop_between_two_rollouts_is_resumed_exactly(tmp_path, undisturbed, monkeypatch):
    """A signal comes in rollouts 5, 23 and 61; each time the run is interrupted and taken up again."""
    rollouts = [0]
    real = EpisodeRunner.run

    def counted(self, test_mode=False):
        rollouts[0] += 1
        if rollouts[0] in (5, 23, 61):
            os.kill(os.getpid(), signal.SIGTERM)
        return real(self, test_mode)

    monkeypatch.setattr(EpisodeRunner, "run", counted)
    n_stops, resume = 0, None
    while True:
        try:
            here(tmp_path, resume)
            break
        except Interrupted as stop:
            assert stop.signum == signal.SIGTERM and "checkpoint" in str(stop)
            n_stops, resume = n_stops + 1, tmp_path
    assert n_stops == 3
    for left, right in zip(undisturbed, final_of(tmp_path)):
        assert left == right


def test_a_damaged_checkpoint_costs_only_the_steps_since_the_one_before(
    tmp_path, undisturbed, monkeypatch, caplog
):
    """The newest checkpoint is flipped; the run goes on from the one before and ends the same."""
    with pytest.raises(RuntimeError, match="the machine is on fire"):
        with monkeypatch.context() as patch:
            patch.setattr("epymarl_lite.training.Training._log_if_due", _burn_after(450))
            here(tmp_path)
    newest = saved_steps(tmp_path / "checkpoints")[0]
    state = tmp_path / "checkpoints" / str(newest) / "state.pt"
    content = bytearray(state.read_bytes())
    content[1000] ^= 1
    state.write_bytes(content)
    here(tmp_path, resume=tmp_path, t_max=newest - 1)
    assert f"{state}: damaged" in caplog.text
    assert read_checkpoint(state.parent).state["runner"]["t_env"] == newest  # written anew
    here(tmp_path, resume=tmp_path)
    assert _losses(tmp_path) == [line for line in undisturbed[0] if line[0] == "loss"]
    assert final_of(tmp_path)[2] == undisturbed[2]


def _losses(run_dir):
    return [line for line in fakes.Recorder(run_dir).lines() if line[0] == "loss"]


def _burn_after(step):
    real = Training._log_if_due

    def log(self):
        real(self)
        if self.runner.t_env > step:
            raise RuntimeError("the machine is on fire")

    return log


def test_a_finished_run_can_be_prolonged(tmp_path, undisturbed):
    here(tmp_path, t_max=400)
    results = here(tmp_path, resume=tmp_path)
    assert results["t_env"] > 900
    losses = [line for line in fakes.Recorder(tmp_path).lines() if line[0] == "loss"]
    assert losses == [line for line in undisturbed[0] if line[0] == "loss"]


def test_a_finished_run_that_is_resumed_plays_nothing_more(tmp_path):
    here(tmp_path)
    before = fakes.Recorder(tmp_path).lines()
    assert here(tmp_path, resume=tmp_path)["t_env"] > 900
    assert fakes.Recorder(tmp_path).lines() == before


def test_without_its_buffer_a_run_goes_on_and_says_so(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    here(tmp_path, checkpoint_buffer=False, t_max=300)
    assert "without the replay buffer (checkpoint_buffer=False)" in caplog.text
    assert not (tmp_path / "checkpoints" / "buffer").exists()
    here(tmp_path, resume=tmp_path, checkpoint_buffer=False)
    assert "holds no replay buffer" in caplog.text


def test_a_checkpoint_of_another_configuration_is_refused(tmp_path, monkeypatch):
    here(tmp_path)
    real = fakes.Controller.__init__

    def wider(self, scheme, groups, args):
        real(self, scheme, groups, args)
        self.agent = th.nn.Linear(scheme["obs"]["vshape"], args.n_actions + 1)

    monkeypatch.setattr(fakes.Controller, "__init__", wider)
    with pytest.raises(CheckpointError, match="does not fit this configuration .*size mismatch"):
        here(tmp_path, resume=tmp_path)


def test_a_checkpoint_can_start_a_run_in_another_folder(tmp_path, undisturbed):
    here(tmp_path / "a", t_max=400)
    here(tmp_path / "b", resume=tmp_path / "a")
    assert final_of(tmp_path / "b")[2] == undisturbed[2]


def test_nothing_to_resume_is_an_error(tmp_path):
    with pytest.raises(CheckpointError, match="no checkpoint is there"):
        here(tmp_path / "a", resume=tmp_path)
    with pytest.raises(CheckpointError, match="no such folder"):
        here(tmp_path / "a", resume=tmp_path / "nowhere")


@pytest.mark.slow
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_command_with_a_checkpoint_and_its_own_status(tmp_path, signum):
    process = command(tmp_path, t_max=10**7, label="0.002")
    _wait_for(lambda: fakes.Recorder(tmp_path).position() > 1000)
    process.send_signal(signum)
    returncode, errors = finish(process)
    assert returncode == 128 + signum, errors
    assert saved_steps(tmp_path / "checkpoints") and "Checkpoint at step" in errors


@pytest.mark.slow
def test_a_signal_reaches_a_run_with_workers_and_leaves_none_behind(tmp_path):
    process = command(tmp_path, t_max=10**7, label="0.002", runner="parallel", batch_size_run=2)
    _wait_for(lambda: fakes.Recorder(tmp_path).position() > 1000)
    workers = [child.pid for child in psutil.Process(process.pid).children()]
    for pid in workers:
        os.kill(pid, signal.SIGINT)  # as a terminal's Ctrl-C does
    process.send_signal(signal.SIGINT)
    returncode, errors = finish(process)
    assert returncode == 130, errors
    assert len(workers) == 2
    _wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))


@pytest.mark.slow
def test_workers_end_when_their_parent_is_killed(tmp_path):
    process = command(tmp_path, t_max=10**7, label="0.002", runner="parallel", batch_size_run=2)
    _wait_for(lambda: fakes.Recorder(tmp_path).position() > 1000)
    workers = [child.pid for child in psutil.Process(process.pid).children()]
    process.kill()
    finish(process)
    assert len(workers) == 2
    _wait_for(lambda: not any(_is_running(pid) for pid in workers))


def _is_running(pid):
    status = Path(f"/proc/{pid}/status")
    try:
        return "State:\tZ" not in status.read_text()
    except OSError:
        return False


def _wait_for(condition, limit_s=60):
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def test_a_second_process_on_the_same_run_is_refused(tmp_path):
    with locked(tmp_path):
        returncode, errors = finish(command(tmp_path))
    assert returncode == 1 and f"another process ({os.getpid()}) is working on this run" in errors
    assert not (tmp_path / "lines.jsonl").exists()


def test_a_second_signal_stops_at_once():
    with pytest.raises(Interrupted, match="SIGTERM"):
        with StopRequest() as stop:
            os.kill(os.getpid(), signal.SIGINT)
            assert stop.signum == signal.SIGINT
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(1)
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
