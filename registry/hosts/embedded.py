"""The host *embedded*: src/epymarl_lite, our own small EPyMARL, so that a fresh clone runs."""

import importlib
import importlib.util
import logging
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Mapping

from async_envs.core.compile import keep, warm_up
from async_envs.core.seeding import episode_seed
from plugins.envs import AsyncEnv
from registry.catalog import make
from registry.hosts import base

SOURCE = Path(__file__).resolve().parent.parent.parent / "src"


def make_env(**kwargs: Any) -> AsyncEnv:
    """Our environment in EPyMARL's shape (pickled by name for workers)."""
    return AsyncEnv(make, **kwargs)


def compile_buffer() -> None:
    """Compile the replay buffer's kernels once on this machine; epymarl_lite has no cache of its own."""
    column_code = importlib.import_module("epymarl_lite.components.column_code")
    episode_code = importlib.import_module("epymarl_lite.components.episode_code")
    keep(column_code.KERNELS)
    warm_up("replay-buffer", episode_code.call_every_kernel, about_s=4.0)


class Embedded(base.Host):
    """The host that this repository brings along."""

    name = "embedded"
    is_ours = True

    def __init__(self) -> None:
        super().__init__()
        if importlib.util.find_spec("epymarl_lite") is None:
            sys.path.insert(0, str(SOURCE))
        self.config_dir = SOURCE / "epymarl_lite" / "config"

    def _load(self) -> base.Parts:
        parts = base.Parts(
            envs=importlib.import_module("epymarl_lite.envs").REGISTRY,
            runners=importlib.import_module("epymarl_lite.runners").REGISTRY,
            controllers=importlib.import_module("epymarl_lite.controllers").REGISTRY,
            learners=importlib.import_module("epymarl_lite.learners").REGISTRY,
            agents={},
            episode_batch=importlib.import_module("epymarl_lite.components.episode_batch").EpisodeBatch,
        )
        for name in ("episode", "parallel"):
            parts.runners[name] = partial(parts.runners[name], episode_seed=episode_seed)
        parts.ours = {
            "envs": base.add(parts.envs, {base.ENV: make_env}, shadow=True),
            "runners": base.add(parts.runners, base.runners(self)),
            "controllers": base.add(parts.controllers, base.controllers()),
            "learners": base.add(parts.learners, base.learners()),
        }
        return parts

    def check_memory(self, config: Mapping[str, Any], env_info: Mapping[str, int]) -> None:
        from epymarl_lite.run import check_memory, layout

        args = SimpleNamespace(**config)
        check_memory(args, *layout(args, env_info), env_info["episode_limit"] + 1)

    def run(self, run: Any, config: dict[str, Any], log: logging.Logger, resume: Any = None) -> None:
        from epymarl_lite.interrupt import Interrupted
        from epymarl_lite.run import run as run_here

        self.parts()
        compile_buffer()
        try:
            run_here(run, config, log, recorder=self.recorder, resume=resume)
        except Interrupted as stop:
            raise base.Interrupted(stop.signum, str(stop)) from stop
