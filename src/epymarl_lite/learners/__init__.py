"""Learners by name: `REGISTRY[name](mac, scheme, logger, args)`."""

from typing import Any, Callable

REGISTRY: dict[str, Callable[..., Any]] = {}
