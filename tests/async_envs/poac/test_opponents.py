"""What the built-in bots do, by example; that every choice agrees with the twin is tested in
test_agrees_with_naive.py.
"""

import numpy as np
import pytest

from async_envs.poac.constants import BLUE, RED
from async_envs.poac.maps import distance
from async_envs.poac.scripted import TEAM_NAMES, ScriptedTeam
from async_envs.poac.simulator import make
from tests.async_envs.poac.scene import Scene

BLUE_INFANTRY, BLUE_CHARIOT, BLUE_TANK = 3, 4, 5
STOP = ("stop", "stop", "stop")


def rest(scene, n_steps):
    """Red does nothing for so many steps."""
    for _ in range(n_steps):
        scene.step(*("" if scene.available(i) <= {"noop", "continue"} else "stop" for i in range(3)))
    return scene


def board_distance(scene, a, b):
    """Cells between two cell numbers."""
    return distance(divmod(int(a), scene.columns), divmod(int(b), scene.columns))


def orders(scene):
    """Names of what Blue did in the last step."""
    return [scene.sim.action_names[a] for a in scene.sim.world.orders[0, 3:]]


# --- KAI0 ---------------------------------------------------------------------------------------------------


def test_kai0_goes_straight_to_the_centre_then_to_the_enemy_chariot_s_start_and_back():
    s = Scene("1", bot="KAI0").place(
        blue_tank=(6, 12), red_infantry=(0, 21), red_tank=(0, 21)
    )  # out of its sight
    s.sim.world.memory.waypoint[0] = 0
    rest(s, 2)
    assert s.cell(BLUE_TANK) == (6, 11)  # the centre
    rest(s, 2 * 10)
    assert s.cell(BLUE_TANK) == (6, 1)  # Red's chariot started there
    rest(s, 2 * 10)
    assert s.cell(BLUE_TANK) == (6, 11)
    rest(s, 2 * 10)
    assert s.cell(BLUE_TANK) == (6, 1)


def test_kai0_passes_whom_it_sees_on_its_first_way_and_hunts_afterwards():
    s = Scene("1", bot="KAI0").place(blue_tank=(6, 20), red_tank=(0, 14))  # 9 cells away, not in range
    rest(s, 1)
    assert orders(s)[2] == "move-W"
    s = Scene("1", bot="KAI0").place(blue_tank=(6, 11), red_tank=(6, 20))  # on the centre, 9 cells
    rest(s, 1)
    assert orders(s)[2] == "move-E"


def test_a_bot_with_an_enemy_in_range_starts_no_move():
    s = Scene("1", bot="KAI0").place(blue_tank=(6, 20), red_tank=(6, 13))
    rest(s, 1)
    assert orders(s) == ["noop", "noop", "stop"]  # its gun is hot
    s.units.cooldown[0, BLUE_TANK] = 0
    rest(s, 1)
    assert orders(s) == ["noop", "noop", "attack-2"]


def test_a_bot_shoots_first_whom_it_expects_to_kill_soonest():
    """Tank's expected damage: .36 to infantry, .96 to armour. 7 blood of infantry take 19 shots, a whole
    tank 10.4.
    """
    s = Scene("1", bot="KAI0").place(
        blue_tank=(6, 20), red_infantry=(6, 18), red_tank=(6, 13), red_chariot=(6, 13)
    )
    s.units.cooldown[0, BLUE_TANK] = 0
    assert orders(rest(s, 1))[2] == "attack-1"  # the chariot, 8.3 shots
    s.units.cooldown[0, BLUE_TANK] = 0
    s.units.blood[0, 0] = 29  # 8.06 shots
    assert orders(rest(s, 1))[2] == "attack-0"


@pytest.mark.parametrize(
    "nearer, farther, shot", [("red_tank", "red_chariot", 2), ("red_chariot", "red_tank", 1)]
)
def test_among_equally_soon_kills_the_nearest_is_shot_whatever_is_drawn(nearer, farther, shot):
    for stream in range(12):
        s = Scene("1", bot="KAI0").place(blue_tank=(6, 20), **{nearer: (6, 14), farther: (6, 13)})
        s.units.cooldown[0, BLUE_TANK] = 0
        s.units.blood[0, [1, 2]] = 50
        s.sim.world.streams[0] = stream
        assert orders(rest(s, 1))[2] == f"attack-{shot}"


def test_a_tie_between_targets_is_drawn():
    shots = set()
    for stream in range(24):
        s = Scene("1", bot="KAI0").place(blue_tank=(6, 20), red_tank=(6, 14), red_chariot=(6, 14))
        s.units.cooldown[0, BLUE_TANK] = 0
        s.units.blood[0, [1, 2]] = 50
        s.sim.world.streams[0] = stream
        shots.add(orders(rest(s, 1))[2])
    assert shots == {"attack-1", "attack-2"}


def test_every_tie_between_equal_ways_is_open():
    """From the start of the tank the centre can be reached by two first moves; each is taken in about half
    the games.
    """
    sim = make("async:poac-1", "1", batch_size=2000)
    sim.reset(range(2000))
    sim.step(np.full((2000, 3), 2))
    moves, counts = np.unique(sim.world.orders[:, BLUE_TANK], return_counts=True)
    assert [sim.action_names[m] for m in moves] == ["move-W", "move-SW"]
    assert (abs(counts - 1000) < 150).all()  # more than six standard deviations


# --- KAI1 ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scenario", ["2", "3", "4", "5"])
def test_kai1_takes_the_free_hidden_cells_of_its_side_nearest_to_the_centre(scenario):
    s = Scene(scenario, bot="KAI1")
    s.step(*STOP)
    board, memory = s.sim.world.board, s.sim.world.memory
    own = [
        c
        for c in board.hidden_cells
        if board_distance(s, c, memory.start[0, BLUE]) < board_distance(s, c, memory.start[0, RED])
    ]
    posts = memory.post[0, 3:]
    assert len(set(posts.tolist())) == 3 and set(posts) <= set(own)
    assert sorted(board.centre_distance[posts]) == sorted(board.centre_distance[own])[:3]
    rest(s, 400)
    assert s.units.cell[0, 3:].tolist() == posts.tolist()


def test_kai1_keeps_its_starts_where_there_is_no_hidden_terrain():
    s = rest(Scene("1", bot="KAI1"), 50)
    assert [s.cell(u) for u in (3, 4, 5)] == [(8, 21), (6, 21), (4, 21)]


def test_kai1_changes_its_cell_after_a_hit_by_somebody_unseen_and_20_blind_steps():
    s = Scene("2", bot="KAI1")
    rest(s, 1)
    post = s.sim.world.memory.post[0].copy()
    s.units.wound[0, BLUE_TANK] = 1  # hit in the last step
    rest(s, 19)
    assert s.sim.world.memory.post[0].tolist() == post.tolist()
    rest(s, 1)
    changed = s.sim.world.memory.post[0] != post
    assert changed.tolist() == [False, False, False, False, False, True]
    s.units.wound[0, BLUE_TANK] = 0


def test_kai1_stays_where_it_was_hit_by_somebody_it_saw():
    s = Scene("2", bot="KAI1")
    rest(s, 1)
    post = s.sim.world.memory.post[0].copy()
    s.sim.world.memory.blind[0, BLUE] = 0  # somebody was in sight when it was hit
    s.units.wound[0, BLUE_TANK] = 1
    rest(s, 30)
    assert s.sim.world.memory.post[0].tolist() == post.tolist()


def test_patience_makes_an_ambush_play_kai0_until_it_sees_somebody():
    s = rest(Scene("1", bot="KAI1", patience=10), 9)
    assert orders(s) == ["stop", "stop", "stop"]
    rest(s, 1)
    assert all(order.startswith("move-") for order in orders(s))


# --- KAI2 ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scenario", ["2", "3", "4", "5"])
def test_kai2_puts_the_chariot_behind_the_infantry_and_the_tank_with_it(scenario):
    s = Scene(scenario, bot="KAI2")
    s.step(*STOP)
    board = s.sim.world.board
    infantry, chariot, tank = s.sim.world.memory.post[0, 3:]
    assert board.hidden[infantry] and board.hidden[chariot] and tank == chariot
    assert board.centre_distance[chariot] > board.centre_distance[infantry]
    rest(s, 400)
    assert s.units.cell[0, 3:].tolist() == [infantry, chariot, tank]


def test_kai2_s_tank_leaves_its_post_for_enemies_near_it_only_and_returns():
    s = Scene("3", bot="KAI2", guided=False)
    s.place(blue_tank=(8, 12), blue_infantry=(8, 3), red_infantry=(8, 4))
    s.sim.world.memory.post[0, BLUE_TANK] = (
        8 * 27 + 10
    )  # the enemy is 6 cells from the post and 8 from the tank
    rest(s, 1)
    assert orders(s)[2] == "move-W"
    s.place(blue_tank=(8, 13), blue_infantry=(8, 3), red_infantry=(8, 4))
    s.sim.world.memory.post[0, BLUE_TANK] = 8 * 27 + 14  # 10 cells from the enemy: back to the post
    s.units.busy[0] = 0
    rest(s.show(), 1)
    assert orders(s)[2] == "move-E"


def test_kai2_fires_what_the_infantry_spots():
    s = Scene("5", bot="KAI2").place(blue_chariot=(13, 30), blue_infantry=(13, 25), red_tank=(13, 22))
    s.units.cooldown[0, BLUE_CHARIOT] = 0
    rest(s, 1)
    assert orders(s)[1] == "guided-attack-2"


# --- sides --------------------------------------------------------------------------------------------------


def play(scenario, team, bot, n_games):
    """(won, lost) of a scripted team as Red."""
    sim = make(f"async:poac-{scenario}", scenario, batch_size=n_games, bot=bot)
    red = ScriptedTeam(sim, team)
    sim.reset(range(n_games))
    while not (sim.terminated | sim.truncated).all():
        sim.step(red.act())
    won, drawn = sim.metrics["battle_won"].sum(), sim.metrics["draw"].sum()
    return int(won), int(n_games - won - drawn)


@pytest.mark.slow
@pytest.mark.parametrize("scenario", ["1", "2", "3", "4", "5"])
def test_kai0_has_no_better_side(scenario):
    won, lost = play(scenario, "KAI0", "KAI0", 2000)
    assert won + lost >= 500
    assert 0.45 <= won / (won + lost) <= 0.55


@pytest.mark.slow
@pytest.mark.parametrize("scenario", ["1", "2", "3", "4", "5"])
def test_scenarios_can_be_won_and_not_by_chance(scenario):
    best = max(play(scenario, team, None, 200)[0] for team in ("focus", "sniper"))
    assert best >= 120
    assert play(scenario, "random", None, 200)[0] <= 10


def test_every_team_plays_by_the_masks():
    """`step` raises for any action that is not available."""
    for scenario in ("1", "4"):
        for team in TEAM_NAMES:
            sim = make(f"async:poac-{scenario}", scenario, batch_size=16, random_start=True)
            red = ScriptedTeam(sim, team)
            sim.reset(range(16))
            while not (sim.terminated | sim.truncated).all() and sim.t.max() < 150:
                sim.step(red.act())


def test_an_unknown_team_is_named():
    with pytest.raises(ValueError, match="unknown team 'snipers'. Did you mean 'sniper'"):
        ScriptedTeam(make("async:poac-1", "1"), "snipers")
