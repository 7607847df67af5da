"""The views: their ecosystems' own checkers, and what those do not see."""

import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from hypothesis import given
from hypothesis import strategies as st
from pettingzoo.test import api_test, parallel_api_test, parallel_seed_test, seed_test

from async_envs.core.seeding import TRAIN, episode_seed
from async_envs.core.views import AECView, GymnasiumView, ParallelView
from tests import toy

KEY = "async:toy-3"
VIEWS = (GymnasiumView, ParallelView, AECView)
# PettingZoo's checker says these of every environment with dictionary observations, but for its own games
OF_DICTIONARIES = (
    "Observation space for each agent probably should be gymnasium.spaces.box or gymnasium.spaces.discrete",
    "Observation is not a NumPy array",
)


def mine(**options):
    return toy.make(KEY, "3", 1, **options)


@pytest.fixture(autouse=True)
def warnings_are_errors():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def make_gymnasium_view(render_mode=None):
    return GymnasiumView(mine(), invalid_actions="replace", render_mode=render_mode)


def test_gymnasium_view_passes_its_checker():
    """Made through gymnasium.make, so that the checker tries the render modes too."""
    gymnasium.register("async_envs_tests/Toy-v0", entry_point=make_gymnasium_view)
    try:
        for mode in (None, "ansi"):
            check_env(gymnasium.make("async_envs_tests/Toy-v0", render_mode=mode).unwrapped)
    finally:
        del gymnasium.registry["async_envs_tests/Toy-v0"]


def test_parallel_view_passes_its_checkers():
    parallel_api_test(ParallelView(mine()))
    parallel_seed_test(lambda: ParallelView(mine(), invalid_actions="replace"))  # samples without masks


def test_aec_view_passes_its_checkers():
    for line in OF_DICTIONARIES:
        warnings.filterwarnings("ignore", message=line)
    api_test(AECView(mine()))
    seed_test(lambda: AECView(mine()))


def play_gymnasium(view, seed):
    rewards, rng = [], np.random.default_rng(seed)
    view.reset(seed=seed)
    while True:
        actions = [int(rng.choice(np.flatnonzero(mask))) for mask in view.action_masks()]
        obs, reward, terminated, truncated, info = view.step(actions)
        rewards.append(reward)
        if terminated or truncated:
            return obs, rewards, terminated, truncated, info


@pytest.mark.parametrize("seed", range(5))
def test_gymnasium_view_shows_the_simulator(seed):
    simulator, rng = mine(), np.random.default_rng(seed)
    simulator.reset([seed])
    rewards = []
    while not (simulator.terminated[0] or simulator.truncated[0]):
        actions = [int(rng.choice(np.flatnonzero(row))) for row in simulator.avail_actions[0]]
        simulator.step([actions])
        rewards.append(float(simulator.reward[0]))
    obs, found, terminated, truncated, info = play_gymnasium(GymnasiumView(mine()), seed)
    assert found == rewards
    assert (terminated, truncated) == (simulator.terminated[0], simulator.truncated[0])
    np.testing.assert_array_equal(obs, simulator.obs[0])
    for name, values in simulator.metrics.items():
        assert info[name] == values[0]


def test_gymnasium_info_holds_numbers_only():
    """EPyMARL's runners sum every value of it."""
    view = GymnasiumView(mine(episode_limit=2, deadly=False, goal=9.0), "replace")
    view.reset(seed=1)
    assert view.step([0, 4, 9])[4] == {"invalid_actions": 2}
    info = view.step([2, 1, 2])[4]
    assert info == {
        "invalid_actions": 0, "battle_won": 0.0, "gold": 0.25, "n_dead": 0.0, "episode_limit": True
    }  # fmt: skip


def test_replaced_action_is_the_lowest_available():
    """Deciding agents wait, executing ones continue."""
    view = GymnasiumView(mine(), "replace")
    view.reset(seed=1)
    view.step([0, 4, 99])
    assert view.simulator.miners.busy.tolist() == [[0, 1, 0]]
    view.step([-1, 3, 2])
    assert view.simulator.miners.gold[0] == 0.25  # carried to the end


def test_gymma_finds_what_it_asks_for():
    """n_agents, spaces that can be walked, and no state_size or seed, which it would take for its own."""
    view = GymnasiumView(mine())
    assert view.n_agents == 3
    assert [space.n for space in view.action_space] == [5, 5, 5]
    assert [space.shape for space in view.observation_space] == [(6,), (6,), (6,)]
    assert not hasattr(view, "state_size") and not hasattr(view, "seed")


@pytest.mark.parametrize(
    "actions, kind, line",
    [
        ([2, 2], ValueError, "2 actions were given for 3 agents"),
        ([2, 2, 1], ValueError, "episode 0, agent 2: action 1 'continue' is not available. Available: wait"),
        ([2, 2, 7], ValueError, r"episode 0, agent 2: action 7 \(out of range\) is not available"),
        ([2, 2.5, 2], TypeError, "agent 1: action 2.5 is a float, expected a whole number"),
    ],
)
def test_gymnasium_view_refuses_bad_actions_and_nothing_moves(actions, kind, line):
    view = GymnasiumView(mine())
    view.reset(seed=1)
    with pytest.raises(kind, match=f"async:toy-3: {line}"):
        view.step(actions)
    assert view.simulator.t[0] == 0


def test_parallel_view_needs_no_action_of_who_has_no_choice():
    view = ParallelView(mine())
    view.reset(seed=1)
    view.step({"agent_0": 4, "agent_1": 2, "agent_2": 2})
    view.step({"agent_1": 2, "agent_2": 2})
    assert view.simulator.miners.gold[0] == 0.25


@pytest.mark.parametrize(
    "actions, line",
    [
        ({"agent_0": 2, "agent_1": 2}, "no action was given for agent_2, which has to decide"),
        ({"agent_0": 2, "agent_1": 2, "agent_9": 2}, "unknown agent 'agent_9'"),
        ({"agent_0": 2, "agent_1": 2, "agent_2": 0}, "action 0 'noop' is not available"),
    ],
)
def test_parallel_view_refuses_bad_actions_and_nothing_moves(actions, line):
    view = ParallelView(mine())
    view.reset(seed=1)
    with pytest.raises(ValueError, match=f"async:toy-3: .*{line}"):
        view.step(actions)
    assert view.simulator.t[0] == 0


def test_aec_view_refuses_a_bad_action_and_nothing_moves():
    view = AECView(mine())
    view.reset(seed=1)
    view.step(2)
    with pytest.raises(ValueError, match="episode 0, agent 1: action 1 'continue' is not available"):
        view.step(1)
    assert view.agent_selection == "agent_1" and view.simulator.t[0] == 0


def test_only_deciding_agents_get_a_turn():
    """agent_0 carries for two steps: the others have two turns before its next."""
    view = AECView(mine(deadly=False))
    view.reset(seed=1)
    turns = []
    for action in (4, 2, 2, 2, 2, 2):
        turns.append(view.agent_selection)
        view.step(action)
    assert turns == ["agent_0", "agent_1", "agent_2", "agent_1", "agent_2", "agent_0"]
    assert view.last()[1] == 0.25  # agent_1, who has not acted since the gold came up


def test_simulator_steps_on_while_nobody_decides():
    """All three carry: one turn each, and two steps have passed."""
    view = AECView(mine(goal=9.0))
    view.reset(seed=1)
    for _ in range(3):
        view.step(4)
    assert view.simulator.t[0] == 2
    assert (view.agent_selection, view.last()[1]) == ("agent_0", 0.75)


@given(seed=st.integers(0, 2**64 - 1))
def test_no_reward_is_lost_or_paid_twice(seed):
    """What `last` hands each agent over its turns is the return of the episode."""
    view, rng = AECView(mine()), np.random.default_rng(0)
    steps, step = [], view.simulator.step

    def counted(actions):
        step(actions)
        steps.append(float(view.simulator.reward[0]))

    view.simulator.step = counted
    view.reset(seed=seed)
    received = dict.fromkeys(view.possible_agents, 0.0)
    for agent in view.agent_iter():
        observed, reward, terminated, truncated, info = view.last()
        received[agent] += reward
        is_over = terminated or truncated
        if is_over:
            assert info["gold"] == pytest.approx(sum(steps))
        else:
            assert observed["action_mask"][2:].any()
        view.step(None if is_over else int(rng.choice(np.flatnonzero(observed["action_mask"]))))
    assert received == {agent: pytest.approx(sum(steps)) for agent in view.possible_agents}


@pytest.mark.parametrize("make_view", VIEWS)
def test_mask_and_observation_are_copies(make_view):
    view = make_view(mine())
    view.reset(seed=1)
    before = view.simulator.obs.copy(), view.simulator.state.copy(), view.simulator.avail_actions.copy()
    if make_view is GymnasiumView:
        view.action_masks()[0][:] = 9
        view.reset(seed=1)[0][0][:] = 9
    else:
        assert set(view.observe("agent_0")) == {"observation", "action_mask"}
        view.observe("agent_0")["action_mask"][:] = 9
        view.observe("agent_0")["observation"][:] = 9
    view.state()[:] = 9
    np.testing.assert_array_equal(before[0], view.simulator.obs)
    np.testing.assert_array_equal(before[1], view.simulator.state)
    np.testing.assert_array_equal(before[2], view.simulator.avail_actions)


@pytest.mark.parametrize("make_view", VIEWS)
def test_seeds_number_the_episodes(make_view):
    """A seed is the episode's own; later episodes are numbered from it."""
    view, simulator = make_view(mine()), mine()
    for seed in (7, None, None):
        view.reset(seed=seed)
    simulator.reset([episode_seed(7, TRAIN, 2)])
    np.testing.assert_array_equal(simulator.state, [view.state()])
    view.reset(seed=7)
    simulator.reset([7])
    np.testing.assert_array_equal(simulator.state, [view.state()])


@pytest.mark.parametrize("make_view", VIEWS)
def test_views_without_a_seed_start_anywhere(make_view):
    states = []
    for _ in range(2):
        view = make_view(mine())
        view.reset()
        states.append(view.state())
    assert not np.array_equal(*states)


@pytest.mark.parametrize("make_view", VIEWS)
@pytest.mark.parametrize(
    "batch_size, options, line",
    [
        (2, {}, "a view shows one episode, batch_size=2 is not accepted. Use batch_size=1."),
        (1, {"invalid_actions": "replce"}, "unknown value of invalid_actions 'replce'. Did you mean 'rep"),
        (1, {"render_mode": "human"}, "unknown render_mode 'human'. Known: ansi."),
    ],
)
def test_view_refuses_bad_arguments(make_view, batch_size, options, line):
    with pytest.raises(ValueError, match=f"async:toy-3: {line}"):
        make_view(toy.make(KEY, "3", batch_size), **options)


@pytest.mark.parametrize("make_view", VIEWS)
def test_view_refuses_steps_before_and_after_the_game(make_view):
    simulator = mine(episode_limit=1)
    view = make_view(simulator)
    moves = {
        GymnasiumView: [[2, 2, 2]],
        ParallelView: [{"agent_0": 2, "agent_1": 2, "agent_2": 2}],
        AECView: [2, 2, 2, None, None, None],
    }[make_view]
    with pytest.raises(ValueError, match="async:toy-3: step was called before reset"):
        view.step(moves[0])
    view.reset(seed=1)
    for move in moves:
        view.step(move)
    with pytest.raises(ValueError, match="async:toy-3: every episode is over"):
        view.step(moves[0])


@pytest.mark.parametrize("make_view", VIEWS)
def test_render_mode_passes_through(make_view):
    view = make_view(mine(), render_mode="ansi")
    assert view.metadata["name"] == "async_toy_3" and view.metadata["render_modes"] == ["ansi"]
    with pytest.raises(ValueError, match="step was called before reset"):
        view.render()
    view.reset(seed=1)
    assert view.render() == "gold 0.00: noop, noop, noop"
    with pytest.raises(ValueError, match="render_mode=None and draws nothing. Pass one of .* .ansi."):
        make_view(mine()).render()


@pytest.mark.parametrize("view", VIEWS)
def test_closing_a_view_closes_what_it_shows(view, monkeypatch):
    closed = []
    monkeypatch.setattr(toy.ToySimulator, "close", lambda self: closed.append(self))
    shown = view(mine())
    shown.close()
    assert closed == [shown.simulator]
