"""The simulator contract, options, and what holds in every situation of random play."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_envs.core.compile import is_compiled
from async_envs.core.conformance import check_simulator
from async_envs.core.simulator import CONTINUE
from async_envs.core.views import AECView, GymnasiumView, ParallelView
from async_envs.overcooked.constants import FIRST_AGENT, FLOOR, NOTHING
from async_envs.overcooked.family import FAMILY
from async_envs.overcooked.simulator import make

KEY = "async:overcooked-A"
# Nothing is random and nobody dies.
NEVER = {"no agent was ever inactive", "episodes of different seeds were all the same"}
RARE = {"no episode was terminated", "every metric was 0 at the end of every episode"}  # in random play
SMALL = ["#LD##", "K1.2P", "K..3P", "#TO##"]


@pytest.fixture
def small(tmp_path):
    """A kitchen in which random play delivers a salad now and then."""
    path = tmp_path / "small.txt"
    path.write_text("\n".join(SMALL))
    return str(path)


def unmeasured():
    return set() if is_compiled() else {"allocation in a step (kernels are not compiled)"}


@pytest.mark.parametrize("variant", FAMILY.variants)
def test_kitchen_keeps_the_contract(variant):
    key = f"async:overcooked-{variant}"
    report = check_simulator(lambda size: make(key, variant, size, episode_limit=40), range(8))
    assert NEVER | RARE | unmeasured() >= set(report.unchecked)


def test_a_kitchen_with_both_kinds_of_end_keeps_the_contract(small):
    """A dish of one food, everything within a few steps."""
    report = check_simulator(lambda size: make(KEY, "A", size, layout=small, task=1, episode_limit=150), range(16))
    assert NEVER | unmeasured() == set(report.unchecked)


@pytest.mark.parametrize("options", [{"actions": "primitive"}, {"masks": "useful"}, {"n_agents": 2}], ids=str)
def test_other_settings_keep_the_contract(options):
    report = check_simulator(lambda size: make(KEY, "A", size, episode_limit=25, **options), range(4))
    alone = {"no agent was ever executing"} if "actions" in options else set()
    assert NEVER | RARE | alone | unmeasured() >= set(report.unchecked)


@pytest.mark.parametrize(
    "variant, options, said",
    [
        ("D", {}, "unknown map 'D'"),
        ("A", {"size": 8}, "option size=8 is not accepted, expected one of 7, 9"),
        ("A", {"n_agents": 4}, "option n_agents=4 is not accepted, expected one of 2, 3"),
        ("A", {"task": 7}, "unknown task '7'"),
        ("A", {"task": "letuce-tomato salad"}, "Did you mean 'lettuce-tomato salad'"),
        ("A", {"task": 1.5}, "unknown task '1.5'"),
        ("A", {"obs_radius": -1}, "option obs_radius=-1 is not accepted"),
        ("A", {"reward_chop": "much"}, "option reward_chop='much' is a str, expected a number"),
        ("A", {"actions": "macros"}, "option actions='macros' is not accepted, expected one of macro, primitive"),
        ("A", {"masks": "all"}, "option masks='all' is not accepted, expected one of upstream, useful"),
        ("A", {"masks": "useful", "actions": "primitive"}, "masks='useful' leaves out macro-actions"),
        ("A", {"episode_limit": 0}, "option episode_limit=0 is not accepted"),
        ("A", {"rewards": 3}, "unknown option 'rewards'. Did you mean 'reward_"),
    ],
)
def test_a_wrong_option_is_one_line(variant, options, said):
    with pytest.raises(ValueError) as caught:
        make(f"async:overcooked-{variant}", variant, **options)
    assert said in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("reward", [float("nan"), float("inf")])
def test_a_reward_is_a_finite_number(reward):
    with pytest.raises(ValueError, match="option reward_step=(nan|inf) is not accepted"):
        make(KEY, "A", reward_step=reward)


@pytest.mark.parametrize("task", [3, "3", "lettuce-tomato", "lettuce-tomato salad"])
def test_a_dish_is_named_by_number_or_name(task):
    assert (3, 0b011) == make(KEY, "A", task=task).world.rules[:2]


def test_a_macro_of_another_mode_is_refused():
    """Seven primitive actions: index 7 is a macro-action only."""
    sim = make(KEY, "A", actions="primitive")
    sim.reset([0])
    with pytest.raises(ValueError, match=r"action 7 \(out of range\) is not available. Available: right, down, left"):
        sim.step(np.full((1, 3), 7))
    sim = make(KEY, "A")
    sim.reset([0])
    with pytest.raises(ValueError, match=r"action 16 \(out of range\) is not available. Available: stay, get-tomato"):
        sim.step(np.full((1, 3), 16))


@given(st.sampled_from(FAMILY.variants), st.sampled_from(["macro", "primitive"]), st.integers(0, 2**32))
def test_invariants_of_random_play(variant, actions, seed):
    """Things are conserved, carried things are with their carriers, nobody shares a cell, shares are scaled."""
    sim = make(f"async:overcooked-{variant}", variant, 4, actions=actions, episode_limit=60)
    rng = np.random.default_rng(seed)
    sim.reset(range(4))
    kitchen, things = sim.world.kitchen, sim.world.things
    while not (sim.terminated | sim.truncated).all():
        sim.step((rng.random(sim.avail_actions.shape) * sim.avail_actions).argmax(-1))
        for b in range(4):
            agents = things.places[b, FIRST_AGENT:]
            assert len(set(agents)) == 3 and (kitchen.bare[agents] == FLOOR).all()
            assert sorted(agents) == np.flatnonzero(things.cells[b] == 2).tolist()
            held = [thing for thing in (*things.hands[b], *things.boards[b]) if thing != NOTHING]
            assert len(held) == len(set(held))  # nothing is in two places
            for i, thing in enumerate(things.hands[b]):
                assert thing == NOTHING or things.places[b, thing] == agents[i]
            for plate, foods in enumerate(things.plates[b]):
                for food in range(3):
                    if foods >> food & 1:
                        assert things.places[b, food] == things.places[b, 3 + plate] and things.cuts[b, food] == 3
            assert things.plates[b, 0] & things.plates[b, 1] == 0
        assert ((things.cuts >= 0) & (things.cuts <= 3)).all()
        assert ((sim.world.plans.strikes >= 0) & (sim.world.plans.strikes <= 2)).all()
        assert (sim.obs >= 0).all() and (sim.obs <= 1).all() and (sim.state >= 0).all() and (sim.state <= 1).all()


@pytest.mark.parametrize("actions", ["macro", "primitive"])
def test_equal_states_have_equal_futures(small, actions):
    """The state is Markov: whatever led to it, the same actions lead to the same reward, ends, availability,
    next state, and the same observation wherever one is made anew.
    """
    sim = make(KEY, "A", 64, layout=small, task=1, n_agents=2, actions=actions, obs_radius=1, episode_limit=200)
    rng = np.random.default_rng(1)
    seen, n_met = {}, 0
    for _ in range(6):
        sim.reset(range(64))
        for _ in range(60):
            before = [row.tobytes() for row in sim.state]
            chosen = (rng.random(sim.avail_actions.shape) * sim.avail_actions).argmax(-1)
            is_running = ~(sim.terminated | sim.truncated)
            if not is_running.any():
                break
            sim.step(chosen)
            for b in np.flatnonzero(is_running):
                is_new = sim.avail_actions[b, :, CONTINUE] == 0
                told = (sim.state[b].tobytes(), sim.reward[b], sim.terminated[b], sim.avail_actions[b].tobytes(),
                        sim.obs[b][is_new].tobytes())  # fmt: skip
                if seen.setdefault((before[b], chosen[b].tobytes()), told) is not told:
                    n_met += 1
                    assert seen[before[b], chosen[b].tobytes()] == told
    assert n_met > 200


def test_views_show_a_kitchen():
    """Played to the end with the first available actions; the AEC view asks deciding cooks only."""
    view = GymnasiumView(make(KEY, "A", episode_limit=12), invalid_actions="replace")
    view.reset(seed=1)
    *_, truncated, info = [view.step(view.action_space.sample(view.action_masks())) for _ in range(12)][-1]
    assert truncated and {"battle_won", "chops", "wrong_deliveries", "episode_limit"} <= set(info)

    parallel = ParallelView(make(KEY, "A", episode_limit=12))
    observations, _ = parallel.reset(seed=1)
    while parallel.agents:
        chosen = {agent: int(seen["action_mask"].argmax()) for agent, seen in observations.items()}
        observations, *_ = parallel.step(chosen)

    aec = AECView(make(KEY, "A", episode_limit=30))
    aec.reset(seed=1)
    n_turns = 0
    for _ in aec.agent_iter():
        observation, _, terminated, truncated, _ = aec.last()
        over = terminated or truncated
        mask = None if over else observation["action_mask"]
        aec.step(None if over else int(np.flatnonzero(mask)[-1 if n_turns % 2 else 1]))
        assert over or mask[CONTINUE] == 0
        n_turns += 1
    assert n_turns > 30
