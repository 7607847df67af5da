"""The world step by step: who moves, what a push does, deliveries, memory.

    #####T#
    K.1.2.L     cells are (row, column); knife 1 (1,0), knife 2 (2,0), delivery (3,0)
    K.....O
    D.....#
    #.....#
    #.3...P
    #####P#
"""

import numpy as np
import pytest

from async_envs.overcooked.constants import (
    COUNTER,
    LETTUCE_CODE,
    PLATE_CODE,
    TOMATO_CODE,
)
from tests.async_envs.overcooked.scene import Scene

BY_KNIFE_1, KNIFE_1 = (1, 1), (1, 0)
BY_DELIVERY, DELIVERY = (3, 1), (3, 0)
BY_COUNTER, EMPTY_COUNTER = (1, 2), (0, 2)  # above


def kitchen(**options):
    return Scene(**{"actions": "primitive", "n_agents": 2} | options)


# --- moving ---


def test_lower_index_wins_a_contested_cell():
    scene = kitchen().agent(1, (2, 2)).agent(2, (2, 4)).step("right", "left")
    assert ((2, 3), (2, 4)) == (scene.cell(1), scene.cell(2))


def test_two_agents_swap_with_what_they_carry():
    scene = kitchen().agent(1, (2, 2), "tomato").agent(2, (2, 3), "plate_1").step("right", "left")
    assert ((2, 3), (2, 2)) == (scene.cell(1), scene.cell(2))
    assert ((2, 3), (2, 2)) == (scene.cell("tomato"), scene.cell("plate_1"))


def test_an_agent_follows_a_leader_of_higher_index():
    scene = kitchen().agent(1, (2, 2)).agent(2, (2, 3)).step("right", "right")
    assert ((2, 3), (2, 4)) == (scene.cell(1), scene.cell(2))


def test_a_column_of_three_moves_together():
    scene = kitchen(n_agents=3).agent(1, (2, 2)).agent(2, (2, 3)).agent(3, (2, 4)).step("right", "right", "right")
    assert [(2, 3), (2, 4), (2, 5)] == [scene.cell(i) for i in (1, 2, 3)]


def test_a_waiting_agent_is_overtaken():
    """Agent 1 waits for agent 2 to leave (2,3); agent 3 is taken up after that in the same pass."""
    scene = kitchen(n_agents=3).agent(1, (2, 2)).agent(2, (2, 3)).agent(3, (3, 3)).step("right", "right", "up")
    assert [(2, 2), (2, 4), (2, 3)] == [scene.cell(i) for i in (1, 2, 3)]


def test_no_one_enters_the_cell_of_an_agent_that_stays():
    scene = kitchen().agent(1, (2, 2)).agent(2, (2, 3)).step("right", "stay")
    assert ((2, 2), (2, 3)) == (scene.cell(1), scene.cell(2))


def test_a_closed_agent_bars_the_way():
    """Agent 1 has pushed a counter and will not move in this step any more."""
    scene = kitchen().agent(1, (1, 2)).agent(2, (2, 2)).step("up", "up")
    assert ((1, 2), (2, 2)) == (scene.cell(1), scene.cell(2))


# --- pushing: counters ---


@pytest.mark.parametrize("thing", ["tomato", "plate_1"])
def test_a_thing_is_put_down_and_taken_up(thing):
    scene = kitchen().agent(1, BY_COUNTER, thing).step("up")
    assert (None, EMPTY_COUNTER) == (scene.held(1), scene.cell(thing))
    assert {"tomato": TOMATO_CODE, "plate_1": PLATE_CODE}[thing] == scene.code(EMPTY_COUNTER)
    scene.step("up")
    assert (thing, BY_COUNTER, COUNTER) == (scene.held(1), scene.cell(thing), scene.code(EMPTY_COUNTER))


def test_empty_hands_and_an_empty_counter_do_nothing():
    scene = kitchen().agent(1, BY_COUNTER).step("up")
    assert (None, BY_COUNTER, COUNTER) == (scene.held(1), scene.cell(1), scene.code(EMPTY_COUNTER))


def test_a_chopped_food_goes_into_a_plate_on_the_counter():
    scene = kitchen().agent(1, BY_COUNTER, "tomato").cut("tomato").lay("plate_1", EMPTY_COUNTER).step("up")
    assert (None, {"tomato"}, EMPTY_COUNTER) == (scene.held(1), scene.in_plate(1), scene.cell("tomato"))
    assert PLATE_CODE == scene.code(EMPTY_COUNTER)


def test_a_plate_takes_up_a_chopped_food_from_the_counter():
    scene = kitchen().agent(1, BY_COUNTER, "plate_1").cut("lettuce").lay("lettuce", EMPTY_COUNTER).step("up")
    assert ("plate_1", {"lettuce"}) == (scene.held(1), scene.in_plate(1))
    assert (BY_COUNTER, COUNTER) == (scene.cell("lettuce"), scene.code(EMPTY_COUNTER))
    scene.step("left")
    assert (1, 1) == scene.cell("lettuce") == scene.cell("plate_1")


@pytest.mark.parametrize(
    "held, chopped, there",
    [
        ("tomato", False, "plate_1"),
        ("plate_2", False, "plate_1"),
        ("plate_1", False, "lettuce"),
        ("tomato", True, "lettuce"),
    ],
)
def test_what_does_not_fit_together_stays_as_it_is(held, chopped, there):
    scene = kitchen().agent(1, BY_COUNTER, held).lay(there, EMPTY_COUNTER)
    if chopped:
        scene.cut("tomato", "lettuce")
    before = [array.copy() for array in scene.things]
    scene.step("up")
    for array, old in zip(scene.things, before):
        np.testing.assert_array_equal(array, old)


def test_of_two_agents_reaching_for_one_thing_the_lower_index_gets_it():
    """The other puts down what it holds on the counter that is left."""
    scene = kitchen(variant="C").agent(1, (2, 2)).agent(2, (2, 4), "plate_1").lay("lettuce", (2, 3)).cut("lettuce")
    scene.step("right", "left")
    assert ("lettuce", None) == (scene.held(1), scene.held(2))
    assert (PLATE_CODE, (2, 3)) == (scene.code((2, 3)), scene.cell("plate_1"))


# --- pushing: knives ---


def test_three_cuts_chop_and_a_fourth_push_takes():
    scene = kitchen().agent(1, BY_KNIFE_1, "tomato").step("left")
    assert ("tomato", None, KNIFE_1) == (scene.on_knife(1), scene.held(1), scene.cell("tomato"))
    rewards = []
    for cuts in (1, 2, 3):
        rewards.append(scene.step("left").reward)
        assert cuts == scene.cuts("tomato")
    assert [-0.1, -0.1, 9.9] == rewards
    scene.step("left")
    assert ("tomato", None) == (scene.held(1), scene.on_knife(1))


def test_a_food_outside_the_recipe_is_chopped_without_reward():
    scene = kitchen(task="onion salad").agent(1, BY_KNIFE_1).board(1, "tomato").cut("tomato", times=2).step("left")
    assert (3, -0.1) == (scene.cuts("tomato"), scene.reward)


def test_a_plate_is_put_on_a_knife_and_taken_with_what_is_in_it():
    scene = kitchen().agent(1, BY_KNIFE_1, "plate_2").fill("plate_2", "onion").step("left")
    assert ("plate_2", KNIFE_1) == (scene.on_knife(1), scene.cell("onion"))
    scene.step("left")
    assert ("plate_2", {"onion"}, BY_KNIFE_1) == (scene.held(1), scene.in_plate(2), scene.cell("onion"))


def test_a_plate_takes_up_a_chopped_food_from_a_knife():
    scene = kitchen().agent(1, BY_KNIFE_1, "plate_1").board(1, "tomato").cut("tomato").step("left")
    assert ("plate_1", {"tomato"}, None) == (scene.held(1), scene.in_plate(1), scene.on_knife(1))


def test_a_chopped_food_makes_the_agent_take_the_plate_from_a_knife():
    scene = kitchen().agent(1, BY_KNIFE_1, "tomato").cut("tomato").board(1, "plate_1").step("left")
    assert ("plate_1", {"tomato"}, None) == (scene.held(1), scene.in_plate(1), scene.on_knife(1))
    assert BY_KNIFE_1 == scene.cell("plate_1") == scene.cell("tomato")


@pytest.mark.parametrize(
    "held, lying, cut", [("tomato", "lettuce", ()), ("plate_1", "lettuce", ()), ("plate_1", "plate_2", ()),
                         ("tomato", "plate_1", ()), ("tomato", "lettuce", ("tomato", "lettuce"))]
)  # fmt: skip
def test_a_knife_that_is_taken_refuses_the_rest(held, lying, cut):
    scene = kitchen().agent(1, BY_KNIFE_1, held).board(1, lying).cut(*cut)
    before = [array.copy() for array in scene.things]
    scene.step("left")
    for array, old in zip(scene.things, before):
        np.testing.assert_array_equal(array, old)


def test_empty_hands_and_an_empty_knife_do_nothing():
    assert None is kitchen().agent(1, BY_KNIFE_1).step("left").held(1)


# --- delivery ---


def test_the_right_dish_ends_the_episode():
    scene = kitchen(task=3).agent(1, BY_DELIVERY, "plate_1").fill("plate_1", "tomato", "lettuce").step("left")
    assert (199.9, True, False) == (scene.reward, bool(scene.sim.terminated[0]), bool(scene.sim.truncated[0]))
    assert DELIVERY == scene.cell("plate_1") == scene.cell("tomato")
    assert 1.0 == scene.sim.metrics["battle_won"][0]


def test_others_still_act_in_the_last_step():
    """Q16: agent 2 makes the third cut in the step of the delivery."""
    scene = kitchen(task=1).agent(1, BY_DELIVERY, "plate_1")
    scene.fill("plate_1", "lettuce").agent(2, BY_KNIFE_1).board(1, "onion").cut("onion", times=2).step("left", "left")
    assert (3, True) == (scene.cuts("onion"), bool(scene.sim.terminated[0]))


def test_the_last_step_of_the_limit_may_still_win():
    scene = kitchen(task=1, episode_limit=1).agent(1, BY_DELIVERY, "plate_1").fill("plate_1", "lettuce").step("left")
    assert (True, False) == (bool(scene.sim.terminated[0]), bool(scene.sim.truncated[0]))


@pytest.mark.parametrize(
    "held, foods",
    [
        ("tomato", ()),
        ("plate_1", ()),
        ("plate_2", ("tomato",)),
        ("plate_1", ("tomato", "lettuce", "onion")),
    ],
)
def test_a_wrong_delivery_costs_and_sends_everything_home(held, foods):
    scene = kitchen(task=3)
    homes = {thing: scene.cell(thing) for thing in (held, *foods)}
    scene.agent(1, BY_DELIVERY, held).cut("tomato", times=2)
    scene.fill("plate_1" if held == "tomato" else held, *foods).step("left")
    assert (-5.1, None, False) == (scene.reward, scene.held(1), bool(scene.sim.terminated[0]))
    for thing, home in homes.items():
        assert home == scene.cell(thing)
        assert scene.code(home) not in (COUNTER, 0)
    assert (set(), set()) == (scene.in_plate(1), scene.in_plate(2))
    assert all(0 == scene.cuts(food) for food in (*foods, *(["tomato"] if held == "tomato" else [])))


def test_empty_hands_deliver_nothing():
    assert -0.1 == kitchen().agent(1, BY_DELIVERY).step("left").reward


def test_the_chop_reward_is_paid_again_after_a_wrong_delivery():
    """Q2."""
    scene = kitchen().agent(1, BY_DELIVERY, "tomato").cut("tomato").step("left")
    assert 0 == scene.cuts("tomato")
    scene.agent(1, BY_KNIFE_1).board(1, "tomato").cut("tomato", times=2).step("left")
    assert 9.9 == scene.reward


def test_a_thing_on_a_home_cell_is_hidden_by_what_comes_home():
    """Q1: the lettuce lies on the tomato's home when the tomato returns; it can no longer be taken."""
    scene = kitchen().agent(2, (1, 5)).lay("lettuce", (0, 5))
    scene.agent(1, BY_DELIVERY, "tomato")
    assert LETTUCE_CODE == scene.code((0, 5))
    scene.step("left", "stay")
    assert (TOMATO_CODE, (0, 5), (0, 5)) == (scene.code((0, 5)), scene.cell("tomato"), scene.cell("lettuce"))
    shows = dict(zip(scene.sim.state_names, scene.sim.state[0]))
    assert (1.0, 0.0) == (shows["tomato.lies_open"], shows["lettuce.lies_open"])
    scene.step("stay", "up")
    assert ("tomato", COUNTER, (0, 5)) == (scene.held(2), scene.code((0, 5)), scene.cell("lettuce"))
    scene.step("stay", "up").step("stay", "up")
    assert ("tomato", (0, 5)) == (scene.held(2), scene.cell("lettuce"))  # put down on it and taken again


def test_of_two_plates_on_one_cell_the_first_is_found():
    """Q1: plate 2 hidden under plate 1 comes up when plate 1 was taken and another plate is put there."""
    scene = kitchen().agent(2, (5, 5)).lay("plate_2", (5, 6)).agent(1, BY_DELIVERY, "plate_1").step("left")
    assert (5, 6) == scene.cell("plate_1") == scene.cell("plate_2")
    assert "plate_1" == scene.step("stay", "right").held(2)
    assert COUNTER == scene.code((5, 6))
    scene.step("stay", "right").step("stay", "right")
    assert "plate_1" == scene.held(2)


def test_several_events_of_a_step_add_up():
    scene = kitchen().agent(1, BY_DELIVERY, "plate_1").agent(2, BY_KNIFE_1).board(1, "onion").cut("onion", times=2)
    assert 4.9 == scene.step("left", "left").reward


# --- memory ---


def test_everybody_is_told_everything_at_the_start():
    scene = kitchen(obs_radius=1)
    assert (0.0, pytest.approx(5 / 7)) == (scene.obs(1, "tomato.x"), scene.obs(1, "tomato.y"))


def test_what_is_out_of_sight_is_remembered_where_it_was_seen():
    scene = kitchen(obs_radius=1).agent(1, (2, 1)).agent(2, (4, 3), "tomato").step("stay", "right")
    assert ((4, 4), (4, 3)) == (scene.cell("tomato"), scene.remembered(1, "tomato"))


def test_a_thing_that_is_evidently_gone_is_thought_at_home():
    scene = kitchen(obs_radius=1).agent(1, (2, 2)).agent(2, (4, 4), "tomato").believes(1, "tomato", (2, 3)).step()
    assert (0, 5) == scene.remembered(1, "tomato")


def test_an_agent_is_remembered_at_its_start_even_if_that_is_in_view_and_empty():
    """Q3: a phantom at (1,4), which the first agent looks at."""
    scene = kitchen(obs_radius=1).agent(1, (2, 4)).agent(2, (5, 4)).believes(1, "agent_2", (2, 3)).step()
    assert ((5, 4), (1, 4)) == (scene.cell(2), scene.remembered(1, 2))
    scene.step()
    assert (1, 4) == scene.remembered(1, 2)


def test_the_remembered_cuts_of_an_unseen_food_fade_by_three():
    """Q4: 1, then 1/3, 1/9 … and 1 again when it is seen."""
    scene = kitchen(obs_radius=1).agent(1, (1, 4)).cut("tomato").step()
    assert 1.0 == scene.obs(1, "tomato.chopped")
    values = [scene.step(move).obs(1, "tomato.chopped") for move in ("down", "down", "down")]
    assert [pytest.approx(1 / 3), pytest.approx(1 / 9), pytest.approx(1 / 27)] == values
    for _ in range(100):
        scene.step()
    assert pytest.approx(0.0, abs=1e-30) == scene.obs(1, "tomato.chopped")
    assert 1.0 == scene.step("up").step("up").step("up").obs(1, "tomato.chopped")


def test_with_radius_zero_everybody_sees_everything():
    scene = kitchen(obs_radius=0).agent(1, (5, 1)).agent(2, (4, 4), "tomato").step("stay", "right")
    np.testing.assert_array_equal(scene.sim.obs[0, 0], scene.sim.state[0, : scene.sim.obs_dim])
    np.testing.assert_array_equal(scene.sim.obs[0, 1], scene.sim.obs[0, 0])
