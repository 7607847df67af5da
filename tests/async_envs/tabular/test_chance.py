"""Outcomes are drawn with their probabilities, up to the very ends of a row."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from async_envs.tabular.simulator import TabularSimulator
from async_envs.tabular.task import make_task
from async_envs.tabular.types import summed

GAMMA, MIX_1, MIX_2 = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB


def seed_whose_first_draw_is(bits):
    """SplitMix64 backwards: the first 64 random bits of the stream that begins with this seed are `bits`."""

    def unshift(z, n):
        found = z
        for _ in range(64 // n + 1):
            found = z ^ (found >> n)
        return found

    z = unshift(bits, 31) * pow(MIX_2, -1, 2**64) % 2**64
    z = unshift(z, 27) * pow(MIX_1, -1, 2**64) % 2**64
    return (unshift(z, 30) - GAMMA) % 2**64


LOWEST, HIGHEST = seed_whose_first_draw_is(0), seed_whose_first_draw_is(2**64 - 1)  # chances 0 and 1 - 2**-53


def starts(row, seeds):
    """The first states of episodes that start by `row`."""
    n = len(row)
    task = make_task(
        "starts", transitions=np.eye(n)[:, None], rewards=np.zeros((n, 1)), durations=[[1]],
        observations=np.zeros((n, 1)), start=row, episode_limit=1,
    )  # fmt: skip
    simulator = TabularSimulator("async:tabular-test", len(seeds), task)
    simulator.reset(seeds)
    return simulator.now.state.copy()


def test_the_ends_of_the_unit_interval_draw_outcomes_that_can_happen():
    """Ten tenths sum to less than 1 - 2**-53 in floating point, so the highest chance lies above their sum."""
    assert np.cumsum([0.1] * 10)[-1] <= 1 - 2**-53  # `sum` of Python 3.12 and later makes up for lost digits
    assert starts([0.0, 0.5, 0.5, 0.0], [LOWEST, HIGHEST]).tolist() == [1, 2]
    assert starts([0.0] + [0.1] * 10 + [0.0], [LOWEST, HIGHEST]).tolist() == [1, 10]


@given(st.lists(st.integers(0, 3), min_size=1, max_size=6).filter(any), st.integers(0, 2**32))
def test_outcomes_come_as_often_as_their_probabilities_say(weights, seed):
    """4,000 draws: frequencies within five and a half standard deviations, impossible ones never."""
    row = np.array(weights) / sum(weights)
    seeds = np.random.default_rng(seed).integers(0, 2**64, 4000, np.uint64)
    found = np.bincount(starts(row, seeds), minlength=len(row)) / 4000
    assert (np.abs(found - row) <= 5.5 * np.sqrt(row * (1 - row) / 4000) + 1e-12).all()


def test_sums_are_those_of_every_row():
    rows = np.array([[[0.25, 0.0, 0.75], [0.0, 1.0, 0.0]]])
    np.testing.assert_array_equal(summed(rows), [[[0.25, 0.25, 1.0], [0.0, 1.0, 1.0]]])
