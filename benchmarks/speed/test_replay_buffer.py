"""Storing and sampling whole episodes at POAC's sizes: the compact replay buffer beside EPyMARL's layout.

    python -m pytest benchmarks/speed/test_replay_buffer.py

Episodes of 600 steps, 3 agents, 89 observation and 115 state features with 2 to 60 different values each
(a third never changes in an episode), 15 actions; a sample is 32 episodes. `extra_info` holds bytes.
"""

from typing import Any

import numpy as np
import pytest
import torch as th

from epymarl_lite.components.episode_buffer import EpisodeBatch, PlainReplayBuffer, ReplayBuffer
from epymarl_lite.components.transforms import OneHot

N_AGENTS, N_OBS, N_STATE, N_ACTIONS, N_STEPS = 3, 89, 115, 15, 601
N_STORED, N_SAMPLED, BUFFER_SIZE = 40, 32, 5000
SCHEME: dict[str, dict[str, Any]] = {
    "state": {"vshape": N_STATE},
    "obs": {"vshape": N_OBS, "group": "agents"},
    "actions": {"vshape": (1,), "group": "agents", "dtype": th.long},
    "avail_actions": {"vshape": (N_ACTIONS,), "group": "agents", "dtype": th.int},
    "terminated": {"vshape": (1,), "dtype": th.uint8},
    "reward": {"vshape": (1,)},
}
LAYOUT: dict[str, Any] = {"preprocess": {"actions": ("actions_onehot", [OneHot(N_ACTIONS)])}}
GROUPS = {"agents": N_AGENTS}


def features(random: np.random.Generator, n_episodes: int, *shape: int) -> np.ndarray:
    """[n_episodes, T, *shape] float32 with few values a column."""
    n_values = random.integers(2, 60, shape)
    n_values[random.random(shape) < 1 / 3] = 1
    drawn = random.integers(0, 1 << 30, (n_episodes, N_STEPS, *shape)) % n_values
    return (drawn / n_values).astype(np.float32)


def episodes(n_episodes: int) -> EpisodeBatch:
    """Full-length random episodes."""
    random = np.random.default_rng(0)
    batch = EpisodeBatch(SCHEME, GROUPS, n_episodes, N_STEPS, **LAYOUT)
    batch.update(
        {
            "state": features(random, n_episodes, N_STATE),
            "obs": features(random, n_episodes, N_AGENTS, N_OBS),
            "actions": random.integers(0, N_ACTIONS, (n_episodes, N_STEPS, N_AGENTS, 1)),
            "avail_actions": random.integers(0, 2, (n_episodes, N_STEPS, N_AGENTS, N_ACTIONS)),
            "reward": random.integers(0, 5, (n_episodes, N_STEPS, 1)) / 7,
        }
    )
    return batch


def plain_bytes_of_an_episode(batch: EpisodeBatch) -> int:
    """Bytes that one episode takes in EPyMARL's buffer."""
    return sum(value[0].numel() * value.element_size() for value in batch.data.transition_data.values())


@pytest.mark.parametrize("kind", [ReplayBuffer, PlainReplayBuffer])
def test_sampling_32_full_episodes(benchmark: Any, kind: Any) -> None:
    """Time of one sample. The compact buffer must hold a full episode in a third of the plain bytes."""
    batch = episodes(N_STORED)
    buffer = kind(SCHEME, GROUPS, N_STORED, N_STEPS, **LAYOUT)
    buffer.insert_episode_batch(batch)
    buffer.sample(N_SAMPLED)
    sample = benchmark(buffer.sample, N_SAMPLED)
    assert sample.max_seq_length == N_STEPS
    if kind is ReplayBuffer:
        plain = plain_bytes_of_an_episode(batch)
        benchmark.extra_info["gib_at_5000_episodes"] = buffer.n_bytes / N_STORED * BUFFER_SIZE / 2**30
        benchmark.extra_info["plain_gib_at_5000_episodes"] = plain * BUFFER_SIZE / 2**30
        assert buffer.n_bytes / N_STORED <= plain / 3


@pytest.mark.parametrize("kind", [ReplayBuffer, PlainReplayBuffer])
def test_inserting_one_full_episode(benchmark: Any, kind: Any) -> None:
    """Time of storing one episode."""
    batch = episodes(1)
    buffer = kind(SCHEME, GROUPS, N_STORED, N_STEPS, **LAYOUT)
    buffer.insert_episode_batch(batch)
    benchmark(buffer.insert_episode_batch, batch)
    assert buffer.episodes_in_buffer > 1
