"""The simulator contract, options, views, and what is said about wrong ones."""

import numpy as np
import pytest

from async_envs.core.compile import is_compiled
from async_envs.core.conformance import check_simulator
from async_envs.core.simulator import CONTINUE
from async_envs.core.views import AECView, GymnasiumView, ParallelView
from async_envs.smac.family import FAMILY
from async_envs.smac.maps import map_names
from async_envs.smac.simulator import make

KEY = "async:smac-3m"
NO_CHANCE = "episodes of different seeds were all the same"
RARE = {
    NO_CHANCE, "no episode was terminated", "no episode was truncated",
    "every metric was 0 at the end of every episode",
}  # fmt: skip


def unmeasured():
    return set() if is_compiled() else {"allocation in a step (kernels are not compiled)"}


def test_a_battle_keeps_the_contract():
    """Both kinds of end, dead and busy agents are seen."""
    report = check_simulator(lambda size: make(KEY, "3m", size, episode_limit=34), range(8))
    assert {NO_CHANCE} | unmeasured() == set(report.unchecked)


def test_a_battle_with_chance_keeps_the_contract():
    """With jitter, seeds matter; missiles fly."""
    options = {"spawn_jitter": 0.3, "cooldown_jitter": True, "projectiles": True, "async_features": True}
    report = check_simulator(lambda size: make(KEY, "3m", size, episode_limit=20, **options), range(4))
    assert RARE - {NO_CHANCE} | unmeasured() >= set(report.unchecked)


@pytest.mark.parametrize("variant", ["2s_vs_1sc", "2s3z", pytest.param("MMM2", marks=pytest.mark.slow)])
def test_other_maps_keep_the_contract(variant):
    report = check_simulator(lambda size: make(f"async:smac-{variant}", variant, size, episode_limit=8), range(3))
    assert RARE | {"no agent was ever inactive"} | unmeasured() >= set(report.unchecked)


def test_every_map_has_a_key():
    assert sorted(FAMILY.variants) == sorted(map_names())


@pytest.mark.parametrize("variant", FAMILY.variants)
def test_every_map_can_be_played(variant):
    sim = make(f"async:smac-{variant}", variant, 2)
    sim.reset([1, 2])
    for _ in range(2):
        sim.step(sim.avail_actions.argmax(-1))
    assert np.isfinite(sim.obs).all() and np.isfinite(sim.state).all()


@pytest.mark.parametrize(
    "variant, options, said",
    [
        ("3s6z", {}, "unknown map '3s6z'. Did you mean"),
        ("3m", {"durations": "1,2"}, "durations has 2 numbers for 3 agents. Give one for each agent."),
        ("3m", {"durations": [1, 0, 1]}, "option durations=[1, 0, 1] is not accepted, expected one of index_mod3"),
        ("3m", {"durations": "often"}, "option durations='often' is not accepted"),
        ("3m", {"durations": 2}, "durations has 1 numbers for 3 agents. Give one for each agent."),
        ("3m", {"durations": "1,2,x"}, "option durations='1,2,x' is not accepted"),
        ("3m", {"durations": [1, 2, 101]}, "is not accepted"),
        ("3m", {"mode": "held"}, "option mode='held' is not accepted, expected one of hold, scaled"),
        ("3m", {"on_block": "stop"}, "expected one of wait, cancel"),
        ("3m", {"last_action": "none"}, "expected one of executed, submitted"),
        ("3m", {"profile": "sc2"}, "expected one of map, melee410, smaclite"),
        ("3m", {"difficulty": "10"}, "option difficulty='10' is not accepted, expected one of 1, 2"),
        ("3m", {"backend": "starcraft"}, "expected one of native, sc2, smaclite"),
        ("3m", {"sight": 0}, "option sight=0.0 is not accepted"),
        ("3m", {"spawn_jitter": 5}, "option spawn_jitter=5.0 is not accepted"),
        ("3m", {"reward_scale_rate": 0}, "option reward_scale_rate=0.0 is not accepted"),
        ("3m", {"reward_win": float("nan")}, "option reward_win=nan is not accepted"),
        ("3m", {"episode_limit": 0}, "option episode_limit=0 is not accepted"),
        ("3m", {"map_file": "nowhere.toml"}, "map_file nowhere.toml: the map cannot be read"),
        ("3m", {"reward_scael": True}, "unknown option 'reward_scael'. Did you mean 'reward_scale'"),
        ("3m", {"smac_compat": 1}, "option smac_compat=1 is a int, expected True or False"),
    ],
)
def test_a_wrong_option_is_one_line(variant, options, said):
    with pytest.raises(ValueError) as caught:
        make(f"async:smac-{variant}", variant, **options)
    assert said in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("given", [7, "7", "A", 1])
def test_difficulties_are_accepted_as_words_and_numbers(given):
    assert make(KEY, "3m", difficulty=given).n_agents == 3


def test_views_show_a_battle():
    """Played to the end with random available actions; the AEC view asks deciding agents only."""
    view = GymnasiumView(make(KEY, "3m", episode_limit=12), invalid_actions="replace")
    view.reset(seed=1)
    *_, truncated, info = [view.step(view.action_space.sample(view.action_masks())) for _ in range(12)][-1]
    assert truncated and {"battle_won", "dead_allies", "dead_enemies", "episode_limit"} <= set(info)

    parallel = ParallelView(make(KEY, "3m", episode_limit=12))
    observations, _ = parallel.reset(seed=1)
    while parallel.agents:
        chosen = {agent: int(seen["action_mask"].argmax()) for agent, seen in observations.items()}
        observations, *_ = parallel.step(chosen)

    aec = AECView(make(KEY, "3m", episode_limit=12))
    aec.reset(seed=1)
    n_turns = 0
    for _ in aec.agent_iter():
        observation, _, terminated, truncated, _ = aec.last()
        over = terminated or truncated
        mask = None if over else observation["action_mask"]
        aec.step(None if over else int(np.flatnonzero(mask)[1]))
        assert over or mask[CONTINUE] == 0
        n_turns += not over
    assert n_turns < 12 * 3  # moves of two and three steps leave turns out
