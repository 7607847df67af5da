"""Environments by name: `REGISTRY[name](**env_args, common_reward=…, reward_scalarisation=…)`."""

from typing import Any, Callable

REGISTRY: dict[str, Callable[..., Any]] = {}
