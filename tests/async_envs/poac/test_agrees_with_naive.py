"""The kernels play exactly as the slow twin does: observations, masks, rewards, ends, metrics, bots and
draws.
"""

import random

import numpy as np
import pytest

from async_envs.poac.constants import SCENARIOS
from async_envs.poac.maps import map_path, read_hidden
from async_envs.poac.simulator import make
from tests.async_envs.poac.naive import Game

OPTIONS = [
    {},
    {"bot": "KAI0", "random_start": True},
    {"bot": "KAI1", "patience": 15, "speeds": "original"},
    {"bot": "KAI2", "guided": True, "episode_limit": 90},
    {"bot": "KAI2", "patience": 1, "random_start": True},
]


def pair(scenario, seed, **options):
    """(compiled episode, its twin) at their first step."""
    size = SCENARIOS[scenario]
    simulator = make(f"async:poac-{scenario}", scenario, batch_size=1, **options)
    simulator.reset([seed])
    return simulator, Game(
        scenario, read_hidden(map_path(scenario), size.rows, size.columns), seed, **options
    )


def check_same(simulator, twin):
    """Everything that a user can see, and the number that the next draw will come from."""
    for agent in range(3):
        available = [simulator.action_names[a] for a in np.flatnonzero(simulator.avail_actions[0, agent])]
        assert available == sorted(twin.available(agent), key=simulator.action_names.index)
        seen = twin.observation(agent)
        assert tuple(seen) == simulator.obs_names
        np.testing.assert_allclose(simulator.obs[0, agent], list(seen.values()), atol=1e-6)
    state = twin.state()
    assert tuple(state) == simulator.state_names
    np.testing.assert_allclose(simulator.state[0], list(state.values()), atol=1e-6)
    assert simulator.reward[0] == np.float32(twin.reward)
    assert (simulator.terminated[0], simulator.truncated[0]) == (twin.terminated, twin.truncated)
    assert {name: pytest.approx(values[0]) for name, values in simulator.metrics.items()} == twin.metrics()
    assert int(simulator.world.streams[0]) == twin.stream.state


def play(simulator, twin, choose, n_steps=600):
    """Play on with the actions that `choose` picks among the available ones, checking every step."""
    check_same(simulator, twin)
    while not twin.over and twin.t < n_steps:
        names = [choose(twin, agent) for agent in range(3)]
        simulator.step(np.array([[simulator.action_names.index(name) for name in names]]))
        twin.step(names)
        check_same(simulator, twin)


def bold(draw):
    """Shoots often, else mostly goes to the east, so that the sides meet in every scenario."""

    def choose(twin, agent):
        available = twin.available(agent)
        shots = [name for name in available if "attack" in name]
        eastward = [name for name in available if name in ("move-E", "move-NE", "move-SE")]
        if shots and draw.random() < 0.8:
            return draw.choice(shots)
        return draw.choice(eastward if eastward and draw.random() < 0.7 else available)

    return choose


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_episode_agrees_with_its_slow_twin(scenario, options):
    for seed in (1, 2**64 - 5):
        draw = random.Random(f"{scenario} {options} {seed}")
        play(*pair(scenario, seed, **options), bold(draw), n_steps=250)


def test_uniformly_random_episode_agrees_with_its_slow_twin():
    draw = random.Random(7)
    for scenario in SCENARIOS:
        play(*pair(scenario, 3), lambda twin, agent: draw.choice(twin.available(agent)), n_steps=150)
