"""The kernels play exactly as the slow twin does, on random tasks and on the named ones."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_envs.tabular import instances
from async_envs.tabular.simulator import TabularSimulator
from tests.async_envs.tabular.naive import Episode
from tests.theory.strategies import Parts, parts

TASKS = parts().map(Parts.task)
SEEDS = st.integers(0, 2**64 - 1)


def check_same(simulator, b, twin, best):
    """Everything that a user can see, and the number that the next draw will come from."""
    for agent in twin.agents:
        available = [simulator.action_names[a] for a in np.flatnonzero(simulator.avail_actions[b, agent])]
        assert available == twin.available(agent)
        np.testing.assert_allclose(simulator.obs[b, agent], twin.observation(agent), atol=1e-6)
    np.testing.assert_allclose(simulator.state[b], twin.full_state(), atol=1e-6)
    assert simulator.reward[b] == np.float32(twin.reward)
    assert (simulator.terminated[b], simulator.truncated[b]) == (twin.terminated, twin.truncated)
    assert simulator.t[b] == twin.t
    found = {name: values[b] for name, values in simulator.metrics.items()}
    assert found == pytest.approx(twin.metrics(best), rel=1e-5, abs=1e-5)
    assert int(simulator.now.streams[b]) == twin.stream.state


def play(task, seeds, draw, best=None):
    """A batch against one twin an episode, to the end of all; returns the twins."""
    simulator = TabularSimulator("async:tabular-test", len(seeds), task, best)
    simulator.reset(seeds)
    twins = [Episode(task, seed) for seed in seeds]
    names = simulator.action_names
    while True:
        actions = np.full((len(seeds), simulator.n_agents), -1)
        for b, twin in enumerate(twins):
            check_same(simulator, b, twin, best)
            if not (twin.terminated or twin.truncated):
                chosen = [draw.choice(twin.available(agent)) for agent in twin.agents]
                actions[b] = [names.index(name) for name in chosen]
                twin.step(chosen)
            twin.reward = 0.0 if (actions[b] < 0).all() else twin.reward
        if (actions < 0).all():
            return twins
        simulator.step(actions)


@given(TASKS, SEEDS, st.randoms(use_true_random=False))
def test_random_tasks_agree_with_their_slow_twins(task, seed, draw):
    play(task, [seed, (seed + 1) % 2**64, 3], draw)


@pytest.mark.parametrize(
    "task, best",
    [
        instances.of_payoff(1.0, 2.0, False),
        instances.of_payoff(-2.0, 1.5, True),
        instances.of_climbing(),
        instances.of_relay(),
    ],
    ids=["payoff", "payoff shown", "climbing", "relay"],
)
def test_named_tasks_agree_with_their_slow_twins(task, best):
    twins = play(task, list(range(60)), random.Random(5), best)
    assert min(twin.metrics(best)["optimal"] for twin in twins) == 0.0
