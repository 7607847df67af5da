"""Episodes played and kept, with and without proxies, by the same choices of the same policy.

Letters: B episodes, T1 stored steps (the last observation included), N agents of the task, M slots that the
simulator shows (N, or 2N with proxies), A actions.
"""

import copy
from dataclasses import dataclass
from typing import Any, Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from async_envs.core.simulator import Simulator
from async_envs.core.status import Statuses, statuses
from plugins.controllers.async_mac import NO_ACTION
from plugins.vsp.verify.rows import Size

__all__ = ["Choose", "Recording", "as_batch", "follow", "first_episodes", "play_at_random", "record"]

# (obs [b, N, O], available actions [b, N, A], last actions [b, N], episodes [b]) -> actions [b, N] int64
Choose = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Recording:
    """B episodes as a simulator showed and took them; steps after an episode's last observation are zero."""

    obs: np.ndarray  # [B, T1, M, O] float32
    state: np.ndarray  # [B, T1, S] float32
    avail_actions: np.ndarray  # [B, T1, M, A] uint8
    actions: np.ndarray  # [B, T1, M] int64; at the last observation chosen, never taken
    reward: np.ndarray  # [B, T1] float32; of the step that began here
    terminated: np.ndarray  # [B, T1] bool; by the step that began here
    truncated: np.ndarray  # [B, T1] bool
    filled: np.ndarray  # [B, T1] bool
    metrics: dict[str, np.ndarray]  # name -> [B] float32

    @property
    def n_episodes(self) -> int:
        """B."""
        return int(self.filled.shape[0])

    @property
    def n_steps(self) -> int:
        """Steps that were played, all episodes together."""
        return int(self.filled.sum()) - self.n_episodes

    @property
    def size(self) -> Size:
        """Episodes and steps."""
        return Size(self.n_episodes, self.n_steps)

    def status(self, n_agents: int) -> Statuses:
        """What the first `n_agents` slots were doing, [B, T1, N] bool each; all False after an end."""
        return statuses(self.avail_actions[:, :, :n_agents], self.filled)


def play_at_random(seed: int) -> Choose:
    """Uniform draws from the available actions, the same ones whenever it is made of the same seed."""
    generator = np.random.default_rng(seed)

    def choose(obs: np.ndarray, avail: np.ndarray, last: np.ndarray, rows: np.ndarray) -> np.ndarray:
        return (generator.random(avail.shape) * (avail != 0)).argmax(-1)

    return choose


def follow(mac: Any, n_episodes: int, t_env: int, greedy: bool) -> Choose:
    """The controller's own choices; a copy of it acts, so that each call begins with the same generators."""
    actor = copy.deepcopy(mac)
    actor.init_hidden(n_episodes)

    def choose(obs: np.ndarray, avail: np.ndarray, last: np.ndarray, rows: np.ndarray) -> np.ndarray:
        actions: np.ndarray = actor.act(obs, avail, last, rows, t_env, greedy)
        return actions

    return choose


def record(simulator: Simulator, choose: Choose, seeds: Sequence[int], n_agents: int) -> Recording:
    """Play one episode for each seed.

    Args:
        simulator: of as many episodes; the first `n_agents` slots are the task's agents, what follows are
            proxies, which take the first action that they may.
        choose: acts for the agents, sees nothing of the proxies.
        seeds: B episode seeds.
        n_agents: N.

    Raises:
        ValueError: the simulator refused an action.
    """
    simulator.reset(list(seeds))
    names = ("obs", "state", "avail_actions", "actions", "reward", "terminated", "truncated", "filled")
    steps: dict[str, list[np.ndarray]] = {name: [] for name in names}
    actions = np.full((len(seeds), n_agents), NO_ACTION, np.int64)
    rows = np.arange(len(seeds))
    while True:
        running = ~(simulator.terminated | simulator.truncated)
        shown = np.zeros(len(seeds), np.bool_)
        shown[rows] = True
        obs, avail = simulator.obs[rows, :n_agents], simulator.avail_actions[rows, :n_agents]
        actions[rows] = choose(obs, avail, actions[rows], rows)
        all_actions = np.concatenate([actions, simulator.avail_actions[:, n_agents:].argmax(-1)], 1)
        for name, values in (
            ("obs", simulator.obs),
            ("state", simulator.state),
            ("avail_actions", simulator.avail_actions),
            ("actions", all_actions),
        ):
            steps[name].append(_only(shown, values))
        steps["filled"].append(shown)
        rows = rows[running[rows]]
        if len(rows):
            simulator.step(all_actions)
        moved = np.zeros(len(seeds), np.bool_)
        moved[rows] = True
        for name in ("reward", "terminated", "truncated"):
            steps[name].append(_only(moved, getattr(simulator, name)))
        if not len(rows):
            break
    stacked = {name: np.stack(values, 1) for name, values in steps.items()}
    return Recording(**stacked, metrics={name: values.copy() for name, values in simulator.metrics.items()})


def first_episodes(recording: Recording, most_steps: int) -> Recording:
    """The first episodes, as many as have `most_steps` steps together, at least one."""
    lengths = recording.filled.sum(1)
    n_kept = max(1, int((lengths.cumsum() <= most_steps).sum()))
    longest = int(lengths[:n_kept].max())
    arrays = {name: getattr(recording, name) for name in Recording.__dataclass_fields__ if name != "metrics"}
    return Recording(
        **{name: values[:n_kept, :longest] for name, values in arrays.items()},
        metrics={name: values[:n_kept] for name, values in recording.metrics.items()},
    )


def as_batch(recording: Recording, dtype: torch.dtype, device: torch.device) -> dict[str, Tensor]:
    """What a learner reads of an episode batch, for a recording without proxies."""
    arrays = {
        "obs": recording.obs,
        "state": recording.state,
        "avail_actions": recording.avail_actions,
        "actions": recording.actions[..., None],
        "reward": recording.reward[..., None],
        "terminated": recording.terminated[..., None].astype(np.uint8),
        "filled": recording.filled[..., None].astype(np.int64),
    }
    batch = {name: torch.from_numpy(np.ascontiguousarray(values)).to(device) for name, values in arrays.items()}
    return batch | {name: batch[name].to(dtype) for name in ("obs", "state", "reward")}


def _only(where: np.ndarray, values: np.ndarray) -> np.ndarray:
    """A copy of `values` [B, ...] with zeros outside the episodes `where` [B]."""
    kept: np.ndarray = np.where(where.reshape(-1, *[1] * (values.ndim - 1)), values, np.zeros((), values.dtype))
    return kept
