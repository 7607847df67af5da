"""What timed learners are given: random episodes, an algorithm's settings, a logger that keeps nothing."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple, Sequence

import torch
import yaml
from torch import Tensor

__all__ = ["AGENTS", "EPISODES", "SilentLogger", "Widths", "random_batch", "settings"]

EPISODES, AGENTS = 32, 3
ROOT = Path(__file__).resolve().parents[2]


class Widths(NamedTuple):
    """Features of an observation, actions, features of the state."""

    obs: int = 150
    actions: int = 12
    state: int = 120


class SilentLogger:
    """Takes statistics and keeps none."""

    console_logger = None

    def log_stat(self, name: str, value: float, t_env: int) -> None:
        """Nothing."""


def random_batch(lengths: Sequence[int], n_agents: int = AGENTS, widths: Widths = Widths()) -> dict[str, Tensor]:
    """Episodes of `lengths` executed steps; every action available, or only `continue` half of the time."""
    generator = torch.Generator().manual_seed(0)
    last = torch.tensor([int(length) for length in lengths]).unsqueeze(1)
    n_steps = int(last.max()) + 1
    shape = (len(lengths), n_steps)
    filled = (torch.arange(n_steps) <= last).long().unsqueeze(-1)
    played = filled.unsqueeze(-1)
    executing = torch.rand(*shape, n_agents, 1, generator=generator) < 0.5
    executing[:, 0] = False
    avail = torch.ones(*shape, n_agents, widths.actions, dtype=torch.int)
    avail[..., :2] = 0
    only_continue = torch.zeros(widths.actions, dtype=torch.int)
    only_continue[1] = 1
    avail = torch.where(executing, only_continue, avail) * played.int()
    drawn = torch.randint(2, widths.actions, (*shape, n_agents, 1), generator=generator)
    actions = torch.where(executing, 1, drawn) * played
    return dict(
        obs=torch.randn(*shape, n_agents, widths.obs, generator=generator) * played,
        state=torch.randn(*shape, widths.state, generator=generator) * filled,
        avail_actions=avail,
        actions=actions,
        actions_onehot=torch.nn.functional.one_hot(actions.squeeze(-1), widths.actions).float(),
        reward=torch.randn(*shape, 1, generator=generator) * filled,
        terminated=((torch.arange(n_steps) == last - 1).unsqueeze(-1)).to(torch.uint8),
        filled=filled,
    )


def settings(algorithm: str) -> SimpleNamespace:
    """EPyMARL's defaults, our async.yaml and the algorithm's yaml, laid over each other."""
    merged: dict[str, Any] = {}
    for path in (
        "src/epymarl_lite/config/default.yaml",
        "plugins/config/envs/async.yaml",
        f"plugins/config/algs/{algorithm}.yaml",
    ):
        merged.update(yaml.safe_load((ROOT / path).read_text()))
    merged.update(
        n_agents=AGENTS, n_actions=Widths().actions, state_shape=Widths().state, seed=1, use_cuda=False, device="cpu",
        learner_log_interval=10**12, target_update_interval_or_tau=10**9,
    )  # fmt: skip
    return SimpleNamespace(**merged)
