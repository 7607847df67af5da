"""An episode explained: the learner's own numbers, every agent's status and running action."""

from importlib import import_module
from typing import Any

import numpy as np
import pytest
import torch

from async_envs.core.status import statuses
from plugins.controllers.async_mac import AsyncMAC
from plugins.credit.course import DECIDING, EXECUTING, INACTIVE, Course, play
from plugins.credit.key_frames import key_frames
from plugins.credit.report import frame_report, labels_of_own, meanings, slot_names, table
from plugins.learners import LEARNERS
from plugins.mixers import MIXERS
from registry import catalog
from tests.plugins.acting import settings
from tests.plugins.tiny import Log, configuration

KEY = "async:poac-1"
NAMES = [name for name in MIXERS if name != "boltzmann_heads"]


def learner_of(name: str, **changes: Any) -> tuple[Any, Any]:
    """(simulator of one episode, fresh learner)."""
    simulator = catalog.make(KEY, episode_limit=30)
    sizes = {"n_agents": simulator.n_agents, "n_actions": simulator.n_actions}
    args = settings(**{**configuration(name, hidden_dim=8), **sizes, **changes})
    scheme = {"obs": {"vshape": simulator.obs_dim}, "state": {"vshape": (simulator.state_dim,)}}
    torch.manual_seed(0)
    mac = AsyncMAC(scheme, {"agents": simulator.n_agents}, args)
    module, _, name = LEARNERS[args.learner].partition(":")
    return simulator, getattr(import_module(module), name)(mac, scheme, Log(), args)


def course_of(name: str, seed: int = 7, **changes: Any) -> tuple[Any, Any, Course]:
    simulator, learner = learner_of(name, **changes)
    return simulator, learner, play(simulator, learner, seed, 1)


@pytest.mark.parametrize("name", NAMES)
def test_every_algorithm_with_a_mixer_can_be_explained(name: str) -> None:
    simulator, learner, course = course_of(name)
    is_event = statuses(course.recording.avail_actions[0, :-1]).deciding.any(1)  # AVF learns from these alone
    expected = is_event.nonzero()[0] if name.startswith("avf") else np.arange(course.recording.n_steps)
    assert expected.tolist() == course.steps.tolist() and len(expected) == len(course.q_tot) == len(course.td_error)
    assert np.isfinite(course.td_error).all() and np.isfinite(course.f).all()
    frames = key_frames(course, 3)
    slots = slot_names(simulator.n_agents, course.explanation.q.shape[1])
    labels = labels_of_own(learner.mixer, course, slots)
    for frame in frames:
        told = frame_report(course, frame, simulator.action_names)
        assert set(told["own"]) == set(labels) and set(told["own"]) < set(meanings(course))
        assert f"step {told['step']} (" in table(told, slots, labels)


def test_the_td_error_is_the_learners_own() -> None:
    """Reward and target network by hand: r + gamma Q_tot'(t+1) - Q_tot(t), no bootstrap at a real end."""
    _, _, course = course_of("vdn", double_q=False)
    q_tot = course.q_tot
    greedy = course.explanation.q.numpy().sum(1)
    np.testing.assert_allclose(q_tot, greedy)
    expected = course.reward[:-1] + 0.99 * q_tot[1:] - q_tot[:-1]  # fresh: target = live; played greedily
    np.testing.assert_allclose(course.td_error[:-1], expected, atol=1e-6)
    assert course.recording.truncated.any()


def test_the_play_and_the_explanation_leave_the_learner_alone() -> None:
    simulator, learner = learner_of("mvd")
    before = learner.resume_state()
    generators = learner.mac.resume_state()
    first = play(simulator, learner, 7, 1)
    second = play(simulator, learner, 7, 1)
    after = learner.resume_state()
    assert all(torch.equal(before["mixer"][name], after["mixer"][name]) for name in before["mixer"])
    assert torch.equal(before["draws"], after["draws"]) and str(generators) == str(learner.mac.resume_state())
    assert 0.0 == float(learner.mixer.minimum.value) == float(first.explanation.own["q_c_min"].max())
    assert torch.equal(first.explanation.f, second.explanation.f)


def test_status_and_running_action_are_those_of_the_episode() -> None:
    _, _, course = course_of("mvd")
    recording = course.recording
    seen = set()
    for row, step in enumerate(course.steps):
        status = statuses(recording.avail_actions[0, step])
        for agent in range(3):
            expected = DECIDING if status.deciding[agent] else EXECUTING if status.executing[agent] else INACTIVE
            assert expected == course.status(row, agent)
            seen.add(expected)
            running = course.running_action(row, agent)
            if expected == INACTIVE:
                assert running == 0
                continue
            since = int(course.running_since[row, agent])
            assert (since == step) == (expected == DECIDING) and running >= 2
            assert running == recording.actions[0, since, agent]
            between = recording.actions[0, since + 1 : step + 1, agent]
            assert (between == 1).all()
    assert {DECIDING, EXECUTING} <= seen


def test_only_executing_agents_have_a_proxy_in_the_report() -> None:
    simulator, learner, course = course_of("qmix_a")
    n_proxies = 0
    for frame in key_frames(course, 30):
        told = frame_report(course, frame, simulator.action_names)
        for agent in told["agents"]:
            assert (agent["proxy"] is not None) == (agent["status"] == EXECUTING)
            n_proxies += agent["proxy"] is not None
    assert n_proxies > 0
