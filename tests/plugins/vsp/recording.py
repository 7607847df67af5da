"""Random play of a task under environment-side proxies, stored as the host stores episodes.

Letters: B episodes, T1 stored steps (the last observation included), N agents of the task.
"""

from typing import Sequence

import numpy as np
import torch

from plugins.vsp.environment import VSP
from tests.toy import random_actions

PER_AGENT = ("obs", "avail_actions", "actions")


def recorded(proxied: VSP, seeds: Sequence[int], play: int = 4) -> dict[str, torch.Tensor]:
    """One random episode for each seed: [B, T1, ...] of 2N agents, as the simulator showed and took them."""
    rng = np.random.default_rng(play)
    proxied.reset(list(seeds))
    names = (*PER_AGENT, "state", "reward", "terminated", "filled")
    steps: dict[str, list[np.ndarray]] = {name: [] for name in names}
    running = np.ones(len(seeds), bool)
    while running.any():
        row = running[:, None]
        actions = random_actions(proxied, rng)
        steps["obs"].append(proxied.obs * row[..., None])
        steps["avail_actions"].append(proxied.avail_actions * row[..., None])
        steps["actions"].append((actions * row)[..., None])
        steps["state"].append(proxied.state * row)
        steps["filled"].append(row.astype(np.int64))
        over = proxied.terminated | proxied.truncated
        if not over.all():
            proxied.step(actions)
        moved = running & ~over
        steps["reward"].append((proxied.reward * moved)[:, None])
        steps["terminated"].append((proxied.terminated & moved)[:, None].astype(np.uint8))
        running = moved
    return {name: torch.from_numpy(np.stack(values, 1)) for name, values in steps.items()}


def agents_of(batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The batch without its proxies: what a plain simulator would have given."""
    return batch | {name: values.chunk(2, 2)[0] for name, values in batch.items() if name in PER_AGENT}


def proxies_of(batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The batch without its agents."""
    return batch | {name: values.chunk(2, 2)[1] for name, values in batch.items() if name in PER_AGENT}
