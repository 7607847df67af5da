"""Statistics reach every place, as plain numbers."""

import logging
from types import SimpleNamespace

import numpy as np
import pytest
import torch as th

from epymarl_lite.utils.logging import Logger, get_logger
from tests.epymarl_lite.fakes import Recorder


def a_sacred_run():
    run = SimpleNamespace(info={}, scalars=[])
    run.log_scalar = lambda name, value, t: run.scalars.append((name, value, t))
    return run


def test_a_statistic_goes_to_sacred_as_epymarl_writes_it(tmp_path):
    run, recorder = a_sacred_run(), Recorder(tmp_path)
    logger = Logger(logging.getLogger("test"), recorder)
    logger.setup_sacred(run)
    for t, value in ((10, np.float32(0.5)), (np.int64(20), th.tensor(0.25)), (30, 1)):
        logger.log_stat("loss", value, t)
    logger.log_stat("secret", 1.0, 30, to_sacred=False)
    assert run.info == {"loss": [0.5, 0.25, 1.0], "loss_T": [10, 20, 30]}
    assert {type(value) for value in run.info["loss"]} == {float} and {
        type(t) for t in run.info["loss_T"]
    } == {int}
    assert run.scalars[0] == ("loss", 0.5, 10)
    assert recorder.lines()[-1] == ["secret", 1.0, 30]
    assert logger.stats["loss"] == [(10, 0.5), (20, 0.25), (30, 1.0)]


def test_the_summary_shows_means_of_the_last_five_and_the_latest_epsilon(caplog):
    caplog.set_level(logging.INFO)
    logger = Logger(logging.getLogger("test"))
    for t in range(7):
        logger.log_stat("loss", t, t)
        logger.log_stat("epsilon", t, t)
    logger.log_stat("episode", 12, 600)
    logger.print_recent_stats()
    text = " ".join(caplog.text.split())
    assert "t_env: 600 | Episode: 12" in text
    assert "loss: 4.0000" in text and "epsilon: 6.0000" in text


def test_resumed_statistics_are_those_of_before(tmp_path):
    first, run = Logger(logging.getLogger("test")), a_sacred_run()
    first.log_stat("loss", 0.5, 10)
    first.log_stat("secret", 0.5, 10, to_sacred=False)
    th.save(first.resume_state(), tmp_path / "state")
    second = Logger(logging.getLogger("test"))
    second.setup_sacred(run)
    second.load_resume_state(th.load(tmp_path / "state", weights_only=True))
    second.log_stat("loss", 0.25, 20)
    assert second.stats["loss"] == [(10, 0.5), (20, 0.25)]
    assert run.info == {"loss": [0.5, 0.25], "loss_T": [10, 20]}


def test_a_recorder_that_is_rewound_fills_sacred_itself(tmp_path):
    first, run = Logger(logging.getLogger("test")), a_sacred_run()
    first.log_stat("loss", 0.5, 10)
    second = Logger(logging.getLogger("test"), Recorder(tmp_path))
    second.setup_sacred(run)
    second.load_resume_state(first.resume_state())
    assert run.info == {} and second.stats["loss"] == [(10, 0.5)]


def test_tensorboard_events_are_written(tmp_path):
    logger = Logger(logging.getLogger("test"))
    logger.setup_tb(str(tmp_path / "tb"))
    logger.log_stat("loss", 0.5, 10)
    logger.finish()
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path / "tb"))
    events.Reload()
    assert [(event.step, event.value) for event in events.Scalars("loss")] == [(10, 0.5)]


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ((None, "p", "offline"), "wandb_team and wandb_project"),
        (("t", "p", "on"), "wandb_mode='on' is not accepted"),
    ],
)
def test_wandb_settings_are_checked(given, text):
    with pytest.raises(ValueError, match=text):
        Logger(logging.getLogger("test")).setup_wandb({}, *given)


def test_a_missing_wandb_is_told_in_words(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "wandb", None)
    with pytest.raises(ValueError, match="wandb is not installed. pip install wandb"):
        Logger(logging.getLogger("test")).setup_wandb({}, "t", "p", "offline")


def test_the_console_logger_prints_to_stderr(capsys):
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    try:
        get_logger().info("hello")
        assert "[INFO " in capsys.readouterr().err
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
