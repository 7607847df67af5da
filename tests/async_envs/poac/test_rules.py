"""The rule book by example. Rows of the 13 x 23 map: (row, column); distances along a row are differences of
columns.
"""

import numpy as np
import pytest

from async_envs.poac.simulator import make
from tests.async_envs.poac.scene import NEVER, Scene

INFANTRY, CHARIOT, TANK = 0, 1, 2
BLUE_INFANTRY, BLUE_CHARIOT, BLUE_TANK = 3, 4, 5
HIT, MISS = 0, 9  # draws that every shot hits, that every shot misses


def scene(scenario="1", bot="KAI1", **options):
    """By default Blue stays where it is placed and is disarmed."""
    return Scene(scenario, bot=bot, **options)


# --- moving -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("agent, steps", [(INFANTRY, 5), (CHARIOT, 4), (TANK, 2)])
def test_move_takes_its_steps_and_arrives_in_the_last(agent, steps):
    s = scene()
    start = s.cell(agent)
    names = ["stop"] * 3
    names[agent] = "move-E"
    s.step(*names)
    for left in range(steps - 1, 0, -1):
        assert s.cell(agent) == start
        assert s.available(agent) == {"continue"}
        assert s.obs(agent, "own.steps_left") == pytest.approx(left / steps)
        assert s.obs(agent, "own.moving_E") == 1.0
        s.step()
    assert s.cell(agent) == (start[0], start[1] + 1)
    assert "stop" in s.available(agent)
    assert s.obs(agent, "own.steps_left") == s.obs(agent, "own.moving_E") == 0.0


def test_original_speeds_make_only_the_infantry_wait():
    s = scene(speeds="original").step("move-E", "move-E", "move-E")
    assert s.available(INFANTRY) == {"continue"}
    assert s.cell(CHARIOT) == (6, 2) and s.cell(TANK) == (8, 2)


@pytest.mark.parametrize(
    "direction, from_even, from_odd",
    [
        ("E", (0, 1), (0, 1)),
        ("NE", (-1, 0), (-1, 1)),
        ("NW", (-1, -1), (-1, 0)),
        ("W", (0, -1), (0, -1)),
        ("SW", (1, -1), (1, 0)),
        ("SE", (1, 0), (1, 1)),
    ],
)
def test_odd_rows_are_shoved_right(direction, from_even, from_odd):
    for start, step in (((6, 5), from_even), ((7, 5), from_odd)):
        s = scene().place(red_tank=start, blue_tank=(0, 22))
        s.step("", "", f"move-{direction}").step()
        assert s.cell(TANK) == (start[0] + step[0], start[1] + step[1])


def test_a_move_off_the_map_is_not_available():
    corner = scene().place(red_tank=(0, 0), blue_tank=(12, 22))
    assert corner.available(TANK) == {"stop", "move-E", "move-SE"}
    end_of_odd_row = scene().place(red_tank=(1, 21), blue_tank=(12, 0))
    assert "move-E" not in end_of_odd_row.available(TANK)
    assert {"move-NE", "move-SE", "move-W"} <= end_of_odd_row.available(TANK)


def test_units_may_share_a_cell():
    s = scene().place(red_infantry=(6, 5), red_tank=(6, 6), blue_tank=(6, 7))
    s.step("stop", "", "move-E").step("stop")
    assert s.cell(TANK) == s.cell(BLUE_TANK)


def test_killed_on_the_way_dies_where_it_started():
    s = scene().place(red_tank=(6, 5), red_infantry=(0, 0), blue_tank=(6, 10))
    s.units.blood[0, TANK] = 1
    s.units.cooldown[0, BLUE_TANK] = 1
    s.draws(HIT).step("stop", "", "move-E")  # the bot's gun is hot; the move has one step left
    assert s.available(TANK) == {"continue"}
    s.step("stop")  # it would arrive in the step in which it is hit
    assert s.available(TANK) == {"noop"}
    assert s.cell(TANK) == (6, 5)
    assert (s.sim.obs[0, TANK] == 0).all()
    own = [name.startswith("red_tank.") for name in s.sim.state_names]
    assert (s.sim.state[0, own] == 0).all()


# --- timers -------------------------------------------------------------------------------------------------


def test_a_shot_forbids_the_next_step_and_allows_the_one_after():
    s = scene().place(red_tank=(6, 5), blue_tank=(6, 10))
    assert s.shots(TANK) == {"attack-2"}
    s.step("", "", "attack-2")
    assert s.shots(TANK) == set() and s.obs(TANK, "own.cooldown") == 1.0
    s.step("", "", "stop")
    assert s.shots(TANK) == {"attack-2"} and s.obs(TANK, "own.cooldown") == 0.0


@pytest.mark.parametrize("agent, name, steps", [(INFANTRY, "red_infantry", 5), (CHARIOT, "red_chariot", 4)])
def test_after_a_move_two_steps_of_preparation_pass(agent, name, steps):
    s = scene().place(**{name: (6, 5)}, blue_tank=(6, 8))
    names = ["", "", ""]
    names[agent] = "move-E"
    s.step(*names)
    for _ in range(steps - 1):
        s.step()
    names[agent] = "stop"  # it arrived in step t; now t + 1
    assert s.shots(agent) == set() and s.obs(agent, "own.preparation") == 1.0
    s.step(*names)
    assert s.shots(agent) == set() and s.obs(agent, "own.preparation") == 0.5
    s.step(*names)
    assert s.shots(agent) == {"attack-2"}


def test_the_tank_needs_no_preparation():
    s = scene().place(red_tank=(6, 5), blue_tank=(6, 10)).step("", "", "move-E").step()
    assert s.shots(TANK) == {"attack-2"}


def test_everybody_is_prepared_at_the_start():
    assert (scene().units.preparation == 0).all()


# --- shooting -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "agent, name, against_infantry, against_armour, cells",
    [
        (INFANTRY, "red_infantry", (8, 6), (8, 7), 3),
        (CHARIOT, "red_chariot", (8, 6), (15, 7), 5),
        (TANK, "red_tank", (6, 6), (12, 8), 5),
    ],
)
def test_damage_and_probability_of_table_2(agent, name, against_infantry, against_armour, cells):
    for enemy, (damage, tenths) in enumerate((against_infantry, against_armour, against_armour)):
        target = ("blue_infantry", "blue_chariot", "blue_tank")[enemy]
        for draw, expected in ((tenths - 1, damage / 10), (tenths, 0.0)):
            s = scene().place(**{name: (6, 5), target: (6, 5 + cells)}).draws(draw)
            names = ["", "", ""]
            names[agent] = f"attack-{enemy}"
            assert s.step(*names).sim.reward[0] == np.float32(expected)


@pytest.mark.parametrize(
    "agent, name, cells", [(INFANTRY, "red_infantry", 3), (CHARIOT, "red_chariot", 7), (TANK, "red_tank", 7)]
)
def test_attacked_distance(agent, name, cells):
    assert scene().place(**{name: (6, 5)}, blue_tank=(6, 5 + cells)).shots(agent) == {"attack-2"}
    assert scene().place(**{name: (6, 5)}, blue_tank=(6, 6 + cells)).shots(agent) == set()


def test_hits_add_up_and_are_clipped_at_the_blood_that_is_left():
    s = scene().place(red_chariot=(6, 5), red_tank=(6, 5), blue_tank=(6, 10), blue_infantry=(0, 22))
    s.draws(HIT, HIT).step("", "attack-2", "attack-2")
    assert s.sim.reward[0] == np.float32(2.7)
    s.units.blood[0, BLUE_TANK] = 20
    s.draws(HIT, HIT).step("", "stop", "stop").draws(HIT, HIT).step("", "attack-2", "attack-2")
    assert s.sim.reward[0] == np.float32(2.0)
    assert s.units.blood[0, BLUE_TANK] == 0
    assert not s.sim.terminated[0]


def test_two_units_may_kill_each_other():
    s = scene().place(red_tank=(6, 5), blue_tank=(6, 10))
    s.units.blood[0, [TANK, BLUE_TANK]] = 3
    s.units.cooldown[0, BLUE_TANK] = 0
    s.draws(HIT, HIT).step("", "", "attack-2")
    assert s.sim.terminated[0] and not s.sim.truncated[0]
    assert s.sim.reward[0] == 0.0
    assert s.sim.metrics["draw"][0] == 1.0 and s.sim.metrics["battle_won"][0] == 0.0
    assert s.sim.metrics["enemies_dead"][0] == s.sim.metrics["allies_dead"][0] == 3.0


def test_shots_draw_in_unit_order():
    s = scene().place(red_chariot=(6, 5), red_tank=(6, 5), blue_tank=(6, 10))
    s.draws(MISS, HIT).step("", "attack-2", "attack-2")
    assert s.sim.reward[0] == np.float32(1.2)  # the tank's


# --- seeing -------------------------------------------------------------------------------------------------


def hidden_cell(s):
    """A hidden cell in an even row with room to its left, and the open cells at two distances to its left."""
    board = s.sim.world.board
    for cell in board.hidden_cells:
        row, column = divmod(int(cell), s.columns)
        left = [row * s.columns + column - k for k in (2, 3, 5, 6)]
        if column > 10 and not any(board.hidden[c] for c in left):
            return row, column
    raise AssertionError("the map has no such cell")


@pytest.mark.parametrize(
    "agent, name, open_cells, hidden_cells",
    [(INFANTRY, "red_infantry", 5, 2), (CHARIOT, "red_chariot", 10, 5), (TANK, "red_tank", 10, 5)],
)
def test_hidden_terrain_halves_the_observed_distance(agent, name, open_cells, hidden_cells):
    for cells, seen in ((open_cells, 1.0), (open_cells + 1, 0.0)):
        s = scene().place(**{name: (6, 5)}, blue_tank=(6, 5 + cells))
        assert s.obs(agent, "enemy_2.seen") == seen
        assert s.obs(agent, "enemy_2.distance") == seen * cells / open_cells
    s = scene("2")
    row, column = hidden_cell(s)
    for cells, seen in ((hidden_cells, 1.0), (hidden_cells + 1, 0.0)):
        s = scene("2").place(**{name: (row, column - cells)}, blue_tank=(row, column))
        assert s.obs(agent, "enemy_2.seen") == seen
        assert s.obs(agent, "enemy_2.in_hidden_terrain") == seen


def test_allies_are_seen_in_hidden_terrain_from_the_whole_distance():
    row, column = hidden_cell(scene("2"))
    s = scene("2").place(red_tank=(row, column - 6), red_chariot=(row, column), blue_tank=(12, 22))
    assert s.obs(TANK, "ally_1.seen") == 1.0


def test_agents_share_no_sight():
    s = scene().place(red_infantry=(6, 12), red_tank=(6, 2), blue_tank=(6, 15))
    assert s.obs(INFANTRY, "enemy_2.seen") == 1.0
    assert s.obs(TANK, "enemy_2.seen") == 0.0


def test_offsets_are_axial_and_over_the_observed_distance():
    s = scene().place(red_tank=(6, 5), blue_tank=(8, 7))  # two rows down: q = 7 - 4 = 3 against 5 - 3 = 2
    assert s.obs(TANK, "enemy_2.offset_q") == pytest.approx(0.1)
    assert s.obs(TANK, "enemy_2.offset_r") == pytest.approx(0.2)
    assert s.obs(TANK, "enemy_2.distance") == pytest.approx(0.3)


def test_an_enemy_s_move_is_not_observed_and_an_ally_s_is():
    s = scene(bot="KAI0").place(red_infantry=(6, 2), red_tank=(6, 3), blue_tank=(6, 13))
    s.step("stop", "", "move-E")
    assert s.units.busy[0, BLUE_TANK] > 0
    assert s.obs(INFANTRY, "ally_1.moving") == 1.0
    assert s.obs(TANK, "enemy_2.seen") == 1.0 and s.obs(TANK, "enemy_2.moving") == 0.0


# --- guided shooting ----------------------------------------------------------------------------------------


def guided_scene(**cells):
    return scene("3").place(**cells)


def test_guided_attack_needs_another_unit_that_can_guide_and_sees():
    spotted = guided_scene(red_chariot=(8, 1), red_infantry=(8, 6), blue_tank=(8, 9))
    assert spotted.shots(CHARIOT) == {"guided-attack-2"}  # 8 cells: seen, too far for an attack
    assert guided_scene(red_chariot=(8, 1), blue_tank=(8, 9)).shots(CHARIOT) == set()
    by_tank = guided_scene(red_chariot=(8, 1), red_tank=(8, 6), blue_tank=(8, 9))
    assert by_tank.shots(CHARIOT) == set()  # a tank guides nobody
    assert by_tank.shots(TANK) == {"attack-2"}


def test_guided_attack_is_for_what_attack_cannot():
    s = guided_scene(red_chariot=(8, 2), red_infantry=(8, 6), blue_tank=(8, 9))
    assert s.shots(CHARIOT) == {"attack-2"}


@pytest.mark.parametrize("cells, shots", [(4, {"guided-attack-2"}), (5, {"guided-attack-2"}), (6, set())])
def test_infantry_fires_guided_up_to_five_cells(cells, shots):
    assert (
        guided_scene(red_infantry=(8, 2), red_chariot=(8, 2), blue_tank=(8, 2 + cells)).shots(INFANTRY)
        == shots
    )


@pytest.mark.parametrize("cells, shots", [(10, {"guided-attack-2"}), (11, set())])
def test_chariot_fires_guided_up_to_ten_cells(cells, shots):
    s = guided_scene(red_chariot=(8, 1), red_infantry=(8, 9), blue_tank=(8, 1 + cells))
    assert s.shots(CHARIOT) == shots


def test_tank_never_fires_guided():
    assert guided_scene(red_tank=(8, 1), red_infantry=(8, 6), blue_tank=(8, 9)).shots(TANK) == set()


def test_guided_attack_waits_for_the_timers_and_is_observed_and_counted():
    s = guided_scene(red_chariot=(8, 1), red_infantry=(8, 6), blue_tank=(8, 9))
    assert s.obs(CHARIOT, "enemy_2.can_be_attacked_by_guidance") == 1.0
    s.draws(HIT).step("stop", "guided-attack-2", "")
    assert s.sim.reward[0] == np.float32(1.5)
    assert s.shots(CHARIOT) == set() and s.obs(CHARIOT, "enemy_2.can_be_attacked_by_guidance") == 0.0
    assert s.sim.world.tally.guided_shots[0].tolist() == [1, 0]


def test_option_guided_overrides_the_scenario():
    cells = dict(red_chariot=(6, 1), red_infantry=(6, 6), blue_tank=(6, 9))
    assert scene("1").place(**cells).shots(CHARIOT) == set()
    assert scene("1", guided=True).place(**cells).shots(CHARIOT) == {"guided-attack-2"}
    assert scene("3", guided=False).place(**cells).shots(CHARIOT) == set()


# --- ends ---------------------------------------------------------------------------------------------------


def test_limit_truncates_and_no_damage_is_a_draw():
    s = scene(episode_limit=3)
    for t in range(3):
        assert not s.sim.truncated[0]
        s.step("stop", "stop", "stop")
    assert s.sim.truncated[0] and not s.sim.terminated[0]
    assert {name: float(values[0]) for name, values in s.sim.metrics.items()} == {
        "battle_won": 0,
        "draw": 1,
        "contact": 0,
        "damage_dealt": 0,
        "damage_taken": 0,
        "enemies_dead": 0,
        "allies_dead": 0,
        "guided_shots": 0,
    }


def test_the_last_kill_at_the_limit_terminates():
    s = scene(episode_limit=1).place(red_tank=(6, 5), blue_tank=(6, 10))
    s.units.blood[0, BLUE_TANK] = 1
    s.draws(HIT).step("", "", "attack-2")
    assert s.sim.terminated[0] and not s.sim.truncated[0]
    assert s.sim.metrics["battle_won"][0] == 1.0 and s.sim.metrics["damage_dealt"][0] == np.float32(0.1)


def test_a_tenth_more_damage_wins():
    s = scene(episode_limit=1).place(red_tank=(6, 5), blue_tank=(6, 10))
    s.sim.world.tally.lost[0] = [12, 1]
    s.draws(HIT).step("", "", "attack-2")
    assert s.sim.metrics["battle_won"][0] == 1.0 and s.sim.metrics["draw"][0] == 0.0
    assert s.sim.metrics["contact"][0] == 1.0


def test_starts_and_random_start():
    sim = make("async:poac-1", "1", batch_size=64)
    sim.reset(range(64))
    rows, columns = np.divmod(sim.world.units.cell, 23)
    assert (rows == [4, 6, 8, 8, 6, 4]).all() and (columns == [1, 1, 1, 21, 21, 21]).all()
    sim = make("async:poac-1", "1", batch_size=400, random_start=True)
    sim.reset(range(400))
    shifts = np.divmod(sim.world.units.cell, 23)[0] - [4, 6, 8, 8, 6, 4]
    assert (shifts[:, :3] == shifts[:, :1]).all() and (shifts[:, 3:] == shifts[:, 3:4]).all()
    assert {tuple(pair) for pair in shifts[:, [0, 3]].tolist()} == {
        (a, b) for a in (-2, 0, 2) for b in (-2, 0, 2)
    }


# --- errors and publication ---------------------------------------------------------------------------------


def test_error_line_tells_what_the_agent_is_busy_with():
    s = scene().step("move-E", "stop", "stop")
    with pytest.raises(ValueError) as caught:
        s.step("stop", "stop", "stop")
    assert str(caught.value) == (
        "async:poac-1: episode 0, agent 0: action 2 'stop' is not available "
        "while executing 'move-E' (4 steps left). Available: continue."
    )


@pytest.mark.parametrize(
    "options, line",
    [
        ({"bott": "KAI0"}, "async:poac-1: unknown option 'bott'. Did you mean 'bot'?"),
        (
            {"bot": "KAI3"},
            "async:poac-1: option bot='KAI3' is not accepted, expected one of KAI0, KAI1, KAI2.",
        ),
        ({"patience": -1}, "async:poac-1: option patience=-1 is not accepted"),
        ({"episode_limit": 0}, "async:poac-1: option episode_limit=0 is not accepted"),
        ({"guided": 1}, "async:poac-1: option guided=1 is a int, expected True or False."),
        (
            {"speeds": "fast"},
            "async:poac-1: option speeds='fast' is not accepted, expected one of paper, original.",
        ),
        ({"random_start": "yes"}, "async:poac-1: option random_start='yes' is a str"),
    ],
)
def test_options_are_checked(options, line):
    with pytest.raises(ValueError) as caught:
        make("async:poac-1", "1", **options)
    assert str(caught.value).startswith(line) and "\n" not in str(caught.value)


def test_unknown_variant_is_named():
    with pytest.raises(ValueError, match="async:poac-6: unknown variant '6'"):
        make("async:poac-6", "6")


def test_what_is_published_has_the_promised_sizes():
    sim = make("async:poac-5", "5")
    assert (sim.obs_dim, sim.state_dim, sim.n_actions, sim.n_agents) == (89, 103, 15, 3)
    assert len(set(sim.obs_names)) == 89 and len(set(sim.state_names)) == 103
    assert sim.action_names[:9] == (
        "noop",
        "continue",
        "stop",
        "move-E",
        "move-NE",
        "move-NW",
        "move-W",
        "move-SW",
        "move-SE",
    )


def test_disarmed_bots_stay_disarmed():
    """What `place` relies on."""
    s = scene().place(red_tank=(6, 5), blue_tank=(6, 10))
    for _ in range(5):
        s.step("", "", "stop")
    assert s.units.cooldown[0, BLUE_TANK] == NEVER - 5 and s.sim.world.tally.shots[0].sum() == 0
