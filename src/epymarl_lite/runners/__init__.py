"""Runners by name: `REGISTRY[name](args=args, logger=logger)`.

Those below also want `episode_seed`, which is handed in from outside (functools.partial).
"""

from typing import Any, Callable

from epymarl_lite.runners.episode_runner import EpisodeRunner
from epymarl_lite.runners.parallel_runner import ParallelRunner

REGISTRY: dict[str, Callable[..., Any]] = {"episode": EpisodeRunner, "parallel": ParallelRunner}
