"""Enter a host through its `run_sequential`, with everything it meets on the way caught."""

import importlib
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from registry import checks
from registry import config as configuration
from registry.hosts.base import Host

ENTRANCE = {"embedded": "epymarl_lite.run", "upstream": "run", "pymarlzooplus": "pymarlzooplus.run"}

TINY = {
    "env_args": {"key": "async:poac-1", "episode_limit": 20},
    "seed": 5,
    "t_max": 160,
    "batch_size": 2,
    "buffer_size": 8,
    "batch_size_run": 2,
    "test_interval": 100_000,
    "test_nepisode": 2,
    "learner_log_interval": 1,
    "runner_log_interval": 1,
    "log_interval": 40,
    "target_update_interval_or_tau": 4,
    "lr": 0.01,
    "hidden_dim": 8,
    "epsilon_anneal_time": 100,
    "checkpoint_interval": 0,
    "progress": False,
    "use_cuda": False,
}


class Heard:
    """A host's logger and our recorder in one: keeps what it is told."""

    def __init__(self, run_dir: Path) -> None:
        self.console_logger = logging.getLogger("tests.hosts")
        self.run_dir = run_dir
        self.recorder = self
        self.stats: dict[str, list[tuple[int, float]]] = {}
        self.tests: list[tuple[int, list[dict[str, Any]]]] = []
        self.decisions: list[int | None] = []

    def log_stat(self, key: str, value: Any, t: int, to_sacred: bool = True) -> None:
        self.stats.setdefault(key, []).append((t, float(value)))

    def print_recent_stats(self) -> None:
        pass

    def metric(self, name: str, value: Any, t_env: int) -> None:
        pass

    def test(self, t_env: int, episodes: list[dict[str, Any]], decisions: int | None = None) -> None:
        self.tests.append((t_env, episodes))
        self.decisions.append(decisions)

    def status(self, status: str, **fields: Any) -> None:
        pass

    def resume_state(self) -> dict[str, Any]:
        return {}

    def load_resume_state(self, state: dict[str, Any]) -> None:
        pass


class Watched:
    """A learner that writes down what each update did to it."""

    def __init__(self, learner: Any):
        self.learner = learner
        self.before = {name: value.detach().clone() for name, value in parameters(learner)}
        self.batches: list[Any] = []
        self.episodes: list[int] = []
        self.target_moved: list[bool] = []
        self.target_is_live: list[bool] = []
        train = learner.train

        def watched_train(batch: Any, t_env: int, episode_num: int) -> Any:
            old = [value.detach().clone() for value in targets(learner)]
            result = train(batch, t_env, episode_num)
            new = targets(learner)
            self.batches.append(batch)
            self.episodes.append(episode_num)
            self.target_moved.append(any(not torch.equal(a, b) for a, b in zip(old, new)))
            self.target_is_live.append(all(torch.equal(a, b) for a, b in zip(live(learner), new)))
            return result

        learner.train = watched_train


def parameters(learner: Any) -> list[tuple[str, torch.Tensor]]:
    """(name, parameter) of everything that the learner trains."""
    named = list(learner.mac.agent.named_parameters())
    if learner.mixer is not None:
        named += [(f"mixer.{name}", value) for name, value in learner.mixer.named_parameters()]
    return [(name, value) for name, value in named if value.requires_grad]


def live(learner: Any) -> list[torch.Tensor]:
    """The parameters that `targets` follow, in the same order."""
    found = list(learner.mac.agent.parameters())
    return found + (list(learner.mixer.parameters()) if learner.mixer is not None else [])


def targets(learner: Any) -> list[torch.Tensor]:
    """The parameters of the target networks."""
    found = list(learner.target_mac.agent.parameters())
    return found + (list(learner.target_mixer.parameters()) if learner.mixer is not None else [])


def settings(host: Host, algorithm: str, tmp_path: Path, **changes: Any) -> dict[str, Any]:
    """The checked configuration of a tiny run."""
    updates = configuration.merge({}, {**TINY, "local_results_path": str(tmp_path / "results")})
    configuration.merge(updates, changes)
    updates["env_args"] = {name: value for name, value in updates["env_args"].items() if value is not None}
    before = configuration.assemble(host, algorithm, None, updates)
    updates = {name: value for name, value in updates.items() if name in before or name == "seed"}
    final = checks.check(host, before, updates, {})
    final["env_args"] = {name: value for name, value in final["env_args"].items() if value is not None}
    final["env_args"]["seed"] = final["seed"]
    return final


def train(
    host: Host, algorithm: str, tmp_path: Path, monkeypatch: Any, **changes: Any
) -> tuple[Watched, Heard]:
    """Train a tiny run on `host`; returns its learner, watched, and what was logged and recorded."""
    config = settings(host, algorithm, tmp_path, **changes)
    heard = Heard(tmp_path)
    caught: list[Watched] = []
    build = host.parts().learners[config["learner"]]

    def catch(*args: Any, **kwargs: Any) -> Any:
        learner = build(*args, **kwargs)
        if hasattr(learner, "target_mac") and hasattr(learner, "mixer"):
            caught.append(Watched(learner))
        return learner

    monkeypatch.setitem(host.parts().learners, config["learner"], catch)
    monkeypatch.setattr(host, "recorder", heard)
    module = importlib.import_module(ENTRANCE[host.name])
    torch.manual_seed(config["seed"])
    np.random.seed(config["seed"])
    if host.name == "embedded":
        module.run_sequential(module.arguments(config, heard.console_logger), heard, heard, run_dir=tmp_path)
    else:
        extra = {"device": "cpu", "device_cnn_modules": "cpu"}
        extra |= {"unique_token": "", "results_path": str(tmp_path)}
        module.run_sequential(SimpleNamespace(**{**config, **extra}), heard)
    return (caught[0] if caught else None), heard  # type: ignore[return-value]
