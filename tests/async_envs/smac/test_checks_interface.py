"""Checks 1 to 17: sizes, masks, observations and state are SMAC's. Sizes and numbers are SMAC's own."""

import numpy as np
import pytest

from async_envs.smac.constants import STOP
from async_envs.smac.simulator import make
from tests.async_envs.smac.scene import NORTH, SOUTH, Scene, attack

# map: agents, enemies, actions, observation, state, limit, largest reward before scaling; SMAC's published sizes
SIZES = {
    "2s_vs_1sc": (2, 1, 7, 17, 27, 300, 510),
    "3s5z": (8, 8, 14, 128, 216, 150, 1510),
    "3s5z_vs_3s6z": (8, 9, 15, 136, 230, 170, 1670),
    "3m": (3, 3, 9, 30, 48, 60, 365),
    "8m": (8, 8, 14, 80, 168, 120, 640),
    "2s3z": (5, 5, 11, 80, 120, 120, 1020),
    "5m_vs_6m": (5, 6, 12, 55, 98, 70, 530),
    "8m_vs_9m": (8, 9, 15, 85, 179, 120, 695),
    "10m_vs_11m": (10, 11, 17, 105, 243, 150, 805),
    "27m_vs_30m": (27, 30, 36, 285, 1170, 180, 1850),
    "3s_vs_5z": (3, 5, 11, 48, 68, 250, 1000),
    "MMM": (10, 10, 16, 160, 290, 150, 1015),
    "MMM2": (10, 12, 18, 176, 322, 180, 1205),
    "corridor": (6, 24, 30, 156, 282, 400, 1280),
    "1c3s5z": (9, 9, 15, 162, 270, 180, 1870),
    "6h_vs_8z": (6, 8, 14, 78, 140, 150, 1480),
    "2c_vs_64zg": (2, 64, 70, 332, 342, 400, 3080),
    "bane_vs_bane": (24, 24, 30, 336, 984, 200, 1260),
}


def sizes(variant, **options):
    sim = make(f"async:smac-{variant}", variant, smac_compat=True, **options)
    rules = sim.world.rules
    largest = round(rules.reward_divisor * 20)
    return sim.n_agents, rules.n_enemies, sim.n_actions, sim.obs_dim, sim.state_dim, sim.episode_limit, largest


def test_check_01_sizes_of_3s5z():
    """8 agents, 14 actions, observation 128, state 216, limit 150."""
    assert (8, 8, 14, 128, 216, 150, 1510) == sizes("3s5z")


def test_check_02_sizes_of_2s_vs_1sc():
    """2 agents, 7 actions, observation 17, state 27, limit 300."""
    assert (2, 1, 7, 17, 27, 300, 510) == sizes("2s_vs_1sc")


def test_check_03_sizes_of_3s5z_vs_3s6z():
    """8 agents, 15 actions, observation 136, state 230, limit 170."""
    assert (8, 9, 15, 136, 230, 170, 1670) == sizes("3s5z_vs_3s6z")


@pytest.mark.parametrize("variant", SIZES)
def test_check_04_sizes_of_every_map(variant):
    """Agents, actions, observation, state, limit and largest reward of every map."""
    assert SIZES[variant] == sizes(variant)


@pytest.mark.parametrize("variant, expected", [("3s5z", 104), ("2s_vs_1sc", 13), ("3s5z_vs_3s6z", 110)])
def test_check_05_state_without_last_actions(variant, expected):
    """Without last actions the state is shorter by agents times actions."""
    assert expected == sizes(variant, state_last_action=False)[4]


@pytest.mark.parametrize(
    "options, n_obs, n_state",
    [
        ({"obs_last_action": True}, 226, 216),
        ({"obs_timestep_number": True}, 129, 216),
        ({"obs_pathing_grid": True}, 136, 216),
        ({"obs_pathing_grid": True, "obs_terrain_height": True}, 145, 216),
        ({"obs_instead_of_state": True}, 128, 1024),
        ({"state_timestep_number": True}, 128, 217),
    ],
    ids=str,
)
def test_check_06_sizes_with_more_features(options, n_obs, n_state):
    """SMAC's flags of observation and state on 3s5z."""
    assert (n_obs, n_state) == sizes("3s5z", **options)[3:5]


def test_check_07_who_lives_may_stop_and_who_is_dead_may_not():
    """In random play: a living free agent has stop and not index 0, a dead one index 0 alone."""
    sim = make("async:smac-3m", "3m", 4, smac_compat=True)
    rng = np.random.default_rng(1)
    sim.reset(range(4))
    n_dead = 0
    for _ in range(35):
        alive = sim.world.units.alive[:, :3] == 1
        free = sim.get_decision_mask()
        assert (sim.avail_actions[free][:, :2] == [0, 1]).all()
        assert (sim.avail_actions[~alive][:, 0] == 1).all() and not sim.avail_actions[~alive][:, 1:].any()
        n_dead += int((~alive).sum())
        if (sim.terminated | sim.truncated).all():
            break
        sim.step((rng.random(sim.avail_actions.shape) * sim.avail_actions).argmax(-1))
    assert n_dead > 0


def test_check_08_an_unavailable_action_changes_nothing():
    """Attacking somebody far away is refused, and nothing has moved."""
    scene = Scene("3m")
    before = [scene.sim.state.copy(), scene.sim.obs.copy(), scene.units.x.copy(), scene.sim.t.copy()]
    with pytest.raises(ValueError, match=r"agent 1: action 6 'attack-0' is not available. Available: stop, move-"):
        scene.step({1: attack(0)})
    after = [scene.sim.state, scene.sim.obs, scene.units.x, scene.sim.t]
    assert all(np.array_equal(x, y) for x, y in zip(before, after))


def test_check_09_at_the_start_of_3s5z_nobody_sees_an_enemy():
    """No attack is available, every enemy block is zero, and all seven allies are seen."""
    scene = Scene("3s5z")
    assert not scene.sim.avail_actions[:, :, 6:].any()
    for i in range(8):
        assert not any(scene.block(i, f"enemy_{k}").any() for k in range(8))
        assert all(scene.block(i, f"ally_{k}")[0] == 1 for k in range(7))


def test_check_10_at_the_start_of_2s_vs_1sc_the_stalkers_see_each_other():
    """They are 5.86 apart and the crawler is 10.1 away."""
    scene = Scene("2s_vs_1sc")
    assert scene.apart(0, 1) == pytest.approx(5.86, abs=0.1) and scene.apart(0, 2) == pytest.approx(10.1, abs=0.1)
    for i in range(2):
        assert scene.block(i, "ally_0")[0] == 1 and not scene.block(i, "enemy_0").any()


def test_check_11_six_is_in_range_and_nine_is_out_of_sight():
    """Attack is available at 6.0 and not at 6.0001; 8.9999 is seen, nine is not, friend or enemy."""
    scene = Scene("3m").put(0, 10, 16)
    for distance, expected in ((6.0, 1), (6.0001, 0)):
        scene.put(3, 10 + distance, 16)
        assert expected == scene.mask(0)[attack(0)] == scene.obs(0, "enemy_0.can_attack")
    for u, who in ((3, "enemy_0"), (1, "ally_0")):
        scene.put(u, 19, 16)
        assert not scene.block(0, who).any()
        scene.put(u, 18.9999, 16)
        assert scene.obs(0, f"{who}.distance") == pytest.approx(0.99999, abs=1e-5)


@pytest.mark.parametrize(
    "y, direction, expected", [(9.0, SOUTH, 1), (8.99, SOUTH, 0), (22.99, NORTH, 1), (23.0, NORTH, 0)]
)
def test_check_12_a_move_looks_one_unit_ahead(y, direction, expected):
    """On the band map the cells y 8 to 23 are walkable; the point ahead is cut to its cell."""
    scene = Scene("3m").put(0, 16, y)
    assert expected == scene.mask(0)[direction] == scene.sim.obs[0, 0, direction - 2]


def test_check_13_positions_in_the_state():
    """(9, 16) is -0.21875 and 0 from the middle, in parts of the map."""
    scene = Scene("3m").put(1, 9, 16).put(4, 9, 16)
    assert (-0.21875, 0.0) == (scene.state("agent_1.x"), scene.state("agent_1.y"))
    assert (-0.21875, 0.0) == (scene.state("enemy_1.x"), scene.state("enemy_1.y"))


def test_check_14_types_are_swapped_between_the_sides():
    """Own stalkers [1, 0], zealots [0, 1]; enemy zealots [1, 0], stalkers [0, 1]; in observation and state."""
    scene = Scene("3s5z").pacify()
    scene.put(8, 12, 16).put(11, 12, 18)  # the enemy's first stalker and first zealot come near
    assert [[1, 0]] * 3 + [[0, 1]] * 5 == [scene.block(i, "own")[-2:].tolist() for i in range(8)]
    assert [0, 1] == scene.block(0, "enemy_0")[-2:].tolist() and [1, 0] == scene.block(0, "enemy_3")[-2:].tolist()
    assert [1, 0] == scene.block(7, "ally_0")[-2:].tolist() and [0, 1] == scene.block(0, "ally_6")[-2:].tolist()
    assert [[1, 0]] * 3 + [[0, 1]] * 5 == scene.sim.state[0, :56].reshape(8, 7)[:, -2:].tolist()
    assert [[0, 1]] * 3 + [[1, 0]] * 5 == scene.sim.state[0, 56:104].reshape(8, 6)[:, -2:].tolist()


@pytest.mark.parametrize(
    "variant, expected",
    [
        ("MMM2", ["marauder"] * 2 + ["marine"] * 7 + ["medivac"]),
        ("MMM", ["marauder"] * 2 + ["marine"] * 7 + ["medivac"]),
        ("1c3s5z", ["colossus"] + ["stalker"] * 3 + ["zealot"] * 5),
        ("2s3z", ["stalker"] * 2 + ["zealot"] * 3),
        ("bane_vs_bane", ["baneling"] * 4 + ["zergling"] * 20),
    ],
)
def test_check_15_agents_are_ordered_by_type_and_place(variant, expected):
    """By type, then from west to east, then from south to north."""
    field = make(f"async:smac-{variant}", variant).field
    assert expected == [unit.name for unit in field.types[: field.n_agents]]
    for i in range(1, field.n_agents):
        assert expected[i - 1] != expected[i] or field.starts[i - 1] < field.starts[i]


def test_check_16_last_actions_in_the_state():
    """Zero after reset, one 1 an agent after a step, at index 0 from the step after its death."""
    scene = Scene("3m").pacify()
    first = scene.sim.state_names.index("agent_0.last_no-op")
    assert not scene.sim.state[0, first:].any()
    scene.step({0: NORTH, 1: SOUTH, 2: STOP})
    rows = scene.sim.state[0, first:].reshape(3, 9)
    assert [NORTH, SOUTH, STOP] == rows.argmax(-1).tolist() and (rows.sum(-1) == 1).all()
    scene.units.health[0, 1] = 0.0
    scene.step({1: NORTH})  # it dies within this step
    assert 0 == scene.units.alive[0, 1] and NORTH == scene.sim.state[0, first + 9 : first + 18].argmax()
    scene.step()
    assert [1.0] + [0.0] * 8 == scene.sim.state[0, first + 9 : first + 18].tolist()


def test_check_17_a_dead_agent_keeps_its_empty_place():
    """Its observation and its row of the state are zero; the others keep their places."""
    scene = Scene("3m").pacify()
    scene.units.health[0, 1] = 0.0
    scene.step()
    assert not scene.sim.obs[0, 1].any() and not scene.sim.state[0, 4:8].any()
    assert scene.state("agent_2.health") == 1.0 and not scene.block(0, "ally_0").any()
    assert scene.block(0, "ally_1")[0] == 1 and scene.block(2, "ally_0")[0] == 1
