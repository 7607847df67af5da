"""What SMAC shows and pays is what the slow twin reads off the same world, step by step, in random play."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_envs.smac.simulator import make
from tests.async_envs.smac.naive import Ledger, View

FLAGS = (
    "obs_last_action", "obs_pathing_grid", "obs_terrain_height", "obs_timestep_number", "state_timestep_number",
)  # fmt: skip


def draw_actions(sim, rng):
    """Random, leaning to attacks."""
    weights = sim.avail_actions * np.where(np.arange(sim.n_actions) >= 7, 5.0, 1.0)
    return (rng.random(sim.avail_actions.shape) ** (1 / np.maximum(weights, 1e-9)) * sim.avail_actions).argmax(-1)


def check_same(sim, options):
    for b in range(sim.batch_size):
        view = View(sim, b, options)
        for i, agent in enumerate(view.allies):
            np.testing.assert_allclose(sim.obs[b, i], view.observation(agent), atol=2e-6)
            names = view.available(agent)
            if sim.world.clocks.left[b, i] > 0:
                names = ["continue"]
            elif not agent.alive:
                names = ["noop"]
            found = [sim.action_names[a] for a in np.flatnonzero(sim.avail_actions[b, i])]
            assert sorted(names) == sorted(found)
        np.testing.assert_allclose(sim.state[b], view.state(), atol=2e-6)


def play(variant, seed, n_steps, **options):
    sim = make(f"async:smac-{variant}", variant, 2, **options)
    rng = np.random.default_rng(seed)
    sim.reset([seed, seed + 1])
    # a smaller distance between the sides, so that something happens
    enemies = sim.world.units.x[:, sim.n_agents :]
    enemies -= 6 * (enemies > 18)
    check_after = [Ledger(sim, b, options) for b in range(2)]
    for step in range(n_steps):
        if (sim.terminated | sim.truncated).all():
            break
        running = ~(sim.terminated | sim.truncated)
        sim.step(draw_actions(sim, rng))
        check_same(sim, options)
        for b in np.flatnonzero(running):
            assert float(sim.reward[b]) == pytest.approx(check_after[b].reward(), abs=1e-5)


@pytest.mark.parametrize(
    "variant", ["3m", "2s_vs_1sc", "2s3z", pytest.param("MMM2", marks=pytest.mark.slow), "3s_vs_5z",
                pytest.param("1c3s5z", marks=pytest.mark.slow), pytest.param("bane_vs_bane", marks=pytest.mark.slow)]
)  # fmt: skip
def test_maps_agree_with_the_twin(variant):
    play(variant, 1, 25, cooldown_jitter=True)


@given(
    st.integers(0, 10**6), st.fixed_dictionaries({name: st.booleans() for name in FLAGS}), st.booleans(), st.booleans()
)
def test_flags_agree_with_the_twin(seed, flags, shows_health, is_positive):
    """Any of SMAC's flags together."""
    play("3m", seed, 4, obs_all_health=shows_health, reward_only_positive=is_positive, sight=7.5, **flags)
