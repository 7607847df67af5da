"""Checks 30 to 40: what the scripted enemy does, what a battle pays and how it ends."""

import numpy as np
import pytest

from async_envs.core.views import GymnasiumView
from async_envs.smac.constants import STOP
from async_envs.smac.simulator import make
from tests.async_envs.smac.scene import NORTH, SOUTH, Scene, attack


def until_over(scene, choose=lambda scene: {}, most=400):
    """Plays to the end; the sum of rewards."""
    total = 0.0
    for _ in range(most):
        scene.step(choose(scene))
        total += scene.reward
        if scene.sim.terminated[0] or scene.sim.truncated[0]:
            return total
    raise AssertionError("the episode does not end")


def first_attack(scene):
    """Whoever can attack attacks the first enemy it may; the others wait."""
    can = [np.flatnonzero(scene.mask(i)[6:]) for i in range(scene.n)]
    return {i: attack(int(enemies[0])) for i, enemies in enumerate(can) if len(enemies)}


def stronger(scene, times):
    """The agents' hits weigh more, so that a test can win."""
    scene.roster.damage[: scene.n, scene.n :] *= times
    return scene


def test_check_30_nothing_happens_on_2s_vs_1sc_while_nobody_comes():
    """300 steps, return 0, no win, nobody hurt."""
    scene = Scene("2s_vs_1sc")
    assert 0.0 == until_over(scene)
    assert 300 == scene.sim.t[0] and 0.0 == scene.sim.metrics["battle_won"][0]
    assert [80, 80, 300] == scene.units.health[0].tolist() and [80, 80] == scene.units.shield[0, :2].tolist()


@pytest.mark.parametrize("between, shots", [(8.55, 0), (8.45, 1)])
def test_check_31_a_crawler_stays_and_fires_within_eight_and_a_half(between, shots):
    """It never moves, and begins no attack on a stalker that is farther than 8.5."""
    scene = Scene("2s_vs_1sc").put(0, 14, 20 - between)
    for _ in range(5):
        scene.step()
    assert (14.0, 20.0) == scene.at(2) and shots == min(1, scene.units.shots[0, 2])


def test_check_32_standing_before_a_crawler_loses():
    """Both walk in and attack whenever they can: a defeat that leaves the crawler more than 50 health."""
    scene = Scene("2s_vs_1sc")
    until_over(scene, lambda scene: {i: NORTH for i in range(2) if scene.mask(i)[NORTH]} | first_attack(scene))
    assert scene.sim.terminated[0] and 0.0 == scene.sim.metrics["battle_won"][0]
    assert scene.units.health[0, 2] > 50 and 2 == scene.sim.metrics["dead_allies"][0]


def test_check_33_who_never_fights_on_3s5z_loses_and_gets_nothing():
    """Defeat after 30 to 80 steps, return 0."""
    scene = Scene("3s5z")
    assert 0.0 == until_over(scene)
    assert 30 <= scene.sim.t[0] <= 80 and scene.sim.terminated[0] and not scene.sim.metrics["battle_won"][0]
    assert (scene.units.health[0, 8:] == scene.roster.max_health[8:]).all()


def test_check_34_an_enemy_that_sees_nobody_stands_at_its_point():
    """With all agents out of reach in a corner, the enemy comes to (9, 16) and moves no more."""
    scene = Scene("3s5z", episode_limit=300)
    for i in range(8):
        scene.put(i, 31.2 - 0.9 * (i % 2), 8.8 + 0.9 * (i // 2))
    for _ in range(50):
        scene.step()
    assert (np.hypot(scene.units.x[0, 8:] - 9, scene.units.y[0, 8:] - 16) < 4).all()
    before = scene.units.x[0, 8:].copy(), scene.units.y[0, 8:].copy()
    for _ in range(5):
        scene.step()
    assert np.array_equal(before, (scene.units.x[0, 8:], scene.units.y[0, 8:]))


@pytest.mark.parametrize("variant, times", [("3m", 4), ("3s5z", 4)])
def test_check_35_a_win_pays_twenty(variant, times):
    """20 exactly where nothing grows back, and no less where shields do."""
    scene = stronger(Scene(variant), times)
    total = until_over(scene, first_attack)
    assert 1.0 == scene.sim.metrics["battle_won"][0] and scene.sim.terminated[0]
    assert total == pytest.approx(20, abs=1e-5) if variant == "3m" else total >= 20 - 1e-5


def test_check_36_what_a_zealot_is_worth():
    """From full health and shield: 160 * 20 / 1510."""
    scene = stronger(Scene("3s5z").pacify(), 3)
    scene.put(0, 20, 16).put(11, 24, 16)
    total = 0.0
    while scene.units.alive[0, 11]:
        total += scene.step({0: attack(3)}).reward
    assert total == pytest.approx(2.1192, abs=1e-4)


def test_check_37_what_a_lost_marine_costs():
    """Without reward_only_positive: -(45 + 10) * 0.5 * 20 / 365."""
    scene = Scene("3m", reward_only_positive=False)
    scene.away(1, 3).put(1, 20, 16).put(3, 23, 16)
    scene.units.alive[0, 2] = scene.units.was_alive[0, 2] = 1  # far away, so that the battle goes on
    scene.put(2, 0.5, 8.5).units.health[0, 2] = 45
    scene.units.before[0, 2] = 45
    total = 0.0
    while scene.units.alive[0, 1]:
        total += scene.step().reward
    assert total == pytest.approx(-1.5068, abs=1e-4)


def test_check_38_the_limit_terminates():
    """At the limit to the step, without a win; the key episode_limit stands only for continuing episodes."""
    infos = []
    for is_continuing in (False, True):
        sim = make("async:smac-2s_vs_1sc", "2s_vs_1sc", smac_compat=True, continuing_episode=is_continuing)
        view = GymnasiumView(sim)
        view.reset(seed=1)
        for step in range(1, 301):
            *_, terminated, truncated, info = view.step((1, 1))
            assert (step == 300) == (terminated or truncated)
        assert (not is_continuing, is_continuing) == (terminated, truncated)
        infos.append(info)
    assert "episode_limit" not in infos[0] and infos[1]["episode_limit"] and not infos[0]["battle_won"]


def test_check_39_seeds_matter_only_with_jitter():
    """The same seed and actions give the same episode; without jitter any seed does."""
    def ends(seeds, **options):
        sim = make("async:smac-3m", "3m", len(seeds), smac_compat=True, **options)
        sim.reset(seeds)
        for _ in range(25):
            if (sim.terminated | sim.truncated).all():
                break
            may_attack = sim.avail_actions[:, :, 6:].any(-1)
            sim.step(np.where(may_attack, 6 + sim.avail_actions[:, :, 6:].argmax(-1), sim.avail_actions.argmax(-1)))
        return sim.state.copy()

    first, same, other = ends([7, 7, 8])
    assert np.array_equal(first, same) and np.array_equal(first, other)
    for options in ({"cooldown_jitter": True}, {"spawn_jitter": 0.3}):
        first, same, other = ends([7, 7, 8], **options)
        assert np.array_equal(first, same) and not np.array_equal(first, other)


def test_check_40_the_dead_stay_dead():
    """Counts of the dead never fall, and a win leaves no enemy."""
    scene = stronger(Scene("3m"), 2)
    dead = (0, 0)
    while not scene.sim.terminated[0]:
        scene.step(first_attack(scene))
        now = 3 - int(scene.units.alive[0, :3].sum()), 3 - int(scene.units.alive[0, 3:].sum())
        assert now[0] >= dead[0] and now[1] >= dead[1]
        dead = now
    assert dead == (scene.sim.metrics["dead_allies"][0], scene.sim.metrics["dead_enemies"][0])
    assert 1.0 == scene.sim.metrics["battle_won"][0] and 3 == dead[1]


def test_check_40_but_for_the_medivac():
    """On the MMM maps a last enemy medivac is a win; a last own medivac is a defeat, also when all fall at once."""
    scene = Scene("MMM2").pacify().away(0, 21)
    scene.step()
    assert 1.0 == scene.sim.metrics["battle_won"][0] and 11 == scene.sim.metrics["dead_enemies"][0]
    scene = Scene("MMM2").pacify().away(9, 10, 21)
    scene.step()
    assert scene.sim.terminated[0] and 0.0 == scene.sim.metrics["battle_won"][0]
    scene = Scene("MMM2").pacify().away(9)
    scene.step()
    assert scene.sim.terminated[0] and 0.0 == scene.sim.metrics["battle_won"][0]


def test_a_double_knock_out_is_neither_won_nor_lost():
    """Terminated without the bonus of either."""
    scene = Scene("3m", reward_defeat=-50.0).pacify()
    scene.units.health[0] = 0.0
    scene.step()
    assert scene.sim.terminated[0] and 0.0 == scene.sim.metrics["battle_won"][0]
    assert scene.reward == pytest.approx(3 * 55 * 20 / 365, abs=1e-5)


@pytest.mark.parametrize("dead, expected", [((3, 4, 5), 20 / 365), ((0, 1, 2), -20 / 365), ((0, 1, 2, 3, 4, 5), 0)])
def test_sparse_rewards(dead, expected):
    """1 for a win and -1 for a defeat, divided as all rewards are; nothing for a double knock-out."""
    scene = Scene("3m", reward_sparse=True).pacify()
    assert 0.0 == scene.step().reward
    scene.units.health[0, list(dead)] = 0.0
    assert scene.step().reward == pytest.approx(expected, abs=1e-6)


def test_what_grows_back_is_paid_as_well():
    """Only-positive rewards are an absolute value: 8 points of shield that grow in a step pay 8."""
    scene = Scene("3s5z").pacify().vitals(8, shield=40)
    scene.units.shield_wait[0, 8] = 0
    assert scene.step().reward == pytest.approx(1.0 * 20 / 1510, abs=1e-6)


@pytest.mark.parametrize("is_compatible", [True, False])
def test_a_win_in_the_last_step_is_a_win(is_compatible):
    """Terminated, not truncated, though the limit is reached."""
    scene = Scene("3m", episode_limit=1, smac_compat=is_compatible).pacify()
    scene.units.health[0, 3:] = 0.0
    scene.step()
    assert scene.sim.terminated[0] and not scene.sim.truncated[0] and 1.0 == scene.sim.metrics["battle_won"][0]


@pytest.mark.parametrize("durations", ["all_one", "index_mod3"])
def test_the_crawler_can_be_beaten(durations):
    """Both fight until their shields are nearly gone, go away until they are whole, twice; the third time they stay."""
    scene, is_resting, n_rests = Scene("2s_vs_1sc", durations=durations), [False, False], 0

    def choose(scene):
        nonlocal is_resting, n_rests
        if all(is_resting) and scene.units.shield[0, :2].min() == 80:
            is_resting, n_rests = [False, False], n_rests + 1
        actions = {}
        for i in range(2):
            if not scene.sim.get_decision_mask()[0, i]:
                continue
            is_resting[i] = is_resting[i] or (n_rests < 2 and scene.units.shield[0, i] < 21)
            retreat = SOUTH if scene.apart(i, 2) < 9.3 and scene.mask(i)[SOUTH] else STOP
            advance = attack(0) if scene.mask(i)[6] else NORTH
            actions[i] = retreat if is_resting[i] else advance
        return actions

    assert until_over(scene, choose) > 20 and 1.0 == scene.sim.metrics["battle_won"][0]


BAITS = (
    "o/W E/. o/W E/. N/N N/. N/A A/A E/S N/. A/N A/. S/A A/E S/. N/A A/A S/o o/A S/W N/. N/A A/o o/o W/A A/A A/A A/A "
    "A/A N/o N/A A/A A/o o/A A/S N/. A/N A/. W/A o/A A/A A/A A/N A/. W/A S/o A/o A/A"
)  # both agents' actions, step by step


def test_the_crawler_loses_to_baits():
    """Nobody waits for shields: four of its attacks are lost, as their target steps out of reach in time."""
    scene = Scene("2s_vs_1sc", smac_compat=False, durations="index_mod3")
    words = {"o": "stop", ".": "continue", "A": "attack-0"}
    words |= {"N": "move-north", "S": "move-south", "E": "move-east", "W": "move-west"}
    n_hits = 0
    for pair in BAITS.split():
        before = (scene.units.health + scene.units.shield)[0, :2].sum()
        scene.sim.step(np.array([[scene.sim.action_names.index(words[letter]) for letter in pair.split("/")]]))
        n_hits += int((scene.units.health + scene.units.shield)[0, :2].sum() < before - 15)
    assert scene.sim.terminated[0] and 1.0 == scene.sim.metrics["battle_won"][0] and 48 == scene.sim.t[0]
    assert 14 == scene.units.shots[0, 2] and 10 == n_hits
