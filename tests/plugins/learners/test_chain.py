"""A chain with known values: what a step limit cuts off goes on, what the task ends does not.

One agent walks a chain whose every step pays 1 (`wait` is all it can do). Under a discount of 0.5 a walk that
the task ends after 4 steps is worth 1 + 1/2 + 1/4 + 1/8 at its start, and 1 at its last step; a walk that is
merely cut off after 4 steps goes on for ever: 2 everywhere.
"""

from typing import Any

import numpy as np
import pytest
import torch

from async_envs.core.simulator import Simulator
from epymarl_lite.components.episode_buffer import EpisodeBatch, ReplayBuffer
from epymarl_lite.envs import REGISTRY as ENVS
from epymarl_lite.run import layout
from epymarl_lite.runners import EpisodeRunner, ParallelRunner
from plugins.controllers.async_mac import AsyncMAC
from plugins.envs import AsyncEnv
from plugins.learners.value_learner import ValueLearner
from plugins.runners.vector import VectorRunner
from tests.plugins.acting import Log, settings
from tests.plugins.tiny import configuration

N, GAMMA = 4, 0.5
TERMINATED = [1 + 1 / 2 + 1 / 4 + 1 / 8, 1 + 1 / 2 + 1 / 4, 1 + 1 / 2, 1.0]
TRUNCATED = [2.0] * N


class Chain(Simulator):
    """B walks of N steps; where one is shows in its observation, one-hot over N + 1 places."""

    def __init__(self, batch_size: int, ends: bool):
        super().__init__(
            key="async:chain", batch_size=batch_size, n_agents=1, episode_limit=N,
            action_names=("noop", "continue", "wait"), obs_names=tuple(f"at_{i}" for i in range(N + 1)),
            state_names=("bias",), metric_names=("battle_won",),
        )  # fmt: skip
        self.ends = ends

    def _reset(self, seeds: np.ndarray, where: np.ndarray) -> None:
        self._show(where)

    def _step(self, actions: np.ndarray) -> None:
        running = ~(self.terminated | self.truncated)
        self.t += running
        self.reward[:] = running
        over = running & (self.t >= N)
        (self.terminated if self.ends else self.truncated)[over] = True
        self._show(running)

    def _show(self, where: np.ndarray) -> None:
        self.obs[where] = np.eye(N + 1, dtype=np.float32)[self.t[where]][:, None]
        self.state[where] = 1.0
        self.avail_actions[where] = (0, 0, 1)


def make_chain(key: str, batch_size: int = 1, view: str | None = None, ends: bool = False) -> Simulator:
    return Chain(batch_size, ends)


def make_chain_env(**kwargs: Any) -> AsyncEnv:
    return AsyncEnv(make_chain, **kwargs)


class Quiet(Log):
    """A logger without a recorder."""

    recorder = None


def build(kind: str, ends: bool) -> tuple[Any, Any, ValueLearner]:
    """A runner, a replay buffer and a learner (VDN of one memoryless agent: q_tot is its utility)."""
    at_once = 1 if kind == "episode" else 2
    args = settings(
        **configuration(
            "vdn", gamma=GAMMA, use_rnn=False, hidden_dim=32, lr=0.01, target_update_interval_or_tau=8,
            batch_size_run=at_once, agent="rnn", obs_last_action=False, obs_agent_id=False,
        ),
        env="chain", env_args={"key": "async:chain", "seed": 7, "ends": ends},
    )  # fmt: skip
    log = Quiet()
    if kind == "vector":
        runner: Any = VectorRunner(args, log, episode_batch=EpisodeBatch, make_simulator=make_chain)
    else:
        seeds = {"episode_seed": lambda seed, stream, k: k}
        runner = {"episode": EpisodeRunner, "parallel": ParallelRunner}[kind](args, log, **seeds)
    scheme, groups, preprocess = layout(args, runner.get_env_info())
    buffer = ReplayBuffer(scheme, groups, 8, N + 1, preprocess=preprocess, device="cpu", seed=1)
    torch.manual_seed(3)
    mac = AsyncMAC(buffer.scheme, groups, args)
    runner.setup(scheme, groups, preprocess, mac)
    return runner, buffer, ValueLearner(mac, buffer.scheme, log, args)


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Builds runner, buffer and learner, and closes the runner."""
    monkeypatch.setitem(ENVS, "chain", make_chain_env)
    built = []
    yield lambda kind, ends: built.append(build(kind, ends)) or built[-1]
    for runner, _, _ in built:
        runner.close_env()


@pytest.mark.parametrize("ends, values", [(True, TERMINATED), (False, TRUNCATED)], ids=["ended", "cut off"])
@pytest.mark.parametrize("kind", ["vector", "episode", "parallel"])
def test_learnt_values_are_those_of_the_chain(kind: str, ends: bool, values: list[float], parts: Any) -> None:
    """From the runner through the buffer to the learner, whose values are then read at every place."""
    runner, buffer, learner = parts(kind, ends)
    for _ in range(4):
        buffer.insert_episode_batch(runner.run())
    for update in range(400):
        batch = buffer.sample(4)
        assert N + 1 == batch.max_t_filled()
        learner.train(batch, t_env=update, episode_num=update)
    learnt = learner.compute(buffer.sample(1)).q_tot.detach().flatten().tolist()
    assert learnt == pytest.approx(values, abs=0.05)


@pytest.mark.parametrize("ends", [True, False])
def test_the_last_target_is_bootstrapped_only_where_the_walk_was_cut_off(ends: bool, parts: Any) -> None:
    """One update, by hand: reward 1, and half of the target network's utility at place 4 unless ended."""
    runner, buffer, learner = parts("vector", ends)
    buffer.insert_episode_batch(runner.run())
    batch = buffer.sample(2)
    with torch.no_grad():
        last = float(learner.target_mac.unroll(batch)[0, N, 0, 2])
    target = learner.compute(batch).target.flatten().tolist()
    assert abs(last) > 1e-3  # else the two cases could not be told apart
    assert target[N - 1] == pytest.approx(1.0 if ends else 1.0 + GAMMA * last, abs=1e-6)
