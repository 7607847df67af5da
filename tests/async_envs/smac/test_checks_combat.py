"""Checks 18 to 29: walking, hits, shields, healing. Duels are apart from everything else: the target does
nothing and nobody regenerates unless the check is about that.
"""

import numpy as np
import pytest

from async_envs.smac.constants import IDLE, STRIKE
from tests.async_envs.smac.scene import EAST, NORTH, Scene, attack, battle

WALKERS = {
    "stalker": 1.47655, "zergling": 1.47655, "zealot": 1.125, "marine": 1.125, "marauder": 1.125,
    "hydralisk": 1.125, "colossus": 1.125, "baneling": 1.25,
}  # fmt: skip
TARGETS = ("stalker", "zealot", "spine_crawler", "marine", "marauder", "medivac", "zergling", "hydralisk")
ATTACKS_TO_KILL = {  # worked out from health, shield, armor and damage; None: it cannot hit it
    "stalker": (12, 17, 25, 5, 10, 12, 4, 8),
    "zealot": (11, 11, 25, 3, 9, None, 3, 5),
    "spine_crawler": (6, 7, None, 2, 5, None, 2, 4),
    "marine": (30, 29, 75, 8, 25, 30, 6, 14),
    "marauder": (9, 17, 17, 5, 7, None, 4, 8),
    "zergling": (36, 35, 100, 9, 32, None, 7, 16),
    "hydralisk": (14, 14, 30, 4, 12, 14, 3, 7),
}


def duel(folder, attacker, target, between=None):
    """The attacker is agent 0, the target enemy 0 (unit 1), in reach of each other unless a test says else."""
    scene = battle(folder, [(attacker, 10, 16)], [(target, 20, 16)])
    between = scene.roster.reach[0, 1] - 0.05 if between is None else between
    return scene.put(1, 10 + between, 16)


def hits_of(scene, u, n_loops, by=0):
    """(loop, health, shield) of unit u after each loop in which it was hurt."""
    found = []
    for loop in range(n_loops):
        scene.loop()
        if scene.units.hurt_by[0, u] == by and scene.units.hurt_ago[0, u] == 0:
            found.append((loop, float(scene.units.health[0, u]), float(scene.units.shield[0, u])))
        if scene.units.alive[0, u] == 0:
            break
    return found


def test_check_18_travel_in_one_step(tmp_path):
    """What each unit walks in eight loops of open ground."""
    places = [(name, 2 + 3.5 * k, 10) for k, name in enumerate(WALKERS)]
    scene = battle(tmp_path, places, [("zealot", 16, 28)])
    for direction, moved in ((NORTH, (0, 1)), (EAST, (1, 0))):
        before = [scene.at(u) for u in range(scene.n)]
        scene.step({i: direction for i in range(scene.n)})
        for u, name in enumerate(WALKERS):
            way = np.subtract(scene.at(u), before[u])
            np.testing.assert_allclose(way, WALKERS[name] * np.array(moved), atol=1e-6, err_msg=name)


def test_check_19_a_zealot_never_pauses_between_orders(tmp_path):
    """Five times north is 5.625."""
    scene = battle(tmp_path, [("zealot", 16, 5)], [("zealot", 16, 28)])
    for _ in range(5):
        scene.step({0: NORTH})
    assert (16.0, pytest.approx(10.625, abs=1e-6)) == scene.at(0)


@pytest.mark.parametrize(
    "attacker, target",
    [
        ("stalker", "zealot"), ("stalker", "stalker"), ("stalker", "spine_crawler"), ("zealot", "stalker"),
        ("marine", "marine"), ("marauder", "marauder"), ("spine_crawler", "zealot"),
    ],
)  # fmt: skip
def test_check_20_attacks_to_kill(tmp_path, attacker, target):
    """Played with the real cooldowns, from the first attack to the death."""
    scene = duel(tmp_path, attacker, target).order(0, STRIKE, 1)
    for _ in range(700):
        if scene.loop().units.alive[0, 1] == 0:
            break
    assert ATTACKS_TO_KILL[attacker][TARGETS.index(target)] == scene.units.shots[0, 0]
    assert scene.units.alive[0, 1] == 0


@pytest.mark.parametrize("attacker", ATTACKS_TO_KILL)
def test_check_20_attacks_to_kill_of_every_pair(tmp_path, attacker):
    """The whole table, with a weapon that is always ready; zealots strike twice an attack."""
    for target, expected in zip(TARGETS, ATTACKS_TO_KILL[attacker]):
        scene = duel(tmp_path, attacker, target)
        if expected is None:
            assert scene.roster.can_hit[0, 1] == 0 or attacker == target == "spine_crawler"
            continue
        scene.order(0, STRIKE, 1)
        while scene.units.alive[0, 1] == 1:
            if scene.units.hit_in[0, 0] < 0 and scene.units.swing_in[0, 0] < 0:
                scene.units.cooldown[0, 0] = 0.0
            scene.loop()
        assert expected == scene.units.shots[0, 0], (attacker, target)


def test_check_20_a_zealot_needs_21_hits_for_a_zealot(tmp_path):
    """Eleven attacks, of which the last one kills with its first hit."""
    hits = hits_of(duel(tmp_path, "zealot", "zealot").order(0, STRIKE, 1), 1, 300)
    assert (21, 0.0) == (len(hits), hits[-1][1])


def test_check_21_spine_crawler_against_stalker(tmp_path):
    """Shield 80, 50, 20, 0; health 80, 71, 42, 13, dead; six hits in 128 loops."""
    hits = hits_of(duel(tmp_path, "spine_crawler", "stalker").order(0, STRIKE, 1), 1, 200)
    assert [(80, 50), (80, 20), (71, 0), (42, 0), (13, 0), (0, 0)] == [hit[1:] for hit in hits]
    assert hits[-1][0] - hits[0][0] == pytest.approx(128, abs=1)


@pytest.mark.parametrize(
    "target, shield, lost", [("zealot", 50, 10), ("zealot", 0, 9), ("marine", None, 10), ("stalker", 0, 13)]
)
def test_check_22_one_hit_of_a_stalker(tmp_path, target, shield, lost):
    """10 on a shield, 9 on a zealot's health, 10 on a marine, 13 on an armored stalker's health."""
    scene = duel(tmp_path, "stalker", target).vitals(1, shield=shield).order(0, STRIKE, 1)
    before = scene.units.health[0, 1] + scene.units.shield[0, 1]
    hits_of(scene, 1, 8)
    assert lost == before - scene.units.health[0, 1] - scene.units.shield[0, 1]


def test_check_22_a_hit_that_breaks_a_shield(tmp_path):
    """What a shield of 5 leaves of 10 loses the armor of 1; armor never heals, and 0.5 is the least."""
    scene = duel(tmp_path, "stalker", "zealot").vitals(1, shield=5).order(0, STRIKE, 1)
    assert [(96.0, 0.0)] == [hit[1:] for hit in hits_of(scene, 1, 8)]
    scene = duel(tmp_path, "stalker", "zealot").vitals(1, shield=9.5).order(0, STRIKE, 1)
    assert [(100.0, 0.0)] == [hit[1:] for hit in hits_of(scene, 1, 8)]
    scene = duel(tmp_path, "zergling", "zealot").vitals(1, shield=0).order(0, STRIKE, 1)
    scene.roster.armor[1] = 7
    assert [(99.5, 0.0)] == [hit[1:] for hit in hits_of(scene, 1, 8)]


def test_check_23_eleven_shots_take_ten_periods(tmp_path):
    """230.4 loops: what a cooldown is too long is taken off the next."""
    scene = duel(tmp_path, "stalker", "spine_crawler").order(0, STRIKE, 1)
    starts = []
    for loop in range(260):
        if scene.loop().units.shots[0, 0] > len(starts):
            starts.append(loop)
    assert starts[10] - starts[0] == pytest.approx(230.4, abs=1)


def test_check_23_a_remainder_that_is_not_used_is_lost(tmp_path):
    """A shot after a pause begins a whole cooldown."""
    scene = duel(tmp_path, "stalker", "spine_crawler").order(0, STRIKE, 1).loops(3)
    scene.order(0, IDLE).loops(40)
    assert 23.04 == scene.order(0, STRIKE, 1).loop().units.cooldown[0, 0]


def test_check_24_shields_grow_after_ten_seconds(tmp_path):
    """None for 160 loops after damage, then 0.125 a loop to the maximum; a hit begins the wait anew."""
    scene = duel(tmp_path, "stalker", "stalker").order(0, STRIKE, 1)
    while scene.units.hurt_by[0, 1] != 0:
        scene.loop()
    scene.order(0, IDLE)
    assert 66.0 == scene.loops(160).units.shield[0, 1]
    assert 66.125 == scene.loop().units.shield[0, 1]
    assert 67.125 == scene.loops(8).units.shield[0, 1]
    assert 79.875 == scene.loops(102).units.shield[0, 1]
    assert 80.0 == scene.loops(8).units.shield[0, 1]
    scene.vitals(1, shield=60)
    scene.units.hurt_by[0, 1] = -1
    scene.order(0, STRIKE, 1)
    while scene.units.hurt_by[0, 1] != 0:
        scene.loop()
    shield = scene.units.shield[0, 1]
    assert shield < 60 and shield == scene.order(0, IDLE).loops(160).units.shield[0, 1]


def test_check_25_a_spine_crawler_grows_back():
    """From 200 health, 0.1367 in an undisturbed step."""
    scene = Scene("2s_vs_1sc").vitals(2, health=200)
    assert scene.step().units.health[0, 2] == pytest.approx(200.1367, abs=1e-3)


def test_check_26_a_medivac_heals(tmp_path):
    """A whole step restores 4.5 health and costs 1.485 of 50 energy, which grows by 0.281."""
    scene = battle(tmp_path, [("marine", 15, 16), ("medivac", 16, 16)], [("marine", 28, 28)])
    scene.vitals(0, health=10).step({1: attack(0)})
    assert 14.5 == scene.units.health[0, 0]
    assert scene.units.energy[0, 1] == pytest.approx(50 - 1.485 + 0.281, abs=0.02)
    scene.vitals(0, health=44.9).step({1: attack(0)})
    assert 45.0 == scene.units.health[0, 0]


def test_check_27_who_walks_before_it_fires(tmp_path):
    """At centre distance 6.0 a stalker fires from where it stands, a marine walks 0.25 first."""
    scene = duel(tmp_path, "stalker", "stalker", 6.0).step({0: attack(0)})
    assert (10.0, 16.0) == scene.at(0) and scene.units.shots[0, 0] == 1
    scene = duel(tmp_path, "marine", "marine", 6.0).step({0: attack(0)})
    assert (pytest.approx(10.25, abs=0.02), 16.0) == scene.at(0) and scene.units.shots[0, 0] == 1


@pytest.mark.parametrize("target, reach", [("zealot", 1.1), ("stalker", 1.225)])
def test_check_28_a_zealot_runs_to_its_target(tmp_path, target, reach):
    """At full speed until it is in reach."""
    scene = duel(tmp_path, "zealot", target, 6.0)
    for _ in range(4):
        before = scene.apart(0, 1)
        scene.step({0: attack(0)})
        assert before - scene.apart(0, 1) == pytest.approx(1.125, abs=1e-6)
    for _ in range(3):
        scene.step({0: attack(0)})
    assert scene.apart(0, 1) == pytest.approx(reach, abs=0.02) and scene.units.shots[0, 0] > 0


@pytest.mark.parametrize("attacker, most", [("stalker", 0.6583), ("zealot", 0.8727), ("marine", 0.9182)])
def test_check_29_the_cooldown_feature_after_a_shot(tmp_path, attacker, most):
    """At most the weapon's period in SMAC's parts, and not far below it in the step of the shot."""
    scene = duel(tmp_path, attacker, "marine", 1.0 if attacker == "zealot" else 5.5)
    scene.roster.max_health[1] = 1000
    scene.vitals(1, health=1000)
    seen = []
    for _ in range(30):
        shots = int(scene.units.shots[0, 0])
        scene.step({0: attack(0)})
        if scene.units.shots[0, 0] > shots:
            seen.append(scene.state("agent_0.cooldown"))
    assert max(seen) <= most + 1e-4
    assert most - 2.01 / scene.roster.cooldown_scale[0] < max(seen)  # a shot falls on one of the last loops
