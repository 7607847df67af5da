"""Random streams: the published algorithm, independent streams, uniform draws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_envs.core.seeding import TEST, TRAIN, episode_seed, next_below, next_float, next_uint64

MASK = 2**64 - 1


def splitmix64(state: int) -> tuple[int, int]:
    """(new state, output), in whole numbers without bounds, from the paper's nextSeed and mix64variant13."""
    state = (state + 0x9E3779B97F4A7C15) & MASK
    z = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return state, z ^ (z >> 31)


def test_stream_gives_the_published_known_answers():
    """The first outputs for seed 1234567, as published with many ports of splitmix64.c."""
    stream = np.array([1234567], np.uint64)
    expected = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    assert [int(next_uint64(stream, 0)) for _ in range(3)] == expected


@given(seed=st.integers(0, MASK))
def test_stream_agrees_with_unbounded_arithmetic(seed):
    stream, state = np.array([7, seed], np.uint64), seed
    for _ in range(4):
        state, expected = splitmix64(state)
        assert int(next_uint64(stream, 1)) == expected
        assert int(stream[1]) == state
    assert stream[0] == 7  # the neighbour has not moved


@given(seed=st.integers(0, MASK))
def test_float_is_the_top_53_bits(seed):
    _, bits = splitmix64(seed)
    drawn = next_float(np.array([seed], np.uint64), 0)
    assert drawn == (bits >> 11) / 2**53
    assert 0.0 <= drawn < 1.0


@given(seed=st.integers(0, MASK), n=st.integers(1, 2**31 - 1))
def test_draw_below_n_scales_the_top_32_bits(seed, n):
    _, bits = splitmix64(seed)
    drawn = next_below(np.array([seed], np.uint64), 0, n)
    assert drawn == ((bits >> 32) * n) >> 32
    assert 0 <= drawn < n


@pytest.mark.parametrize("n", [2, 6, 7])
def test_draws_below_n_are_uniform(n):
    """60,000 draws: every count within five standard deviations of its expectation."""
    n_draws, stream = 60_000, np.array([99], np.uint64)
    counts = np.bincount([next_below(stream, 0, n) for _ in range(n_draws)], minlength=n)
    deviation = np.sqrt(n_draws * (1 / n) * (1 - 1 / n))
    assert np.abs(counts - n_draws / n).max() < 5 * deviation


def test_streams_of_neighbouring_seeds_are_uncorrelated():
    """The correlation of 20,000 pairs of independent uniform draws has standard deviation 0.007."""
    streams = np.array([10, 11], np.uint64)
    pairs = np.array([[next_float(streams, 0), next_float(streams, 1)] for _ in range(20_000)])
    assert abs(np.corrcoef(pairs.T)[0, 1]) < 0.035
    assert abs(pairs.mean() - 0.5) < 0.01


def test_episode_seeds_are_all_different():
    streams = (TRAIN, TEST)
    seeds = {episode_seed(run, stream, k) for run in range(20) for stream in streams for k in range(500)}
    assert len(seeds) == 20 * 2 * 500
    assert all(0 <= seed < 2**64 for seed in seeds)


def test_episode_seed_is_a_published_hash():
    """BLAKE2b with 8 bytes of "3/train/14", little end first; worked with b2sum -l 64."""
    assert episode_seed(3, TRAIN, 14) == int.from_bytes(bytes.fromhex("d1b4bc4509c9da75"), "little")
