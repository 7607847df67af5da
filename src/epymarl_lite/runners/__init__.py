"""Runners by name: `REGISTRY[name](args=args, logger=logger)`."""

from typing import Any, Callable

from epymarl_lite.runners.episode_runner import EpisodeRunner
from epymarl_lite.runners.parallel_runner import ParallelRunner

REGISTRY: dict[str, Callable[..., Any]] = {"episode": EpisodeRunner, "parallel": ParallelRunner}
