"""The kernels play exactly as the slow twin does: world, observations, masks, rewards, ends, metrics, state."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_envs.overcooked.constants import RECIPES, THING_NAMES
from async_envs.overcooked.maps import map_path
from async_envs.overcooked.simulator import make
from tests.async_envs.overcooked.kitchens import OPTIONS, layouts
from tests.async_envs.overcooked.naive import Game

CODES = ("floor", "counter", "agent", "tomato", "lettuce", "plate", "knife", "delivery", "onion")
NAMED = (*THING_NAMES, None)  # entry -1: nothing


def map_lines(variant, size):
    return map_path(variant, size).read_text().splitlines()


def check_same(sim, twin):
    """Everything that a user can see, and the true world behind it."""
    things = sim.world.things
    cells = [CODES[code] for code in things.cells[0]]
    assert cells == [kind for _, kind in sorted(twin.cells.items())]
    assert [NAMED[thing] for thing in things.hands[0]] == list(twin.hands.values())
    assert [NAMED[thing] for thing in things.boards[0]] == list(twin.boards.values())
    for i, agent in enumerate(twin.agents):
        available = [sim.action_names[a] for a in np.flatnonzero(sim.avail_actions[0, i])]
        assert available == sorted(twin.available(agent), key=sim.action_names.index)
        seen = twin.observation(agent)
        assert tuple(seen) == sim.obs_names
        np.testing.assert_allclose(sim.obs[0, i], list(seen.values()), atol=1e-6)
    state = twin.state()
    assert tuple(state) == sim.state_names
    np.testing.assert_allclose(sim.state[0], list(state.values()), atol=1e-6)
    assert float(sim.reward[0]) == pytest.approx(twin.reward, abs=1e-6, rel=1e-6)
    assert (sim.terminated[0], sim.truncated[0]) == (twin.terminated, twin.truncated)
    assert {name: values[0] for name, values in sim.metrics.items()} == twin.metrics()


def play(sim, twin, draw, n_steps=200):
    """Random play, leaning to what makes things happen, checked at every step."""
    sim.reset([0])
    check_same(sim, twin)
    while not twin.over and twin.t < n_steps:
        names = []
        for agent in twin.agents:
            available = twin.available(agent)
            plain = ("stay", "right", "down", "left", "up")
            busy = [name for name in available if name not in plain] or available
            names.append(draw.choice(busy if draw.random() < 0.8 else available))
        sim.step(np.array([[sim.action_names.index(name) for name in names]]))
        twin.step(names)
        check_same(sim, twin)


@pytest.mark.parametrize("masks", ["upstream", "useful"])
@pytest.mark.parametrize("variant", "ABC")
def test_episode_in_the_papers_setting_agrees_with_its_slow_twin(variant, masks):
    for seed in range(3):
        sim = make(f"async:overcooked-{variant}", variant, masks=masks)
        play(sim, Game(map_lines(variant, 7), masks=masks), random.Random(f"{variant} {seed}"))


@given(st.sampled_from("ABC"), st.sampled_from([7, 9]), OPTIONS, st.booleans(), st.integers(0, 2**32))
def test_episode_with_any_options_agrees_with_its_slow_twin(variant, size, options, is_useful, seed):
    masks = "useful" if is_useful and options["actions"] == "macro" else "upstream"
    sim = make(f"async:overcooked-{variant}", variant, size=size, masks=masks, **options)
    lines = map_lines(variant, size)
    play(sim, Game(lines, masks=masks, **options), random.Random(seed), n_steps=80)


@given(st.data())
def test_episode_in_any_kitchen_agrees_with_its_slow_twin(tmp_path_factory, data):
    options = data.draw(OPTIONS)
    lines = data.draw(layouts(options["n_agents"], RECIPES[options["task"]]))
    masks = data.draw(st.sampled_from(["upstream", "useful"])) if options["actions"] == "macro" else "upstream"
    path = tmp_path_factory.mktemp("kitchen") / "kitchen.txt"
    path.write_text("; drawn by Hypothesis\n" + "\n".join(lines) + "\n")
    sim = make("async:overcooked-A", "A", layout=str(path), masks=masks, **options)
    seed = data.draw(st.integers(0, 2**32))
    play(sim, Game(lines, masks=masks, **options), random.Random(seed), n_steps=60)
