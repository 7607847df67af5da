"""The base class: what it refuses and what it leaves alone."""

import numpy as np
import pytest

from tests import toy

KEY = "async:toy-3"


@pytest.fixture
def mines():
    simulator = toy.make(KEY, "3", 2)
    simulator.reset([1, 2])
    return simulator


def acts(*rows):
    return np.array(rows, np.int64)


def test_decisions_are_counted_while_an_episode_goes_on(mines):
    """Three decide; then two of them carry (2 steps) and the third decides alone; an ended episode stands still."""
    assert [0, 0] == mines.decisions.tolist()
    mines.step(acts([toy.CARRY, toy.CARRY, toy.WAIT], [toy.WAIT, toy.WAIT, toy.WAIT]))
    assert [3, 3] == mines.decisions.tolist()
    mines.step(acts([1, 1, toy.WAIT], [toy.WAIT, toy.WAIT, toy.WAIT]))
    assert [4, 6] == mines.decisions.tolist()
    mines.terminated[1] = True
    mines.step(acts([toy.WAIT, toy.WAIT, toy.WAIT], [0, 0, 0]))
    assert [7, 6] == mines.decisions.tolist()
    with pytest.raises(ValueError, match="is not available"):
        mines.step(acts([1, 1, 1], [0, 0, 0]))
    assert [7, 6] == mines.decisions.tolist()
    mines.reset([5, 0], np.array([True, False]))
    assert [0, 6] == mines.decisions.tolist()


@pytest.mark.parametrize("batch_size", [0, -1, 1.0, True, "2"])
def test_batch_size_is_a_whole_number_of_at_least_one(batch_size):
    with pytest.raises(ValueError, match="async:toy-3: batch_size=.* is not accepted"):
        toy.make(KEY, "3", batch_size)


def test_unavailable_action_names_episode_agent_action_and_choice(mines):
    mines.step(acts([2, 2, 2], [2, 3, 2]))  # episode 1, agent 1 digs
    mines.miners.busy[1, 1], mines.miners.alive[1, 1] = 2, True
    mines.avail_actions[1, 1] = [0, 1, 0, 0, 0]
    mines.miners.doing[1, 1] = toy.DIG
    with pytest.raises(ValueError) as caught:
        mines.step(acts([2, 2, 2], [2, 4, 2]))
    assert str(caught.value) == (
        "async:toy-3: episode 1, agent 1: action 4 'carry' is not available "
        "while executing 'dig' (2 steps left). Available: continue."
    )


@pytest.mark.parametrize("action", [-1, 5, 2**40])
def test_action_out_of_range_is_said_to_be(mines, action):
    with pytest.raises(ValueError) as caught:
        mines.step(acts([2, 2, 2], [2, 2, action]))
    assert str(caught.value) == (
        f"async:toy-3: episode 1, agent 2: action {action} (out of range) is not available. "
        "Available: wait, dig, carry."
    )


@pytest.mark.parametrize(
    "actions, kind, line",
    [
        (np.full((2, 3), 2.0), TypeError, "actions have dtype float64, expected whole numbers"),
        (np.full((2, 2), 2), ValueError, r"actions have shape \(2, 2\), expected \(2, 3\)"),
        (np.full((2, 3), True), TypeError, "actions have dtype bool"),
    ],
)
def test_actions_of_the_wrong_kind_are_refused(mines, actions, kind, line):
    with pytest.raises(kind, match=f"async:toy-3: {line}"):
        mines.step(actions)


def test_actions_may_have_any_whole_dtype(mines):
    mines.step(np.full((2, 3), 2, np.uint8))
    mines.step([[2, 2, 2], [2, 2, 2]])
    assert mines.t.tolist() == [2, 2]


def test_step_before_reset_is_refused():
    with pytest.raises(ValueError, match="async:toy-3: step was called before reset"):
        toy.make(KEY, "3", 1).step(acts([2, 2, 2]))


def test_step_after_every_end_is_refused():
    simulator = toy.make(KEY, "3", 1, episode_limit=1)
    simulator.reset([1])
    simulator.step(acts([2, 2, 2]))
    assert simulator.truncated[0] and not simulator.terminated[0]
    with pytest.raises(ValueError, match="async:toy-3: every episode is over"):
        simulator.step(acts([2, 2, 2]))


@pytest.mark.parametrize(
    "seeds, line",
    [
        ([1], "1 seeds were given for 2 episodes"),
        ([1, 2, 3], "3 seeds were given for 2 episodes"),
        ([1, -1], "the seed -1 of episode 1 is not accepted"),
        (np.array([1, -1]), "the seed .*-1.* of episode 1 is not accepted"),
        ([2**64, 1], "the seed 18446744073709551616 of episode 0 is not accepted"),
        ([1, 1.0], "the seed 1.0 of episode 1 is not accepted"),
        ([1, None], "the seed None of episode 1 is not accepted"),
        (1, "seeds=1 are not accepted"),
    ],
)
def test_bad_seeds_are_refused_and_nothing_moves(mines, seeds, line):
    mines.step(acts([2, 2, 2], [2, 2, 2]))
    before = mines.obs.copy(), mines.t.copy()
    with pytest.raises(ValueError, match=f"async:toy-3: {line}"):
        mines.reset(seeds)
    np.testing.assert_array_equal(before[0], mines.obs)
    np.testing.assert_array_equal(before[1], mines.t)


@pytest.mark.parametrize("seeds", [np.array([5, 2**64 - 1], np.uint64), [5, 2**64 - 1]])
def test_seeds_reach_the_streams_as_they_are(seeds):
    """The first draw of a stream advances it by the constant of SplitMix64, three draws at reset."""
    simulator = toy.make(KEY, "3", 2)
    simulator.reset(seeds)
    moved = [(int(seed) + 3 * 0x9E3779B97F4A7C15) % 2**64 for seed in seeds]
    assert [int(stream) for stream in simulator.miners.streams] == moved


def test_seeds_of_episodes_that_go_on_are_not_read(mines):
    mines.step(acts([2, 2, 2], [2, 2, 2]))
    mines.reset([None, 7], where=np.array([False, True]))
    assert mines.t.tolist() == [1, 0]


@pytest.mark.parametrize("where", [np.array([1, 0]), np.array([True]), [[True, True]]])
def test_bad_mask_is_refused(mines, where):
    with pytest.raises(ValueError, match=r"expected \(2,\) bool"):
        mines.reset([1, 2], where=where)


def test_first_reset_starts_every_episode():
    with pytest.raises(ValueError, match="the first reset must start every episode"):
        toy.make(KEY, "3", 2).reset([1, 2], where=np.array([True, False]))


def test_family_without_pictures_says_so(mines):
    base = super(toy.ToySimulator, mines)
    with pytest.raises(ValueError, match="async:toy-3: has no pictures to render"):
        base.render(0)
