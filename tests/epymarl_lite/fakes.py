"""A tiny task, controller and learner, so that the host is tested alone; and a command that runs them.

Agents walk along a line of 5 cells; reward 1 where all stand on the goal, drawn at reset. Some episodes win
early, others meet the step limit.
"""

import argparse
import json
import logging
import os
import signal
import sys
import threading
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch as th

from async_envs.core.seeding import episode_seed
from epymarl_lite import controllers, envs, learners, runners
from epymarl_lite.interrupt import Interrupted
from epymarl_lite.progress import remember_terminal
from epymarl_lite.run import run
from epymarl_lite.runners import EpisodeRunner, ParallelRunner

N_CELLS, LIMIT = 5, 12
N_AGENTS, N_ACTIONS = 2, 3


class Line:
    """EPyMARL's environment interface; everything follows from the seed given to `reset`."""

    def __init__(
        self, seed: int, common_reward: bool, reward_scalarisation: str, fault: str | None = None, at: int = 5
    ):
        self.stream = "train"
        self.episode_limit = LIMIT
        self._common, self._fault, self._at = common_reward, fault, at
        self._steps = 0  # over all episodes

    def reset(self, seed: int | None = None, options: Any = None) -> None:
        self._random = np.random.default_rng(seed)
        self.cells = self._random.integers(0, N_CELLS, N_AGENTS)
        self.goal = int(self._random.integers(0, N_CELLS))
        self.t = 0

    def step(self, actions: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        self._steps += 1
        if self._fault is not None and self._steps >= self._at:
            reward = _break(self._fault)
            return self.get_obs(), reward, False, False, {}
        moves = np.asarray(actions) - 1
        self.cells = np.clip(self.cells + moves, 0, N_CELLS - 1)
        self.t += 1
        won = bool((self.cells == self.goal).all())
        truncated = not won and self.t >= LIMIT
        info: dict[str, Any] = {}
        if won or truncated:
            info["battle_won"] = won
        if truncated:
            info["episode_limit"] = True
        reward: Any = float(won) + float(self._random.normal()) / 8
        if not self._common:
            reward = [reward, 2.0 * reward]
        return self.get_obs(), reward, won, truncated, info

    def get_obs(self) -> list[np.ndarray]:
        own = np.eye(N_CELLS, dtype=np.float32)[self.cells]
        there = np.float32(self._random.normal())  # a feature with many values
        return [
            np.concatenate([row, [there, np.float32(self.goal / N_CELLS)]]).astype(np.float32) for row in own
        ]

    def get_state(self) -> np.ndarray:
        return np.array([*self.cells, self.goal, self.t], np.float32) / N_CELLS

    def get_avail_actions(self) -> list[list[int]]:
        return [[int(cell > 0), 1, int(cell < N_CELLS - 1)] for cell in self.cells]

    def get_env_info(self) -> dict[str, int]:
        return {
            "n_agents": N_AGENTS,
            "n_actions": N_ACTIONS,
            "obs_shape": N_CELLS + 2,
            "state_shape": N_AGENTS + 2,
            "episode_limit": LIMIT,
        }

    def render(self) -> None:
        return None

    def save_replay(self) -> None:
        return None

    def close(self) -> None:
        return None


def _break(fault: str) -> float:
    if fault == "raise":
        raise RuntimeError("the mine has collapsed")
    if fault == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if fault == "hang":
        time.sleep(3600)
    return float("nan")


class Selector:
    epsilon = 0.25


class Controller:
    """Linear utilities of the observation; explores with a generator of its own."""

    def __init__(self, scheme: Any, groups: Any, args: Any):
        self.agent = th.nn.Linear(scheme["obs"]["vshape"], args.n_actions)
        self.action_selector = Selector()
        self.generator = th.Generator().manual_seed(args.seed)
        self.uses_global_random = args.label == "global_random"

    def init_hidden(self, batch_size: int) -> None:
        return None

    def select_actions(
        self, ep_batch: Any, t_ep: int, t_env: int, bs: Any = slice(None), test_mode: bool = False
    ) -> Any:
        avail = ep_batch["avail_actions"][:, t_ep][bs]
        with th.no_grad():
            q = self.agent(ep_batch["obs"][:, t_ep][bs]).masked_fill(avail == 0, -th.inf)
        greedy = q.argmax(dim=-1)
        if self.uses_global_random:
            any_action = th.multinomial(avail.flatten(0, 1).float(), 1).view_as(greedy)
            return th.where(th.rand(greedy.shape) < 0.5, any_action, greedy)
        if test_mode:
            return greedy
        shape = greedy.shape
        any_action = th.multinomial(avail.flatten(0, 1).float(), 1, generator=self.generator).view(shape)
        return th.where(th.rand(shape, generator=self.generator) < Selector.epsilon, any_action, greedy)

    def resume_state(self) -> dict[str, Any]:
        return {"generator": self.generator.get_state()}

    def load_resume_state(self, state: dict[str, Any]) -> None:
        self.generator.set_state(state["generator"])


class Learner:
    """Regresses the chosen utility on the reward."""

    def __init__(self, mac: Any, scheme: Any, logger: Any, args: Any):
        self.mac, self.logger, self.args = mac, logger, args
        self.optimiser = th.optim.Adam(mac.agent.parameters(), lr=0.01)
        self.training_steps = 0
        self.calls: list[tuple[int, int]] = []

    def train(self, batch: Any, t_env: int, episode_num: int) -> None:
        time.sleep(float(self.args.label) if self.args.label.startswith("0.") else 0.0)
        mask = batch["filled"][:, :-1].float()
        q = self.mac.agent(batch["obs"][:, :-1]).gather(3, batch["actions"][:, :-1]).squeeze(3)
        loss = ((q.sum(2, keepdim=True) - batch["reward"][:, :-1]) ** 2 * mask).sum() / mask.sum()
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        self.training_steps += 1
        self.calls.append((t_env, episode_num))
        self.logger.log_stat("loss", loss.item(), t_env)

    def save_models(self, path: str) -> None:
        th.save(self.mac.agent.state_dict(), f"{path}/agent.th")

    def load_models(self, path: str) -> None:
        self.mac.agent.load_state_dict(th.load(f"{path}/agent.th", weights_only=True))

    def resume_state(self) -> dict[str, Any]:
        return {
            "agent": self.mac.agent.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "training_steps": self.training_steps,
        }

    def load_resume_state(self, state: dict[str, Any]) -> None:
        self.mac.agent.load_state_dict(state["agent"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.training_steps = state["training_steps"]


class Recorder:
    """Appends json lines; knows where they end."""

    def __init__(self, run_dir: Path):
        self.run_dir = Path(run_dir)
        self.run_dir.mkdir(parents=True, exist_ok=True)
        self._path = self.run_dir / "lines.jsonl"

    def metric(self, name: str, value: float, t_env: int) -> None:
        self._write([name, value, t_env])

    def test(self, t_env: int, episodes: list[dict[str, Any]], decisions: int | None) -> None:
        self._write(["test", t_env, episodes, decisions])

    def position(self) -> int:
        return self._path.stat().st_size if self._path.exists() else 0

    def rewind(self, position: int) -> None:
        os.truncate(self._path, position)

    def lines(self) -> list[Any]:
        return (
            [json.loads(line) for line in self._path.read_text().splitlines()] if self._path.exists() else []
        )

    def _write(self, line: Any) -> None:
        with self._path.open("a") as file:
            file.write(json.dumps(line) + "\n")


def register() -> None:
    """Put the fakes into the host's registries."""
    envs.REGISTRY["line"] = Line
    controllers.REGISTRY["fake_mac"] = Controller
    learners.REGISTRY["fake_learner"] = Learner
    for name, runner in {"episode": EpisodeRunner, "parallel": ParallelRunner}.items():
        runners.REGISTRY[name] = partial(runner, episode_seed=episode_seed)


def config(**changes: Any) -> dict[str, Any]:
    """default.yaml with the fakes plugged in."""
    import yaml

    import epymarl_lite

    text = (Path(epymarl_lite.__file__).parent / "config" / "default.yaml").read_text()
    ours = {
        "name": "fake",
        "seed": 1,
        "env": "line",
        "mac": "fake_mac",
        "learner": "fake_learner",
        "use_cuda": False,
        "t_max": 600,
        "test_interval": 150,
        "test_nepisode": 3,
        "log_interval": 100,
        "runner_log_interval": 50,
        "batch_size": 4,
        "buffer_size": 16,
        "updates_per_episode": 1,
        "checkpoint_interval": 100,
        "checkpoint_buffer": True,
        "save_best_model": False,
        "progress": False,
        "threads": 1,
        "compact_buffer": True,
    }
    return {**yaml.safe_load(text), **ours, **changes}


def arguments_of(**changes: Any) -> SimpleNamespace:
    """The configuration as attributes, after the host's own checks."""
    from epymarl_lite.run import arguments

    return arguments(config(**changes), logging.getLogger("test"))


def main() -> int:
    """python -m tests.epymarl_lite.fakes RUN_DIR [--resume] [--set JSON] [--kill-after S]."""
    parser = argparse.ArgumentParser()
    parser.add_argument("run_dir", type=Path)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--set", default="{}")
    parser.add_argument("--kill-after", type=int, default=0)
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    register()
    if json.loads(given.set).get("progress"):
        remember_terminal()
    recorder = Recorder(given.run_dir)
    if given.kill_after:
        _kill_when(recorder, given.kill_after)
    try:
        run(
            None,
            config(**json.loads(given.set)),
            logging.getLogger(),
            recorder,
            resume=given.run_dir if given.resume else None,
        )
    except Interrupted as stop:
        return 128 + stop.signum
    except (ValueError, RuntimeError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _kill_when(recorder: Recorder, n_bytes: int) -> None:
    """kill -9 this process once the recorder has written `n_bytes`."""

    def watch() -> None:
        while recorder.position() < n_bytes:
            time.sleep(0.0005)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    sys.exit(main())
