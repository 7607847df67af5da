"""Statuses as read from available actions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_envs.core.status import statuses
from tests import toy

NOOP, CONTINUE, TWO_OWN, NOTHING = [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 1], [0, 0, 0, 0]


def test_status_is_read_from_the_first_two_actions():
    deciding, executing, inactive = statuses(np.array([NOOP, CONTINUE, TWO_OWN], np.uint8))
    assert inactive.tolist() == [True, False, False]
    assert executing.tolist() == [False, True, False]
    assert deciding.tolist() == [False, False, True]


@pytest.mark.parametrize("shape", [(1, 2), (1, 2, 1)])
def test_steps_that_were_not_played_have_no_status(shape):
    """The second of two steps is the zero padding after an episode's end."""
    avail = np.array([[[TWO_OWN, CONTINUE], [NOTHING, NOTHING]]])  # [1, 2, 2, 4]
    found = statuses(avail, filled=np.array([1, 0]).reshape(shape))
    assert found.deciding.tolist() == [[[True, False], [False, False]]]
    assert found.executing.tolist() == [[[False, True], [False, False]]]
    assert not found.inactive.any()


def test_flags_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"filled has shape \(3,\), expected \(2,\) or \(2, 1\)"):
        statuses(np.zeros((2, 2, 4)), filled=np.ones(3))


@given(seed=st.integers(0, 2**64 - 1), n_steps=st.integers(0, 15))
def test_every_agent_has_exactly_one_status(seed, n_steps):
    """And it is what the simulator itself knows."""
    simulator, rng = toy.make("async:toy-3", "3", 1, goal=50.0), np.random.default_rng(0)
    simulator.reset([seed])
    for _ in range(n_steps):
        if not simulator.terminated[0]:
            simulator.step(toy.random_actions(simulator, rng))
    deciding, executing, inactive = statuses(simulator.avail_actions)
    assert (deciding.astype(int) + executing + inactive == 1).all()
    np.testing.assert_array_equal(inactive, ~simulator.miners.alive)
    np.testing.assert_array_equal(executing, simulator.miners.busy > 0)
