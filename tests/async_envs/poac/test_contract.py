"""The simulator contract, and what holds in every situation of random play."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_envs.core.compile import is_compiled
from async_envs.core.conformance import check_simulator
from async_envs.poac.constants import SCENARIOS
from async_envs.poac.family import FAMILY
from async_envs.poac.scripted import ScriptedTeam
from async_envs.poac.simulator import make


def test_family_names_every_scenario():
    assert FAMILY.variants == tuple(SCENARIOS)


@pytest.mark.parametrize("variant", FAMILY.variants)
def test_scenario_keeps_the_contract(variant):
    """Twice, so that both kinds of end are seen: cut off early, and hunted until one side is dead."""

    def unchecked(**options):
        report = check_simulator(
            lambda size: make(f"async:poac-{variant}", variant, size, **options), range(16)
        )
        return set(report.unchecked)

    left = unchecked(bot="KAI0", episode_limit=40, random_start=True) & unchecked(bot="KAI0")
    assert left == (set() if is_compiled() else {"allocation in a step (kernels are not compiled)"})


@given(st.sampled_from(FAMILY.variants), st.integers(0, 2**64 - 1), st.booleans())
def test_invariants_of_random_play(variant, seed, random_start):
    """Clocks within bounds, units inside the map, the shown flags equal to the mask, blood never rising."""
    sim = make(f"async:poac-{variant}", variant, batch_size=4, random_start=random_start, episode_limit=80)
    team = ScriptedTeam(sim, "random")
    sim.reset([(seed + k) % 2**64 for k in range(4)])
    units = sim.world.units
    flags = {
        name: [k for k, n in enumerate(sim.obs_names) if n.startswith("enemy") and n.endswith("." + name)]
        for name in ("can_be_attacked", "can_be_attacked_by_guidance")
    }
    blood = units.blood.copy()
    while not (sim.terminated | sim.truncated).all():
        sim.step(team.act())
        assert (units.busy >= 0).all() and (units.busy < sim.world.rules.duration).all()
        assert ((units.cooldown >= 0) & (units.cooldown <= 1)).all()
        assert ((units.preparation >= 0) & (units.preparation <= 2)).all()
        assert (units.blood <= blood).all() and (units.blood >= 0).all()
        assert (sim.world.board.neighbours[units.cell] >= 0).any(-1).all()
        assert (abs(sim.obs) <= 1).all() and (sim.state >= 0).all() and (sim.state <= 1).all()
        np.testing.assert_array_equal(sim.obs[..., flags["can_be_attacked"]], sim.avail_actions[..., 9:12])
        np.testing.assert_array_equal(
            sim.obs[..., flags["can_be_attacked_by_guidance"]], sim.avail_actions[..., 12:]
        )
        blood = units.blood.copy()
