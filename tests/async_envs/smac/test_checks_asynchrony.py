"""Checks 41 to 50: durations, what is owed, what blocks and ends it. SMAC's numbers, unless a test says ours."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_envs.core.simulator import CONTINUE, FIRST_ACTION, NOOP
from async_envs.smac.asynchrony import ours_of, smac_of
from async_envs.smac.simulator import make
from tests.async_envs.smac.scene import EAST, NORTH, SOUTH, WEST, Scene, attack, battle

MOD3 = {"durations": "index_mod3"}


def free_field(**options):
    """3s5z with the enemy out of the way and room between the agents."""
    scene = Scene("3s5z", **(MOD3 | options)).pacify()
    for i in range(8):
        scene.put(i, 3 + 3.5 * i, 10)
    return scene


def test_check_41_default_durations():
    """1, 2, 3 by the agents' index."""
    assert [1, 2, 3, 1, 2, 3, 1, 2] == make("async:smac-3s5z", "3s5z").world.clocks.duration.tolist()
    assert [1, 2] == make("async:smac-2s_vs_1sc", "2s_vs_1sc").world.clocks.duration.tolist()


@pytest.mark.parametrize(
    "variant, rule, expected",
    [
        ("3s5z", "by_type", [1, 1, 1, 2, 2, 2, 2, 2]),
        ("1c3s5z", "by_type", [3, 1, 1, 1, 2, 2, 2, 2, 2]),
        ("MMM", "by_type", [2, 2, 1, 1, 1, 1, 1, 1, 1, 3]),
        ("3m", "blocks", [1, 2, 3]),
        ("3s5z", "blocks", [1, 1, 1, 2, 2, 2, 3, 3]),
        ("3m", "all_one", [1, 1, 1]),
        ("3m", "4,1,2", [4, 1, 2]),
        ("3m", [4, 1, 2], [4, 1, 2]),
    ],
)
def test_check_41_other_durations(variant, rule, expected):
    """By type, in three blocks, or one by one."""
    assert expected == make(f"async:smac-{variant}", variant, durations=rule).world.clocks.duration.tolist()


def synchronous(sim, rng, n_steps):
    """Random legal play; yields what a step gave."""
    sim.reset([0])
    for _ in range(n_steps):
        yield sim.obs.copy(), sim.state.copy(), sim.avail_actions.copy(), sim.reward.copy()
        if sim.terminated[0] or sim.truncated[0]:
            return
        sim.step((rng.random(sim.avail_actions.shape) * sim.avail_actions).argmax(-1))


@pytest.mark.parametrize(
    "options", [{}, {"mode": "scaled"}, {"on_block": "cancel", "last_action": "submitted"}], ids=str
)
def test_check_42_with_durations_of_one_nothing_is_asynchronous(options):
    """Observations, state, reward and masks are those of plain SMAC to the bit, whatever the options.

    Plain SMAC is played on the same engine with the asynchronous layer left out: every agent's action is its
    unit's order, and the mask is the physical one.
    """
    layered = make("async:smac-3m", "3m", durations="all_one", smac_compat=True, **options)
    plain = make("async:smac-3m", "3m", durations="1,1,1", smac_compat=True)
    for (obs, state, avail, reward), other in zip(
        synchronous(layered, np.random.default_rng(3), 40), synchronous(plain, np.random.default_rng(3), 40)
    ):
        assert np.array_equal(obs, other[0]) and np.array_equal(state, other[1]) and reward == other[3]
        assert np.array_equal(avail, other[2])
        alive = plain.world.units.alive[0, :3] == 1
        assert np.array_equal(avail[0, alive, 1:], plain.world.clocks.physical[0, alive, 1:])
        assert (plain.world.clocks.left == 0).all()


def test_check_43_a_move_of_three_steps():
    """Masked for two steps, free with the whole physical mask at the third."""
    scene = free_field()
    for step, is_masked in ((1, True), (2, True), (3, False)):
        scene.step({2: NORTH} if step == 1 else {})
        expected = np.zeros(14) if is_masked else scene.world.clocks.physical[0, 2].copy()
        expected[0] = is_masked
        np.testing.assert_array_equal(expected, scene.mask(2))
        assert (3 - step, not is_masked) == (scene.sim.get_busy()[0, 2], scene.sim.get_decision_mask()[0, 2])


@pytest.mark.parametrize("agent, moved", [(2, 4.4297), (5, 3.375), (4, 2.25), (1, 2.9531), (0, 1.4766), (3, 1.125)])
def test_check_44_held_moves_walk_all_their_steps(agent, moved):
    """Stalkers 1.4766 and zealots 1.125 a step of their duration, then they stand."""
    scene = free_field().step({agent: NORTH})
    for _ in range(4):
        scene.step()
    assert scene.at(agent)[1] - 10 == pytest.approx(moved, abs=1e-3)


def test_check_45_agents_of_duration_one_are_never_masked():
    """Agents 0, 3 and 6 always have stop while they live."""
    sim = make("async:smac-3s5z", "3s5z", smac_compat=True)
    rng = np.random.default_rng(5)
    sim.reset([0])
    for _ in range(30):
        alive = sim.world.units.alive[0, [0, 3, 6]] == 1
        assert (sim.avail_actions[0, [0, 3, 6], 1] == alive).all()
        sim.step((rng.random(sim.avail_actions.shape) * sim.avail_actions).argmax(-1))
    assert sim.world.clocks.left.max() > 0


@pytest.mark.parametrize("action", [1, attack(0)])
def test_check_46_only_moves_take_time(action):
    """Stop and attack leave an agent of duration 3 free."""
    scene = free_field().put(8, 3 + 7 + 4, 10)
    scene.step({2: action})
    assert 0 == scene.sim.get_busy()[0, 2] and 1 == scene.mask(2)[1]


def test_check_47_death_ends_a_move():
    """A busy agent that is killed is dead: it owes nothing and does not decide."""
    scene = free_field().step({2: NORTH})
    assert 2 == scene.sim.get_busy()[0, 2]
    scene.units.health[0, 2] = 0.0
    scene.step()
    assert 0 == scene.sim.get_busy()[0, 2] and not scene.sim.get_decision_mask()[0, 2]
    assert [1] + [0] * 13 == scene.mask(2).tolist()


def test_check_48_a_scaled_move_spreads_one_step():
    """1.4766 in all for the stalker of duration 3, a third of it in each step."""
    scene = free_field(mode="scaled")
    for step in range(1, 4):
        scene.step({2: NORTH} if step == 1 else {})
        assert scene.at(2)[1] - 10 == pytest.approx(0.4922 * step, abs=1e-3)
    scene.step()
    assert scene.at(2)[1] - 10 == pytest.approx(1.4766, abs=1e-3)


def test_check_49_what_is_refused():
    """Anything but 0 from a busy agent, and 0 from a free living one; the line says what it is doing."""
    scene = free_field().step({2: NORTH})
    with pytest.raises(ValueError, match=r"'stop' is not available while executing 'move-north' \(2 steps left\)"):
        scene.step({2: 1})
    with pytest.raises(ValueError, match="action 0 'no-op' is not available. Available: stop"):
        scene.step({0: 0})


def test_check_50_sizes_do_not_depend_on_durations():
    """Only the asynchronous features add to them: 2 and 7 to an observation, 16 to the state."""
    sizes = [
        (sim.obs_dim, sim.state_dim, sim.n_actions)
        for sim in (make("async:smac-3s5z", "3s5z", smac_compat=True, durations=rule) for rule in ("all_one", "blocks"))
    ]
    assert [(128, 216, 14)] * 2 == sizes
    sim = make("async:smac-3s5z", "3s5z", smac_compat=True, async_features=True)
    assert (128 + 2 + 7, 216 + 16, 14) == (sim.obs_dim, sim.state_dim, sim.n_actions)
    ours = make("async:smac-3s5z", "3s5z")
    assert (128, 216, 15) == (ours.obs_dim, ours.state_dim, ours.n_actions)


def test_asynchronous_features_tell_durations_and_what_is_owed():
    """In thirds: own duration, own steps left, those of the allies in sight; both of everybody in the state."""
    scene = free_field(async_features=True).put(2, 12, 10).step({2: NORTH, 1: NORTH})
    assert scene.obs(2, "own.duration") == 1.0 and scene.obs(2, "own.steps_left") == pytest.approx(2 / 3)
    assert scene.obs(3, "ally_2.steps_left") == pytest.approx(2 / 3)
    assert scene.obs(7, "ally_2.steps_left") == 0.0  # out of sight
    assert scene.state("agent_1.duration") == pytest.approx(2 / 3)
    assert scene.state("agent_1.steps_left") == pytest.approx(1 / 3)


@pytest.mark.parametrize("on_block, owed", [("wait", [2, 1, 0]), ("cancel", [2, 0, 0])])
def test_a_blocked_move_waits_or_is_free(on_block, owed):
    """The wall is met at the second step: the unit stops there; with `cancel` it is free at the third."""
    scene = free_field(on_block=on_block).put(2, 12, 10.2)
    seen = []
    for step in range(3):
        scene.step({2: SOUTH} if step == 0 else {})
        seen.append(int(scene.sim.get_busy()[0, 2]))
        assert (SOUTH if step == 0 else 1) == scene.world.clocks.executed[0, 2]
    assert owed == seen and scene.at(2)[1] == pytest.approx(10.2 - 1.4766, abs=1e-3)


@pytest.mark.parametrize("kind, second", [("executed", NORTH), ("submitted", 0)])
def test_last_actions_show_what_was_done_or_submitted(kind, second):
    """While a move goes on the state shows the move, or the 0 that was submitted."""
    scene = free_field(last_action=kind)
    first = scene.sim.state_names.index("agent_2.last_no-op")
    scene.step({2: NORTH})
    assert NORTH == scene.sim.state[0, first : first + 14].argmax()
    scene.step()
    assert second == scene.sim.state[0, first : first + 14].argmax()


def test_physical_features_are_shown_while_busy():
    """A busy agent sees where it could go and whom it could attack, though it may only continue."""
    scene = free_field().put(2, 12, 10).step({2: EAST}).put(8, 16, 10)
    assert scene.sim.obs[0, 2, :4].tolist() == [1, 1, 1, 1] and scene.obs(2, "enemy_0.can_attack") == 1
    assert [1] + [0] * 13 == scene.mask(2).tolist()


@given(st.integers(1, 80), st.booleans())
def test_the_two_numberings_are_joined_both_ways(action, is_busy):
    """SMAC's to ours and back; 0 is continue for the busy and noop for the dead."""
    assert action == smac_of(ours_of(action, is_busy)) and ours_of(action, is_busy) >= FIRST_ACTION
    assert 0 == smac_of(NOOP) == smac_of(CONTINUE)
    assert (CONTINUE if is_busy else NOOP) == ours_of(0, is_busy)


@pytest.mark.parametrize("variant", ["3m", "2s_vs_1sc"])
def test_our_numbers_and_smacs_play_the_same_battle(variant):
    """With and without smac_compat, the same choices give the same observations, states and rewards."""
    ours = make(f"async:smac-{variant}", variant, episode_limit=30)
    compatible = make(f"async:smac-{variant}", variant, episode_limit=30, smac_compat=True)
    rng = np.random.default_rng(2)
    ours.reset([0])
    compatible.reset([0])
    while not ours.terminated[0] | ours.truncated[0]:
        shifted = np.concatenate([ours.avail_actions[..., :2].max(-1, keepdims=True), ours.avail_actions[..., 2:]], -1)
        np.testing.assert_array_equal(shifted, compatible.avail_actions)
        chosen = (rng.random(ours.avail_actions.shape) * ours.avail_actions).argmax(-1)
        ours.step(chosen)
        compatible.step(np.maximum(chosen - 1, 0))
        for name in ("obs", "state", "reward"):
            np.testing.assert_array_equal(getattr(ours, name), getattr(compatible, name))
    assert ours.decisions[0] == compatible.decisions[0] > 0
    assert compatible.terminated[0] and ours.truncated[0] != ours.terminated[0]


def test_a_move_is_told_again_from_where_the_unit_is(tmp_path):
    """Pushed aside meanwhile, a unit of duration 3 goes on west from there."""
    scene = battle(tmp_path, [("marine", 16, 16)], [("marine", 28, 28)], durations="3")
    scene.step({0: WEST}).put(0, 20, 18).step()
    assert scene.at(0) == (pytest.approx(18.875), 18.0)
