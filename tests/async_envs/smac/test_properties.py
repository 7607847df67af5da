"""What holds in every battle: batches, statuses, invariants of units, orders of things."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_envs.core.compile import is_compiled
from async_envs.core.status import statuses
from async_envs.smac.family import DURATION_RULES
from async_envs.smac.simulator import make
from tests.async_envs.smac.scene import Scene, battle

MAPS = ("3m", "2s_vs_1sc", "2s3z") if not is_compiled() else ("3m", "2s3z", "MMM", "3s5z", "bane_vs_bane", "corridor")
OPTIONS = st.fixed_dictionaries(
    {
        "durations": st.sampled_from(DURATION_RULES),
        "mode": st.sampled_from(["hold", "scaled"]),
        "on_block": st.sampled_from(["wait", "cancel"]),
        "projectiles": st.booleans(),
        "cooldown_jitter": st.booleans(),
        "spawn_jitter": st.sampled_from([0.0, 0.4]),
        "async_features": st.booleans(),
    }
)


def random_actions(sim, rng):
    return (rng.random(sim.avail_actions.shape) * sim.avail_actions).argmax(-1)


@given(st.sampled_from(MAPS), OPTIONS, st.integers(0, 2**32))
def test_invariants_of_random_play(variant, options, seed):
    """Vitals stay within bounds, units on the map, statuses agree with masks, clocks count down, the dead stay."""
    sim = make(f"async:smac-{variant}", variant, 2, episode_limit=12, **options)
    units, roster, clocks, n = sim.world.units, sim.world.roster, sim.world.clocks, sim.n_agents
    rng = np.random.default_rng(seed)
    sim.reset([seed, seed + 1])
    enemies = units.x[:, n:]
    enemies -= 6 * (enemies > 18)
    while not (sim.terminated | sim.truncated).all():
        was_alive, left = units.alive.copy(), clocks.left.copy()
        sim.step(random_actions(sim, rng))
        assert (units.health <= roster.max_health + 1e-9).all() and (units.shield <= roster.max_shield + 1e-9).all()
        assert (units.health >= 0).all() and (units.shield >= 0).all() and (units.energy >= -1e-9).all()
        assert ((units.health > 0) == (units.alive == 1)).all() and (units.alive <= was_alive).all()
        assert ((units.x >= 0) & (units.x <= 32) & (units.y >= 0) & (units.y <= 32)).all()
        now = statuses(sim.avail_actions)
        assert np.array_equal(now.inactive, units.alive[:, :n] == 0)
        assert np.array_equal(now.executing, clocks.left > 0)
        assert np.array_equal(now.deciding, sim.get_decision_mask())
        assert ((clocks.left < left) | (left == 0)).all() and (clocks.left < clocks.duration).all()
        assert (sim.reward >= 0).all()


@given(st.sampled_from(MAPS), OPTIONS, st.integers(0, 2**32), st.integers(0, 3))
def test_an_episode_does_not_feel_its_batch(variant, options, seed, place):
    """Episode k of a seed is the same alone and in a batch, wherever it stands."""
    key, options = f"async:smac-{variant}", options | {"episode_limit": 6}
    alone, batch = make(key, variant, 1, **options), make(key, variant, 4, **options)
    seeds = [seed + 1 + b for b in range(4)]
    seeds[place] = seed
    alone.reset([seed])
    batch.reset(seeds)
    rng, others = np.random.default_rng(seed), np.random.default_rng(seed + 1)
    while not (alone.terminated | alone.truncated).all():
        actions = random_actions(batch, others)
        actions[place] = random_actions(alone, rng)[0]
        alone.step(actions[place : place + 1])
        batch.step(actions)
        for name in ("obs", "state", "avail_actions", "reward", "terminated", "truncated"):
            assert np.array_equal(getattr(alone, name)[0], getattr(batch, name)[place]), name


def test_a_mirrored_battle_is_mirrored(tmp_path):
    """North and south turned round, the same fight turned round: nothing favours a side of the map."""
    lines = "episode_limit = 100\nwalkable = [[0, 31, 0, 31]]\nattack_point = [9, 16]\n"
    results = []
    for sign in (1, -1):
        allies = [("marine", 9, 16 - 2 * sign), ("marine", 9, 16 + 2 * sign), ("marine", 8, 16)]
        enemies = [("marine", 20, 16 - sign), ("marine", 20, 16 + sign)]
        scene = battle(tmp_path, sorted(allies, key=lambda unit: unit[1:]), enemies, lines)
        scene.units.order[0, scene.n :] = 4  # the enemy hunts
        for _ in range(30):
            if scene.sim.terminated[0]:
                break
            can = [np.flatnonzero(scene.mask(i)[6:]) for i in range(3)]
            scene.step({i: 6 + int(found[0]) for i, found in enumerate(can) if len(found)})
        results.append((int(scene.sim.t[0]), sorted(scene.units.health[0].round(6).tolist())))
    assert results[0] == results[1]


@given(st.permutations(range(5)))
def test_hits_of_one_loop_do_not_depend_on_the_order_of_attackers(order):
    """Five marines fire at one zealot at once: whoever comes first in the list, the same is left."""
    scene = Scene("5m_vs_6m").pacify()
    for place, i in enumerate(order):
        scene.put(i, 15 + 0.8 * place, 16)
    scene.put(5, 17, 19)
    for i in range(5):
        scene.order(i, 2, 5)
    scene.loops(3)
    assert scene.units.health[0, 5] == 45 - 5 * 6


def test_two_units_that_kill_each_other_at_once_both_die(tmp_path):
    """Hits that are due in one loop all land."""
    scene = battle(tmp_path, [("marine", 10, 16)], [("marine", 14, 16)]).vitals(0, health=6).vitals(1, health=6)
    scene.order(0, 2, 1).order(1, 2, 0)
    scene.units.order[0, 1] = 4
    scene.loops(3)
    assert [0, 0] == scene.units.alive[0].tolist()


@pytest.mark.parametrize("is_flying, expected", [(True, 1), (False, 0)])
def test_a_missile_outlives_its_shooter_and_a_swing_does_not(tmp_path, is_flying, expected):
    """A marauder dies after its shot began: its grenade lands only if it flies already."""
    scene = battle(tmp_path, [("marauder", 10, 16)], [("marine", 15, 16)], projectiles=is_flying)
    scene.roster.damage_point[0] = 0 if is_flying else 3
    scene.order(0, 2, 1).loop()
    scene.units.health[0, 0] = 0.0
    scene.loops(12)
    assert expected == (scene.units.hurt_by[0, 1] == 0)


@pytest.mark.parametrize(
    "attacker, drift, is_hit",
    [("stalker", 0.9, True), ("stalker", 1.1, False), ("spine_crawler", 0.0, True), ("spine_crawler", 0.1, False)],
)
def test_a_target_may_drift_a_little_once_an_attack_has_begun(tmp_path, attacker, drift, is_hit):
    """By 1 beyond the reach, but not from a crawler."""
    scene = battle(tmp_path, [(attacker, 10, 16)], [("zealot", 20, 16)])
    reach = float(scene.roster.reach[0, 1])
    scene.put(1, 10 + reach, 16).order(0, 2, 1).loop()
    assert scene.units.shots[0, 0] == 1
    scene.put(1, 10 + reach + drift, 16).loops(8)
    assert is_hit == (scene.units.hurt_by[0, 1] == 0)


def test_a_move_in_a_damage_point_loses_the_shot(tmp_path):
    """The cooldown is kept; the same attack again does not begin anew."""
    scene = battle(tmp_path, [("stalker", 10, 16)], [("zealot", 15, 16)])
    scene.roster.damage_point[0] = 12
    scene.step({0: 6}).step({0: 6})
    assert scene.units.hurt_by[0, 1] == 0 and scene.units.shots[0, 0] == 1
    scene.units.cooldown[0, 0] = 0.0
    scene.units.hurt_by[0, 1] = -1
    scene.step({0: 6}).step({0: 1}).step({0: 1})
    assert scene.units.hurt_by[0, 1] == -1 and scene.units.shots[0, 0] == 2 and scene.units.cooldown[0, 0] > 0


def test_a_baneling_bursts_and_dies(tmp_path):
    """20 and 15 more on light ones, within 2.2 of its rim, enemies only."""
    enemies = [("marine", 10.8, 16), ("marauder", 10, 18.6), ("zealot", 10, 26)]
    scene = battle(tmp_path, [("baneling", 10, 16), ("baneling", 9, 16)], enemies)
    scene.order(1, 2, 2).loops(2)
    assert [30, 0, 10, 106, 100] == scene.units.health[0].tolist()


def test_a_colossus_burns_a_line(tmp_path):
    """Two beams of 20 across the line of fire: everybody within 1.4 of the target in width, nobody behind it."""
    enemies = [("marauder", 16, 16), ("marauder", 16, 17.3), ("marauder", 17.3, 16), ("marauder", 16, 19)]
    scene = battle(tmp_path, [("colossus", 10, 16)], enemies)
    scene.order(0, 2, 1).loops(4)
    assert [125 - 38, 125 - 38, 125, 125] == scene.units.health[0, 1:].tolist()


def test_the_enemy_turns_on_who_is_in_reach():
    """A zealot on its way attacks the agent beside it rather than the one it sees ahead."""
    scene = Scene("3s_vs_5z").away(0, 1, 3).put(0, 15, 17).put(1, 28, 28).put(3, 18, 17).loop()
    assert 0 == scene.units.target[0, 3]
    scene.put(1, 18, 18).loop()
    assert 1 == scene.units.target[0, 3]


def test_the_enemy_remembers_who_hurt_it_and_so_do_its_friends(tmp_path):
    """A stalker fires from beyond the scan of two zealots: both come, a third far away does not."""
    enemies = [("zealot", 17, 16), ("zealot", 18, 17), ("zealot", 28, 28)]
    scene = battle(tmp_path, [("stalker", 10, 16)], enemies)
    scene.units.order[0, 1:] = 4
    scene.order(0, 2, 1).loops(6)
    assert [0, 0, -1] == scene.units.target[0, 1:].tolist()


def test_a_grudge_lasts_three_seconds(tmp_path):
    """Hit once from beyond its scan and unable to come nearer, a zealot keeps its target for 48 loops."""
    scene = battle(tmp_path, [("stalker", 10, 16)], [("zealot", 17, 16)])
    scene.units.order[0, 1] = 4
    scene.roster.speed[:] = 0
    scene.order(0, 2, 1)
    while scene.units.hurt_by[0, 1] != 0:
        scene.loop()
    assert 0 == scene.order(0, 0).loops(48).units.target[0, 1]
    assert -1 == scene.loop().units.target[0, 1]


def test_an_enemy_medivac_heals_and_follows(tmp_path):
    """The worst off within reach is healed; with nobody hurt it stays with its friends."""
    scene = battle(tmp_path, [("marine", 2, 2)], [("marine", 16, 16), ("marine", 17, 16), ("medivac", 16, 20)])
    scene.units.order[0, 3] = 5
    scene.vitals(1, health=20).vitals(2, health=10).step()
    assert 2 == scene.units.target[0, 3] and scene.units.health[0, 2] > 10 and 20 == scene.units.health[0, 1]
    scene.vitals(1, health=45).vitals(2, health=45)
    for _ in range(5):
        scene.step()
    assert scene.apart(3, 1) < 2


def test_zealots_go_round_those_that_fight(tmp_path):
    """Three zealots in a row on one stalker: the two behind step out to its sides and fight as well."""
    allies = [("zealot", 10 - 0.9 * k, 16) for k in range(3)]
    scene = battle(tmp_path, allies, [("stalker", 12.5, 16)])
    scene.roster.damage[:, :] = 0.0
    for i in range(3):
        scene.order(i, 2, 3)
    scene.loops(60)
    assert (scene.units.shots[0, :3] > 0).all()


def test_units_are_pushed_apart(tmp_path):
    """Two on one spot separate along the x axis, the later one to the east; a structure stays."""
    scene = battle(tmp_path, [("marine", 10, 10), ("marine", 12, 10)], [("spine_crawler", 20, 10)])
    scene.put(0, 15, 10).put(1, 15, 10).loops(3)
    assert scene.at(0)[0] < 15 < scene.at(1)[0] and scene.apart(0, 1) == pytest.approx(0.75, abs=0.02)
    scene.put(0, 20, 10.5).loops(3)
    assert (20.0, 10.0) == scene.at(2) and scene.apart(0, 2) == pytest.approx(1.25, abs=0.02)
    scene = battle(tmp_path, [("spine_crawler", 10, 10)], [("marine", 20, 10)]).put(1, 10.5, 10).loops(3)
    assert (10.0, 10.0) == scene.at(0) and scene.apart(0, 1) == pytest.approx(1.25, abs=0.02)


@pytest.mark.parametrize("fighter, walker", [(0, 1), (1, 0)])
def test_who_fights_is_not_pushed_by_who_walks(tmp_path, fighter, walker):
    """A zealot that attacks keeps its place; of two that stand idle each gives half."""
    scene = battle(tmp_path, [("zealot", 10, 16), ("zealot", 12, 20)], [("stalker", 11, 16)])
    scene.put(fighter, 10, 16).put(walker, 12, 20).order(fighter, 2, 2).loops(2)
    fights_at = scene.at(fighter)
    scene.put(walker, 9.8, 16.3).order(walker, 1)
    scene.units.goal_x[0, walker], scene.units.goal_y[0, walker] = 9.0, 20.0
    scene.loop()
    assert fights_at == scene.at(fighter) and scene.apart(0, 1) > 0.6
    scene.order(0, 0).order(1, 0).put(0, 5, 5).put(1, 5.5, 5).loops(2)
    assert 5.25 == pytest.approx((scene.at(0)[0] + scene.at(1)[0]) / 2) and scene.at(0)[0] < 4.9


def test_nobody_walks_inside_a_damage_point(tmp_path):
    """Its target drifts out of reach: the unit stands until the attack has landed, then follows."""
    scene = battle(tmp_path, [("stalker", 10, 16)], [("zealot", 17.1, 16)])
    scene.roster.damage_point[0] = 6
    scene.order(0, 2, 1).loop().put(1, 17.6, 16).loops(5)
    assert (10.0, 16.0) == scene.at(0) and scene.units.hurt_by[0, 1] == -1
    scene.loops(2)
    assert 0 == scene.units.hurt_by[0, 1] and scene.at(0)[0] > 10


def test_a_medivac_gathers_speed(tmp_path):
    """2.3125 / 256 more in each loop, 36 times that in the first step; full speed of 1.375 a step after 19 loops."""
    scene = battle(tmp_path, [("medivac", 5, 16), ("marine", 5, 10)], [("marine", 28, 28)])
    ways = []
    for _ in range(5):
        before = scene.at(0)[0]
        ways.append(scene.step({0: 4}).at(0)[0] - before)
    assert ways[0] == pytest.approx(36 * 2.3125 / 256) and ways[4] == pytest.approx(1.375)
