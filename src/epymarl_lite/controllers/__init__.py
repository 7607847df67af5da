"""Controllers by name: `REGISTRY[name](scheme, groups, args)`."""

from typing import Any, Callable

REGISTRY: dict[str, Callable[..., Any]] = {}
