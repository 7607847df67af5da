"""The kept episode (golden.py) comes out of the kernels and of the twin as it was written down."""

import json

import numpy as np
import pytest

from async_envs.poac.simulator import make
from tests.async_envs.poac import golden

EPISODE = json.loads(golden.PATH.read_text())


def test_the_kept_episode_has_something_to_tell():
    assert EPISODE["metrics"]["contact"] == 1.0
    assert EPISODE["metrics"]["damage_taken"] > 0 and len(EPISODE["steps"]) > 60


def test_the_twin_plays_the_kept_episode():
    twin = golden.new_game()
    for step in EPISODE["steps"]:
        twin.step(step["actions"])
        assert (twin.reward, [list(unit.cell) for unit in twin.units]) == (step["reward"], step["cells"])
    assert twin.metrics() == EPISODE["metrics"]


def test_the_kernels_play_the_kept_episode_in_any_row_of_a_batch():
    sim = make("async:poac-5", "5", batch_size=3)
    sim.reset([1, golden.SEED, 2])
    index = {name: k for k, name in enumerate(sim.action_names)}
    for step in EPISODE["steps"]:
        actions = sim.avail_actions.argmax(-1)
        actions[1] = [index[name] for name in step["actions"]]
        sim.step(actions)
        assert sim.reward[1] == np.float32(step["reward"])
        cells = np.stack(np.divmod(sim.world.units.cell[1], sim.scenario.columns), -1)
        assert cells.tolist() == step["cells"]
    assert {name: pytest.approx(values[1]) for name, values in sim.metrics.items()} == EPISODE["metrics"]
