"""Macro-actions: what they do in a step and when they end, line by line, and the original's quirks.

    7x7 A      7x7 B
    #####T#    #####T#
    K.1.2.L    K.1#2.L     cells are (row, column); knife 1 (1,0), knife 2 (2,0), delivery (3,0)
    K.....O    K..#..O
    D.....#    D..#..#
    #.....#    #..#..#
    #.3...P    #.3#..P
    #####P#    #####P#
"""

import numpy as np
import pytest

from tests.async_envs.overcooked.scene import Scene

BY_KNIFE_1, BY_KNIFE_2, BY_DELIVERY = (1, 1), (2, 1), (3, 1)
FAR = (5, 5)  # a place for the second agent
STAY = 2  # the action's index


def kitchen(variant="A", **options):
    return Scene(variant, **{"n_agents": 2} | options)


def lasts(scene, macro, most=20):
    """Steps that agent 1 needs for the macro; the others stay."""
    for n in range(1, most + 1):
        scene.step(macro)
        if not scene.is_executing(1):
            return n
    return None


# --- single steps ---


def test_stay_lasts_one_step():
    assert 1 == lasts(kitchen().agent(1, (3, 3)), "stay")


@pytest.mark.parametrize("move, there", [("right", (3, 4)), ("down", (4, 3)), ("left", (3, 2)), ("up", (2, 3))])
def test_a_move_lasts_one_step(move, there):
    scene = kitchen().agent(1, (3, 3))
    assert (1, there) == (lasts(scene, move), scene.cell(1))


@pytest.mark.parametrize("cell, move", [((1, 1), "left"), ((1, 5), "up"), ((3, 1), "left"), ((1, 2), "up")])
def test_a_move_macro_never_pushes(cell, move):
    """Against knife, tomato, delivery and counter it stays."""
    scene = kitchen().agent(1, cell).step(move)
    assert ("stay", cell, None) == (scene.move_made(1), scene.cell(1), scene.held(1))


def test_a_move_macro_refuses_an_agent_and_a_phantom():
    scene = kitchen(obs_radius=1).agent(1, (3, 3)).agent(2, (3, 4)).step("right")
    assert "stay" == scene.move_made(1)
    scene = kitchen(obs_radius=1).agent(1, (2, 4)).agent(2, FAR).believes(1, "agent_2", (1, 4)).step("up")
    assert ("stay", (2, 4)) == (scene.move_made(1), scene.cell(1))  # Q3: nobody is at (1,4)


def test_an_action_given_to_an_executing_agent_is_refused():
    scene = kitchen().agent(1, (5, 1)).step("get-tomato")
    actions = np.array([[scene.sim.action_names.index(name) for name in ("stay", "stay")]])
    with pytest.raises(ValueError, match="agent 0: action 2 'stay' is not available while executing 'get-tomato'"):
        scene.sim.step(actions)


# --- chop ---


def test_chop_takes_three_strikes_and_pays_with_the_last():
    scene = kitchen().agent(1, BY_KNIFE_1).board(1, "tomato")
    rewards = [scene.step("chop").reward for _ in range(3)]
    assert [-0.1, -0.1, 9.9] == rewards and not scene.is_executing(1)


def test_chop_without_an_unchopped_food_beside_ends_at_once():
    assert 1 == lasts(kitchen().agent(1, BY_KNIFE_1), "chop")
    assert 1 == lasts(kitchen().agent(1, BY_KNIFE_1).board(1, "tomato").cut("tomato"), "chop")
    assert 1 == lasts(kitchen().agent(1, (2, 2)).board(2, "tomato"), "chop")


def test_chop_does_not_look_at_the_hands():
    """Q9: three useless strikes."""
    scene = kitchen().agent(1, BY_KNIFE_1, "plate_1").board(1, "tomato")
    assert (3, 0) == (lasts(scene, "chop"), scene.cuts("tomato"))


def test_strikes_are_kept_when_a_chop_ends_early():
    """Q7: after two strikes somebody else makes the last cut; the next chop needs one strike only."""
    scene = kitchen().agent(1, BY_KNIFE_1).board(1, "tomato").step("chop").step("chop")
    scene.cut("tomato").step("chop")
    assert (False, "stay") == (scene.is_executing(1), scene.move_made(1))
    scene.agent(1, BY_KNIFE_2).board(2, "onion")
    assert (1, 1) == (lasts(scene, "chop"), scene.cuts("onion"))


# --- get a food ---


def test_get_food_ends_with_the_push():
    """(3,5) to beside the onion's (2,6) is one step, the push another."""
    scene = kitchen().agent(1, (3, 5))
    assert (2, "onion") == (lasts(scene, "get-onion"), scene.held(1))


def test_get_food_that_is_in_a_plate_in_view_ends_at_once():
    scene = kitchen().agent(1, (4, 5)).fill("plate_1", "tomato")
    assert (1, "stay") == (lasts(scene, "get-tomato"), scene.move_made(1))
    scene = kitchen().agent(1, (3, 3), "plate_1").fill("plate_1", "tomato")
    assert (1, "stay") == (lasts(scene, "get-tomato"), scene.move_made(1))


def test_get_food_that_is_in_a_plate_out_of_view_goes_on():
    scene = kitchen(obs_radius=1).agent(1, (1, 1)).fill("plate_1", "tomato").step("get-tomato")
    assert scene.is_executing(1)


def test_get_what_somebody_in_view_carries_ends_at_once():
    scene = kitchen().agent(1, (3, 3)).agent(2, (3, 4), "tomato")
    assert (1, "stay") == (lasts(scene, "get-tomato"), scene.move_made(1))
    scene = kitchen().agent(1, (3, 3), "tomato")
    assert (1, "stay") == (lasts(scene, "get-tomato"), scene.move_made(1))


def test_get_food_ends_on_arrival_beside_a_knife_with_it_unchopped():
    scene = kitchen().agent(1, (1, 3)).board(1, "tomato")
    assert (2, BY_KNIFE_1, 0) == (lasts(scene, "get-tomato"), scene.cell(1), scene.cuts("tomato"))
    assert (1, "stay") == (lasts(scene, "get-tomato"), scene.move_made(1))
    assert 0 == scene.cuts("tomato")


def test_get_chopped_food_from_a_knife_takes_it():
    scene = kitchen().agent(1, (1, 2)).board(1, "tomato").cut("tomato")
    assert (2, "tomato") == (lasts(scene, "get-tomato"), scene.held(1))


def test_get_food_with_a_plate_in_hand_merges():
    scene = kitchen().agent(1, (1, 5), "plate_1").cut("tomato")
    assert (1, {"tomato"}) == (lasts(scene, "get-tomato"), scene.in_plate(1))


def test_get_ends_after_one_step_on_a_wrong_memory_out_of_view():
    """Q5: the memory differs from the truth after the step too, so the agent learns that it is wrong."""
    scene = kitchen().agent(1, (5, 1)).agent(2, FAR, "tomato").believes(1, "tomato", (0, 5)).step("get-tomato")
    assert not scene.is_executing(1)
    assert scene.cell(1) in ((4, 1), (5, 2))  # one step towards (0,5)


def test_get_goes_on_if_the_step_brings_the_thing_into_view():
    """Q5: believed at home (0,5), in truth at (6,3), seen from (4,1) on."""
    scene = kitchen().agent(1, (3, 1)).agent(2, FAR).lay("tomato", (6, 3))
    scene.believes(1, "tomato", (6, 1)).step("get-tomato")
    assert (True, (4, 1), (6, 3)) == (scene.is_executing(1), scene.cell(1), scene.remembered(1, "tomato"))


def test_get_beside_a_wrongly_remembered_place_stays_and_ends():
    scene = kitchen(obs_radius=1).agent(1, (1, 5)).agent(2, (4, 2), "tomato").believes(1, "tomato", (0, 5))
    assert (1, "stay") == (lasts(scene, "get-tomato"), scene.move_made(1))


def test_get_what_no_way_leads_to_ends_at_once():
    scene = kitchen("B").agent(1, (1, 1))
    assert (1, "stay") == (lasts(scene, "get-tomato"), scene.move_made(1))


# --- get a plate ---


def test_get_plate_ends_with_the_push():
    scene = kitchen().agent(1, (4, 5))
    assert (2, "plate_1") == (lasts(scene, "get-plate-1"), scene.held(1))


def test_get_plate_with_a_chopped_food_fills_it_and_then_takes_it():
    """Q11."""
    scene = kitchen().agent(1, (5, 5), "tomato").cut("tomato").step("get-plate-1")
    assert (True, None, {"tomato"}) == (scene.is_executing(1), scene.held(1), scene.in_plate(1))
    scene.step()
    assert (False, "plate_1") == (scene.is_executing(1), scene.held(1))


def test_get_plate_with_a_chopped_food_from_a_knife_costs_one_stay():
    """Q11."""
    scene = kitchen().agent(1, BY_KNIFE_1, "tomato").cut("tomato").board(1, "plate_1").step("get-plate-1")
    assert (True, "plate_1") == (scene.is_executing(1), scene.held(1))
    scene.step()
    assert (False, "stay") == (scene.is_executing(1), scene.move_made(1))


def test_get_plate_with_an_unchopped_food_stays_when_it_is_there():
    scene = kitchen().agent(1, (5, 5), "tomato")
    assert (1, "stay", "tomato") == (lasts(scene, "get-plate-1"), scene.move_made(1), scene.held(1))


# --- go to a knife, deliver ---


def test_go_to_knife_with_hands_full_ends_with_the_push():
    scene = kitchen().agent(1, (1, 2), "tomato")
    assert (2, "tomato") == (lasts(scene, "go-to-knife-1"), scene.on_knife(1))
    scene = kitchen().agent(1, BY_KNIFE_1, "tomato").board(1, "onion")
    assert (1, "left", "tomato") == (lasts(scene, "go-to-knife-1"), scene.move_made(1), scene.held(1))


def test_go_to_knife_with_empty_hands_ends_on_arrival():
    scene = kitchen().agent(1, (1, 3)).board(1, "onion")
    assert (2, BY_KNIFE_1, 0) == (lasts(scene, "go-to-knife-1"), scene.cell(1), scene.cuts("onion"))
    assert (1, "stay", 0) == (lasts(scene, "go-to-knife-1"), scene.move_made(1), scene.cuts("onion"))


def test_deliver_with_hands_full_ends_with_the_push():
    scene = kitchen().agent(1, (3, 2), "tomato")
    assert (2, -5.1, None) == (lasts(scene, "deliver"), scene.reward, scene.held(1))


def test_deliver_with_empty_hands_ends_on_arrival_or_with_one_push():
    scene = kitchen().agent(1, (3, 2))
    assert (1, BY_DELIVERY) == (lasts(scene, "deliver"), scene.cell(1))
    assert (1, "left", -0.1) == (lasts(scene, "deliver"), scene.move_made(1), scene.reward)


def test_side_step_of_deliver():
    """Q10: at (1,1), somebody at (2,1): to the right, with any hands."""
    scene = kitchen().agent(1, (1, 1)).agent(2, (2, 1)).step("deliver")
    assert ("right", True, (1, 2)) == (scene.move_made(1), scene.is_executing(1), scene.cell(1))


def test_side_step_towards_knife_1():
    """Q10: at (3,1), somebody at (2,1); also for a thing on knife 1."""
    scene = kitchen().agent(1, (3, 1)).agent(2, (2, 1)).step("go-to-knife-1")
    assert ("right", True, (3, 2)) == (scene.move_made(1), scene.is_executing(1), scene.cell(1))
    scene = kitchen().agent(1, (3, 1)).agent(2, (2, 1)).board(1, "onion").step("get-onion")
    assert ("right", True) == (scene.move_made(1), scene.is_executing(1))
    scene = kitchen().agent(1, (3, 1)).agent(2, (2, 1)).step("go-to-knife-2")
    assert ("up", (3, 1)) == (scene.move_made(1), scene.cell(1))


def test_a_blocked_macro_goes_on_until_the_way_is_free():
    """Q14: the one cell in front of knife 1 is taken."""
    scene = kitchen(n_agents=2).agent(1, (1, 3), "tomato").agent(2, BY_KNIFE_1)
    for _ in range(30):
        scene.step("go-to-knife-1")
        assert scene.is_executing(1)
    scene.step(None, "down").step().step()
    assert ("tomato", False) == (scene.on_knife(1), scene.is_executing(1))


# --- go to counter ---


def test_go_to_counter_ends_with_the_push_that_puts_down():
    """From (4,2) the middle (3,3) is the first: one step up, one push."""
    scene = kitchen("B").agent(1, (4, 2), "tomato")
    assert (2, (3, 3)) == (lasts(scene, "go-to-counter"), scene.cell("tomato"))


def test_go_to_counter_takes_the_counters_in_the_originals_order():
    scene = kitchen("B", obs_radius=0)
    for row, thing in ((3, "tomato"), (2, "lettuce"), (4, "onion"), (1, "plate_1"), (5, "plate_2")):
        scene.agent(1, (3, 2), thing)
        lasts(scene, "go-to-counter")
        assert (row, 3) == scene.cell(thing)
    assert (1, "stay") == (lasts(scene, "go-to-counter"), scene.move_made(1))


def test_go_to_counter_with_empty_hands_ends_a_step_after_arrival():
    """Q6: a push without effect."""
    scene = kitchen("B").agent(1, (3, 1))
    assert (2, "right", (3, 2)) == (lasts(scene, "go-to-counter"), scene.move_made(1), scene.cell(1))


def test_only_kitchens_with_middle_counters_have_the_macro():
    assert "go-to-counter" not in kitchen("A").sim.action_names
    assert "go-to-counter" in kitchen("B").sim.action_names and "go-to-counter" in kitchen("C").sim.action_names


# --- what a call returns ---


def test_an_observation_is_frozen_while_the_macro_runs():
    scene = kitchen(obs_radius=1).agent(1, (5, 1)).step("stay")
    before = scene.sim.obs[0, 0].copy()
    n_frozen = 0
    scene.step("get-onion")
    while scene.is_executing(1):
        np.testing.assert_array_equal(before, scene.sim.obs[0, 0])
        scene.step()
        n_frozen += 1
    assert n_frozen > 2
    assert (pytest.approx(2 / 7), pytest.approx(5 / 7)) == (scene.obs(1, "agent_1.x"), scene.obs(1, "agent_1.y"))


def test_a_macro_observation_holds_no_memory():
    scene = kitchen(obs_radius=1).agent(1, (3, 3)).step("stay")
    assert (0.0, 0.0) == (scene.obs(1, "tomato.x"), scene.obs(1, "tomato.y"))
    assert (0, 5) == scene.remembered(1, "tomato")


def test_a_truncated_episode_keeps_its_true_status():
    """Q8: the macro runs on, as it would if the episode did."""
    scene = kitchen(episode_limit=2).agent(1, (5, 1)).step("get-tomato").step()
    assert (True, True) == (bool(scene.sim.truncated[0]), scene.is_executing(1))


# --- masks ---


def test_upstream_masks_offer_everything():
    scene = kitchen("B")
    assert set(scene.sim.action_names[2:]) == scene.can(1) == scene.can(2)


def test_useful_masks_leave_out_what_ends_at_once_without_effect():
    """By knife 1 on map B, empty-handed, nothing on the knives: all foods and plates are beyond the wall."""
    scene = kitchen("B", masks="useful").agent(1, BY_KNIFE_1).step("stay")
    assert {"stay", "go-to-knife-2", "deliver", "go-to-counter", "right", "down"} == scene.can(1)


def test_useful_masks_leave_out_an_empty_handed_push_against_the_delivery():
    scene = kitchen(masks="useful").agent(1, BY_DELIVERY).step("stay")
    assert "deliver" not in scene.can(1)
    scene = kitchen(masks="useful").agent(1, BY_DELIVERY, "tomato").step("stay")
    assert "deliver" in scene.can(1)


@pytest.mark.parametrize("variant", "ABC")
def test_what_useful_masks_leave_out_changes_nothing_but_the_clock(variant):
    """In random play, a left-out macro and a stay lead to the same situation."""
    useful, other = (Scene(variant, masks="useful") for _ in range(2))
    rng = np.random.default_rng(3)
    n_left_out = 0
    for _ in range(150):
        if useful.sim.truncated[0] or useful.sim.terminated[0]:
            useful.sim.reset([0])
        avail = useful.sim.avail_actions[0]
        for i in np.flatnonzero(avail[:, 1] == 0):
            for action in np.flatnonzero(avail[i, 2:] == 0) + 2:
                n_left_out += 1
                seed = int(rng.integers(2**31))
                outcomes = [after(useful, other, i, chosen, seed) for chosen in (action, STAY)]
                for name, found in outcomes[0].items():
                    np.testing.assert_array_equal(found, outcomes[1][name], err_msg=name)
        useful.sim.step(random_actions(avail, rng)[None])
    assert n_left_out > 300


def after(scene, other, i, action, seed):
    """What holds when agent `i` has done `action` and the others something random of their own (same seed)."""
    for group, copy in zip(scene.sim.world[2:5], other.sim.world[2:5]):
        for array, twin in zip(group, copy):
            twin[:] = array
    for array, twin in zip(scene.sim.world.out, other.sim.world.out):
        twin[:] = array
    actions = random_actions(scene.sim.avail_actions[0], np.random.default_rng(seed))
    actions[i] = action
    other.sim.avail_actions[0, i, action] = 1
    other.sim.step(actions[None])
    told = {"state": other.sim.state[0], "obs": other.sim.obs[0], "avail": other.sim.avail_actions[0]}
    return {name: values.copy() for name, values in told.items()} | {"reward": other.sim.reward.copy()}


def random_actions(avail, rng):
    return (rng.random(avail.shape) * avail).argmax(-1)
