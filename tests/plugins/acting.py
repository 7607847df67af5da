"""What the tests of agents, controllers and runners share."""

from types import SimpleNamespace
from typing import Any

import torch

from async_envs.core.simulator import Simulator
from epymarl_lite.components.episode_buffer import EpisodeBatch
from epymarl_lite.components.transforms import OneHot
from plugins.controllers.async_mac import AsyncMAC
from plugins.runners.vector import VectorRunner
from tests import toy


def settings(**changes: Any) -> SimpleNamespace:
    """Settings of a small run on the toy family."""
    values: dict[str, Any] = dict(
        seed=7,
        agent="rnn", hidden_dim=16, use_rnn=True, obs_last_action=True, obs_agent_id=True,
        agent_output_type="q", action_selector="epsilon_greedy",
        epsilon_start=1.0, epsilon_finish=0.05, epsilon_anneal_time=1000, evaluation_epsilon=0.0,
        env_args={"key": "async:toy-3", "seed": 7, "vsp": False, "goal": None},
        common_reward=True, reward_scalarisation="sum", batch_size_run=4, device="cpu",
        runner_log_interval=10**9, test_nepisode=10, evaluate=False, save_replay=False, render=False,
        n_agents=3, n_actions=5,
    )  # fmt: skip
    values.update(changes)
    return SimpleNamespace(**values)


def make_toy(key: str, batch_size: int = 1, view: str | None = None, **options: Any) -> Simulator:
    """As `registry.make`, for the toy family."""
    return toy.make(key, key.rpartition("-")[2], batch_size, **options)


class Log:
    """A logger that remembers: `stats` name -> [(value, t_env)]."""

    def __init__(self) -> None:
        self.stats: dict[str, list[tuple[float, int]]] = {}

    def log_stat(self, name: str, value: float, t_env: int) -> None:
        """Remember one number."""
        self.stats.setdefault(name, []).append((value, t_env))


class Records:
    """A recorder that remembers its tests."""

    def __init__(self) -> None:
        self.tests: list[tuple[int, list[dict[str, Any]]]] = []
        self.decisions: list[int | None] = []

    def test(self, t_env: int, episodes: list[dict[str, Any]], decisions: int | None) -> None:
        """Remember one test round."""
        self.tests.append((t_env, episodes))
        self.decisions.append(decisions)


class CountingBatch(EpisodeBatch):  # type: ignore[misc]
    """An EpisodeBatch that counts its updates."""

    n_updates = 0

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Count and update."""
        self.n_updates += 1
        super().update(*args, **kwargs)


def build_runner(
    args: SimpleNamespace,
    log: Log | None = None,
    recorder: Any = None,
    make: Any = make_toy,
    controller: type[AsyncMAC] = AsyncMAC,
) -> tuple[VectorRunner, Any]:
    """A runner that is set up, and its controller."""
    runner = VectorRunner(
        args, log or Log(), episode_batch=CountingBatch, make_simulator=make, recorder=recorder
    )
    info = runner.get_env_info()
    args.n_agents, args.n_actions = info["n_agents"], info["n_actions"]
    scheme = {
        "state": {"vshape": info["state_shape"]},
        "obs": {"vshape": info["obs_shape"], "group": "agents"},
        "actions": {"vshape": (1,), "group": "agents", "dtype": torch.long},
        "avail_actions": {"vshape": (info["n_actions"],), "group": "agents", "dtype": torch.int},
        "reward": {"vshape": (1,)},
        "terminated": {"vshape": (1,), "dtype": torch.uint8},
    }
    groups = {"agents": info["n_agents"]}
    preprocess = {"actions": ("actions_onehot", [OneHot(out_dim=info["n_actions"])])}
    torch.manual_seed(args.seed)
    mac = controller(scheme, groups, args)
    runner.setup(scheme, groups, preprocess, mac)
    return runner, mac
