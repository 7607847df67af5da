"""The best networks of a run: which ones are kept, and what a resumed run makes of them."""

import json
import os
import shutil
import signal
from pathlib import Path

import pytest
import torch as th

from epymarl_lite import best as module
from epymarl_lite.best import Best
from epymarl_lite.interrupt import Interrupted
from epymarl_lite.runners import EpisodeRunner
from epymarl_lite.utils.files import WriteError
from tests.epymarl_lite import fakes
from tests.epymarl_lite.test_resume import here

fakes.register()


class Networks:
    """A learner whose networks are a number."""

    def __init__(self, number):
        self.number = number

    def save_models(self, path):
        (Path(path) / "agent.th").write_text(str(self.number))


def test_of(step, mean):
    return {"t_env": step, "n_episodes": 4, "return": mean, "return_error": 0.1}


test_of.__test__ = False


def kept(folder):
    told = json.loads((folder / "best" / "best.json").read_text())
    return told["t_env"], told["return_mean"], told["n"], (folder / "best" / "agent.th").read_text()


def test_the_highest_test_is_kept_and_the_first_of_equal_ones(tmp_path):
    best = Best(tmp_path, is_wanted=True)
    means = [-3.0, -5.0, 1.5, 1.5, 0.0]
    taken = [best.consider(Networks(k), test_of(10 * k, mean)) for k, mean in enumerate(means)]
    assert [True, False, True, False, False] == taken
    assert (20, 1.5, 4, "2") == kept(tmp_path)
    assert ["best"] == [path.name for path in tmp_path.iterdir()]


def test_without_the_switch_nothing_is_touched(tmp_path):
    (tmp_path / "best").mkdir()
    best = Best(tmp_path, is_wanted=False)
    best.begin()
    assert not best.consider(Networks(0), test_of(0, 1.0))
    assert best.resume_state() is None and [] == list((tmp_path / "best").iterdir())


def test_what_a_killed_process_found_after_its_checkpoint_is_not_taken_for_the_best(tmp_path):
    """The checkpoint knew step 0; the process went on to step 10 and was killed, leaving half of a third one."""
    best = Best(tmp_path, is_wanted=True)
    best.consider(Networks(0), test_of(0, 1.0))
    th.save(best.resume_state(), tmp_path / "state.pt")
    best.consider(Networks(1), test_of(10, 9.0))
    (tmp_path / ".best.99").mkdir()
    assert "1" == kept(tmp_path)[3]

    resumed = Best(tmp_path, is_wanted=True)
    resumed.load_resume_state(th.load(tmp_path / "state.pt", weights_only=True))
    assert (0, 1.0, 4, "0") == kept(tmp_path)
    assert ["best", "state.pt"] == sorted(path.name for path in tmp_path.iterdir())
    assert not resumed.consider(Networks(2), test_of(10, 0.5))
    assert resumed.consider(Networks(3), test_of(20, 1.25))


def test_a_run_that_begins_again_forgets_the_best_of_the_one_before(tmp_path):
    Best(tmp_path, is_wanted=True).consider(Networks(0), test_of(0, 1e9))
    again = Best(tmp_path, is_wanted=True)
    again.load_resume_state(None)
    assert [] == list(tmp_path.iterdir())
    assert again.consider(Networks(1), test_of(0, -1.0))


def test_a_full_disk_is_an_error_and_the_best_before_stays(tmp_path, monkeypatch):
    best = Best(tmp_path, is_wanted=True)
    best.consider(Networks(0), test_of(0, 1.0))

    class Full(Networks):
        def save_models(self, path):
            super().save_models(path)
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("epymarl_lite.utils.files._WAIT_S", 0.0)
    with pytest.raises(WriteError, match="best: could not be written .*No space left"):
        best.consider(Full(1), test_of(10, 2.0))
    assert (0, 1.0, 4, "0") == kept(tmp_path)


def test_a_resumed_run_remembers_its_best(tmp_path, monkeypatch):
    """Every test is worse than the one before, and the run is stopped between them."""
    rollouts, real = [0], EpisodeRunner.run

    def counted(self, test_mode=False):
        rollouts[0] += 1
        if rollouts[0] == 40:
            os.kill(os.getpid(), signal.SIGTERM)
        return real(self, test_mode)

    monkeypatch.setattr(EpisodeRunner, "run", counted)
    monkeypatch.setattr("epymarl_lite.training.summary", lambda t_env, episodes: test_of(t_env, -float(t_env)))
    with pytest.raises(Interrupted):
        here(tmp_path)
    first = json.loads((tmp_path / "models" / "best" / "best.json").read_text())
    steps = [line[1] for line in fakes.Recorder(tmp_path).lines() if line[0] == "test"]
    assert first["t_env"] == steps[0] and len(steps) > 1
    shutil.rmtree(tmp_path / "models" / "best")
    here(tmp_path, resume=tmp_path)
    assert first == json.loads((tmp_path / "models" / "best" / "best.json").read_text())
    assert len(steps) + 1 < len([line for line in fakes.Recorder(tmp_path).lines() if line[0] == "test"])


def test_a_run_keeps_the_networks_of_its_best_test(tmp_path):
    """The tests of a whole run, from its record, name the same step; the networks saved there are the same."""
    here(tmp_path, save_model_interval=1)
    tests = [(line[1], line[2]) for line in fakes.Recorder(tmp_path).lines() if line[0] == "test"]
    means = [sum(episode["return"] for episode in episodes) / len(episodes) for _, episodes in tests]
    step = tests[means.index(max(means))][0]
    assert len(tests) > 3 and 0 < means.index(max(means))
    told = json.loads((tmp_path / "models" / module.FOLDER / module.FILE).read_text())
    assert {"t_env": step, "return_mean": pytest.approx(max(means)), "n": 3} == told
    saved = [tmp_path / "models" / name / "agent.th" for name in (module.FOLDER, str(step))]
    assert saved[0].read_bytes() == saved[1].read_bytes()
