"""One random stream per episode, so that an episode does not feel its batch.

A stream is one uint64 of SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number
generators, OOPSLA 2014); kernels advance it in place.
"""

import hashlib

import numpy as np

from async_envs.core.compile import kernel

TRAIN, TEST = "train", "test"
ABSOLUTE = "absolute"  # the last evaluation of a run, of the best or latest networks; no test plays these episodes
HELD_OUT = "held_out"  # episodes that others evaluate a run's networks on

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_UNIT = 1.0 / 9007199254740992.0  # 2 ** -53


def episode_seed(run_seed: int, stream: str, episode: int) -> int:
    """Seed of one episode: a hash of (run seed, stream, episode number).

    Neighbouring run seeds share no episode, and playing test episodes moves no training episode.

    Args:
        run_seed: the run's `seed`.
        stream: `TRAIN`, `TEST`, `ABSOLUTE`, `HELD_OUT` or another name; streams are independent.
        episode: number of the episode within its stream, from 0.

    Returns:
        int in [0, 2**64).
    """
    text = f"{int(run_seed)}/{stream}/{int(episode)}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")


@kernel
def next_uint64(streams, b):
    """The next 64 random bits of episode `b`. Writes: streams[b]."""
    streams[b] = streams[b] + _GAMMA
    z = streams[b]
    z = (z ^ (z >> np.uint64(30))) * _MIX_1
    z = (z ^ (z >> np.uint64(27))) * _MIX_2
    return z ^ (z >> np.uint64(31))


@kernel
def next_float(streams, b):
    """A float64 drawn uniformly from [0, 1). Writes: streams[b]."""
    return np.float64(next_uint64(streams, b) >> np.uint64(11)) * _UNIT


@kernel
def next_below(streams, b, n):
    """An int64 drawn from 0 … n-1 (bias below 2**-32 for n < 2**31). Writes: streams[b]."""
    high = np.int64(next_uint64(streams, b) >> np.uint64(32))
    return (high * np.int64(n)) >> np.int64(32)
