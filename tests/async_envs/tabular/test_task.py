"""`make_task` accepts what users write in all its forms, and refuses the rest in one line."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_envs.tabular.task import make_task
from async_envs.tabular.validate import MOST_ENTRIES
from tests.async_envs.tabular.tasks import arrays, assert_same, errands, written
from tests.theory.strategies import Parts, parts

SEEDS = st.integers(0, 2**32 - 1)


def small(**changes):
    """Two agents with one action each and two states, as a user writes it; state 1 is over."""
    given = {
        "transitions": [[[[0.5, 0.5]]], [[[0.0, 1.0]]]],
        "rewards": [[[1.0]], [[0.0]]],
        "durations": [[1], [2]],
        "observations": [[0, 0], [1, 1]],
        "start": 0,
        "episode_limit": 5,
        "terminal": [False, True],
    }
    return make_task("small", **(given | changes))


@given(parts().map(Parts.task))
def test_a_task_is_accepted_again_as_it_is(task):
    """Arrays, and the nested lists that JSON holds: both give the same task."""
    assert_same(task, make_task("again", **arrays(task)))
    assert_same(task, make_task("again", **written(task)))


@given(parts().map(Parts.task))
def test_what_is_made_holds_what_it_promises(task):
    sizes = (task.n_states, *[2 * task.n_own_actions] * task.n_agents)
    assert task.transitions.shape == (*sizes, task.n_states) and task.rewards.shape == sizes
    for rows in (task.transitions, task.durations, task.observations, task.start):
        assert rows.dtype == np.float64 and (rows >= 0).all()
        np.testing.assert_allclose(rows.sum(-1), 1.0, atol=1e-9)
    assert task.inactive[task.terminal].all()
    assert (task.rewards[task.terminal] == 0).all()
    assert (task.start[task.terminal] == 0).all()
    assert (task.available.any(-1) | task.inactive).all()
    in_terminal = task.transitions[task.terminal]
    np.testing.assert_array_equal(
        in_terminal, np.broadcast_to(np.eye(task.n_states)[task.terminal].reshape(
            -1, *[1] * task.n_agents, task.n_states), in_terminal.shape))  # fmt: skip


@given(SEEDS, st.integers(1, 3), st.integers(1, 3), st.integers(1, 3))
def test_an_activity_axis_of_one_entry_an_action_holds_in_all_of_its_steps(seed, n_agents, n_actions, n_states):
    rng = np.random.default_rng(seed)
    rewards = rng.normal(size=(n_states, *[n_actions] * n_agents))
    transitions = rng.dirichlet(np.ones(n_states), size=rewards.shape)
    task = make_task(
        "short", transitions=transitions, rewards=rewards, durations=np.ones((n_agents, n_actions)),
        observations=np.zeros((n_states, n_agents)), start=0, episode_limit=1,
    )  # fmt: skip
    for at in np.ndindex(task.rewards.shape):
        short = (at[0], *[activity % n_actions for activity in at[1:]])
        assert task.rewards[at] == rewards[short]
        np.testing.assert_array_equal(task.transitions[at], transitions[short])


@given(st.lists(st.integers(1, 5), min_size=2, max_size=2), st.lists(st.integers(0, 4), min_size=4, max_size=4))
def test_whole_numbers_stand_for_certain_durations_and_observations(steps, seen):
    task = small(durations=np.reshape(steps, (2, 1)), observations=np.reshape(seen, (2, 2)))
    assert (task.durations.argmax(-1).ravel() + 1).tolist() == steps
    assert task.observations.argmax(-1).ravel().tolist() == seen
    assert task.longest == max(steps) and task.n_observations == 1 + max(seen)
    assert task.durations.sum() == 2 and task.observations.sum() == 4


def test_what_is_left_out_has_its_default():
    task = small(terminal=None)
    assert not task.terminal.any() and not task.inactive.any() and not task.interrupts.any()
    assert task.available.all() and task.state_is_shown
    assert (task.discount, task.action_names) == (0.99, ("action_0",))


def test_a_task_does_not_change_with_what_it_was_made_of():
    given = arrays(errands())
    task = make_task("copy", **given)
    for name, array in given.items():
        if isinstance(array, np.ndarray):
            array[...] = 0
    assert_same(errands(), task)


def test_rows_of_terminal_states_are_not_read():
    task = small(transitions=[[[[0.5, 0.5]]], [[[0.0, 0.0]]]], rewards=[[[1.0]], [[9.0]]])
    assert_same(small(), task)


def test_start_by_number_or_by_probabilities():
    assert_same(small(start=0), small(start=[1.0, 0.0]))
    assert_same(small(start=0), small(start=np.int64(0)))


TWO_TO_ONE = [[[[0.5, 0.5]]], [[[1.0, 0.0]]]]  # as small(), state 1 leads back
LONG = 10**9

BAD = [
    ({"transitions": [[[[0.5, 0.4]]], [[[0, 1]]]]}, "row transitions[0, 0, 0] sums to 0.9, expected 1."),
    ({"transitions": TWO_TO_ONE, "terminal": None, "start": [0.5, 0.6]}, "row start sums to 1.1, expected 1."),
    ({"transitions": [[[[1.5, -0.5]]], [[[0, 1]]]]}, "transitions[0, 0, 0, 1] is -0.5, a probability from 0 to 1"),
    ({"transitions": [[[[np.nan, 1]]], [[[0, 1]]]]}, "transitions[0, 0, 0, 0] is nan, a finite number"),
    ({"transitions": [[[0.5, 0.5]], [[0.0, 1.0]]]}, "transitions has shape (2, 1, 2), expected 4 axes: one of "
     "states, 2 of activities with 1 or 2 entries each, then one of next states."),
    ({"transitions": [[[[0.5, 0.5]] * 3], [[[0, 1]] * 3]]}, "transitions has shape (2, 1, 3, 2), expected 4 axes"),
    ({"transitions": [[[[0.5, 0.5]]], [[[1.0]]]]}, "transitions has rows of different lengths"),
    ({"transitions": [[[[1.0]]], [[[1.0]]]]}, "transitions lead from 2 states to 1 and rewards has 2"),
    ({"transitions": "none"}, "transitions holds text, numbers are expected."),
    ({"transitions": []}, "transitions has shape (0,), expected 4 axes"),
    ({"transitions": None}, "transitions holds something other than numbers"),
    ({"transitions": {"0": 1}}, "transitions holds something other than numbers"),
    ({"transitions": np.ones((2, 1, 1, 2), complex)}, "transitions holds complex numbers"),
    ({"rewards": [[[1.0]]]}, "transitions lead from 2 states to 2 and rewards has 1, expected the same number."),
    ({"rewards": [1.0, 2.0]}, "rewards has shape (2,), expected 3 axes"),
    ({"rewards": [[[1.0]], [[np.inf]]]}, "rewards[1, 0, 0] is inf, a finite number is expected."),
    ({"rewards": [[[1.0]], [[-1e31]]]}, "rewards[1, 0, 0] is -1e+31, at most 1e+30 in size is accepted."),
    ({"rewards": [[[True]], [[False]]]}, "rewards holds True or False, numbers are expected."),
    ({"durations": [[1], [0]]}, "durations[1, 0] is 0, a whole number of at least 1 (steps) is expected."),
    ({"durations": [[1.5], [1]]}, "durations[0, 0] is 1.5, a whole number of at least 1"),
    ({"durations": [[-2], [1]]}, "durations[0, 0] is -2, a whole number of at least 1"),
    ({"durations": [[1], [np.nan]]}, "durations[1, 0] is nan, a finite number"),
    ({"durations": [1, 1]}, "durations has shape (2,), expected [agents, actions] whole numbers or"),
    ({"durations": [[[0.5, 0.4]], [[1, 0]]]}, "row durations[0, 0] sums to 0.9, expected 1."),
    ({"durations": [[[2, -1]], [[1, 0]]]}, "durations[0, 0, 1] is -1.0, a probability"),
    ({"durations": [[1], [LONG]]}, f"durations would have {2 * LONG:,} entries, at most {MOST_ENTRIES:,}"),
    ({"durations": [[1], [1e300]]}, "durations[1, 0] is 1e+300, a whole number of at least 1"),
    ({"durations": [[1]] * 28}, "transitions has shape (2, 1, 1, 2), expected 30 axes"),
    ({"observations": [[0, 0]]}, "observations has shape (1, 2), expected (2, 2) [states, agents] whole numbers"),
    ({"observations": [[0, 0], [1, -1]]}, "observations[1, 1] is -1, a whole number of at least 0 is expected."),
    ({"observations": [[0, 0], [1, 0.5]]}, "observations[1, 1] is 0.5, a whole number of at least 0"),
    ({"observations": [[0, 0], [1, LONG]]}, "observations would have 4,000,000,004 entries"),
    ({"observations": [[[1, 0], [1, 0]], [[1, 0], [0.3, 0.3]]]}, "row observations[1, 1] sums to 0.6"),
    ({"observations": [[[], []], [[], []]]}, "observations has shape (2, 2, 0)"),
    ({"start": 1}, "start gives state 1 a chance, which is terminal. Start in another state."),
    ({"start": [0.5, 0.5]}, "start gives state 1 a chance, which is terminal."),
    ({"start": 2}, "start is 2, a whole number from 0 to 1 is expected."),
    ({"start": -1}, "start is -1, a whole number from 0 to 1"),
    ({"start": 0.5}, "start is 0.5, a whole number from 0 to 1"),
    ({"start": True}, "start holds True or False, numbers are expected."),
    ({"start": [1.0]}, "start has shape (1,), expected (2,) [states], or the number of one state."),
    ({"start": [2.0, -1.0]}, "start[1] is -1.0, a probability from 0 to 1"),
    ({"episode_limit": 0}, "episode_limit is 0, a whole number from 1 to 1,000,000 is expected."),
    ({"episode_limit": 1_000_001}, "episode_limit is 1000001, a whole number from 1 to 1,000,000"),
    ({"episode_limit": 2.5}, "episode_limit is 2.5, a whole number from 1"),
    ({"episode_limit": True}, "episode_limit is True, a whole number from 1"),
    ({"episode_limit": [5]}, "episode_limit is [5], a whole number from 1"),
    ({"discount": 1.0}, "discount is 1.0, a number from 0 to below 1 is expected."),
    ({"discount": -0.1}, "discount is -0.1, a number from 0"),
    ({"discount": "much"}, "discount holds text, numbers are expected."),
    ({"discount": np.nan}, "discount is nan, a finite number is expected."),
    ({"discount": [0.5]}, "discount is [0.5], a number from 0"),
    ({"terminal": [False]}, "terminal has shape (1,), expected (2,) [states]."),
    ({"terminal": [0, 2]}, "terminal[1] is 2, True or False (1 or 0) is expected."),
    ({"terminal": ["no", "yes"]}, "terminal holds text, True and False (or 1 and 0) are expected."),
    ({"terminal": [0, np.nan]}, "terminal[1] is nan, True or False"),
    ({"available": [[[1], [0]], [[1], [1]]]}, "agent 1 has no available action in state 0, at least one"),
    ({"available": [[1], [1]]}, "available has shape (2, 1), expected (2, 2, 1) [states, agents, actions]."),
    ({"inactive": [0, 0]}, "inactive has shape (2,), expected (2, 2) [states, agents]."),
    ({"interrupts": [[0, 0]]}, "interrupts has shape (1, 2), expected (2, 2) [states, agents]."),
    ({"state_is_shown": 1}, "state_is_shown is 1, True or False (1 or 0) is expected."),
    ({"action_names": ["a", "b"]}, "action_names is ['a', 'b'], 1 different printable texts"),
    ({"action_names": ["noop"]}, "action_names is ['noop'], 1 different printable texts other than noop and"),
    ({"action_names": [""]}, "action_names is [''], 1 different printable texts"),
    ({"action_names": ["a\nb"]}, "action_names is ['a\\nb'], 1 different printable texts"),
    ({"action_names": [1]}, "action_names is [1], 1 different printable texts"),
    ({"action_names": 7}, "action_names is 7, 1 different printable texts"),
]  # fmt: skip


@pytest.mark.parametrize("changes, line", BAD, ids=[f"{next(iter(c))}-{k}" for k, (c, _) in enumerate(BAD)])
def test_what_is_wrong_is_one_line_that_names_the_place(changes, line):
    with pytest.raises(ValueError) as caught:
        small(**changes)
    told = str(caught.value)
    assert told.startswith("small: ") and line in told and "\n" not in told


def test_an_action_is_not_asked_of_who_is_out_of_play():
    none = [[[1], [0]], [[0], [0]]]
    assert not small(available=none, inactive=[[False, True], [False, False]]).available[0, 1].any()


def test_a_task_that_would_not_fit_into_memory_is_refused_before_it_is_made():
    """Fourteen agents with two actions that do the same in all steps: 4 ** 14 joint activities of one state."""
    n_agents = 14
    with pytest.raises(ValueError, match="transitions would have 268,435,456 entries, at most 67,108,864"):
        make_task(
            "crowd", transitions=np.ones((1, *[2] * n_agents, 1), np.int8), rewards=np.zeros((1, *[2] * n_agents)),
            durations=np.ones((n_agents, 2)), observations=np.zeros((1, n_agents)), start=0, episode_limit=1,
        )  # fmt: skip
