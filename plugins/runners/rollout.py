"""One rollout's steps, kept in arrays that PyTorch shares, and handed to the host in one update."""

from typing import Any, Callable

import numpy as np
import torch

from async_envs.core.simulator import Simulator

BAD_VALUE = (
    "{key}: episode with seed {seed}, step {step}: {name} holds a number that is not finite. "
    "Report this with the key and the seed; the run cannot go on."
)


class Rollout:
    """Buffers of B episodes of up to T1 = episode_limit + 1 stored steps; used again and again.

    Rows after an episode's end are zero.

    Args:
        simulator: gives the sizes.
    """

    def __init__(self, simulator: Simulator):
        shape = (simulator.batch_size, simulator.episode_limit + 1)
        n_agents = simulator.n_agents
        self._arrays: dict[str, np.ndarray] = {
            "state": np.zeros((*shape, simulator.state_dim), np.float32),
            "obs": np.zeros((*shape, n_agents, simulator.obs_dim), np.float32),
            "avail_actions": np.zeros((*shape, n_agents, simulator.n_actions), np.uint8),
            "actions": np.zeros((*shape, n_agents, 1), np.int64),
            "reward": np.zeros((*shape, 1), np.float32),
            "terminated": np.zeros((*shape, 1), np.uint8),
            "filled": np.zeros((*shape, 1), np.int64),
        }
        self._written = np.zeros(shape[0], np.int64)  # stored steps of each episode, from the last rollout

    def observe(self, t: int, simulator: Simulator, actions: np.ndarray, rows: np.ndarray) -> None:
        """Store what the episodes `rows` show at step `t`, and the actions [B, N] chosen there."""
        arrays = self._arrays
        where: Any = slice(None) if len(rows) == simulator.batch_size else rows
        arrays["state"][where, t] = simulator.state[where]
        arrays["obs"][where, t] = simulator.obs[where]
        arrays["avail_actions"][where, t] = simulator.avail_actions[where]
        arrays["actions"][where, t, :, 0] = actions[where]
        arrays["filled"][where, t] = 1
        arrays["reward"][where, t] = 0.0  # `reward` follows, except at the last observation
        arrays["terminated"][where, t] = 0

    def reward(self, t: int, simulator: Simulator, rows: np.ndarray) -> None:
        """Store what step `t` brought to the episodes `rows`; a truncated one did not terminate."""
        self._arrays["reward"][rows, t, 0] = simulator.reward[rows]
        self._arrays["terminated"][rows, t, 0] = simulator.terminated[rows]

    def write(self, new_batch: Callable[..., Any], simulator: Simulator, seeds: list[int]) -> Any:
        """The rollout as the host's EpisodeBatch, written by one update.

        Args:
            new_batch: the host's EpisodeBatch, all but `batch_size` and `max_seq_length` given.
            simulator: after its last step; `t` gives the lengths.
            seeds: B episode seeds, named in errors.

        Raises:
            FloatingPointError: an observation or a state that is not finite.
        """
        stored = simulator.t.astype(np.int64) + 1
        for b in np.flatnonzero(self._written > stored):
            for values in self._arrays.values():
                values[b, stored[b] : self._written[b]] = 0
        self._written = stored
        longest = int(stored.max())
        self._check_finite(simulator, seeds, longest)
        batch = new_batch(batch_size=simulator.batch_size, max_seq_length=simulator.episode_limit + 1)
        batch.update(
            {name: torch.from_numpy(values[:, :longest]) for name, values in self._arrays.items()},
            ts=slice(0, longest),
            mark_filled=False,
        )
        return batch

    def _check_finite(self, simulator: Simulator, seeds: list[int], longest: int) -> None:
        for name in ("obs", "state"):
            values = self._arrays[name][:, :longest]
            if not np.isfinite(values.sum(dtype=np.float64)):
                finite = np.isfinite(values).reshape(*values.shape[:2], -1).all(-1)
                b, t = np.argwhere(~finite)[0]
                raise FloatingPointError(
                    BAD_VALUE.format(key=simulator.key, seed=seeds[b], step=t, name=name)
                )
