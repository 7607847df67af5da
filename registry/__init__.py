"""What exists and where it goes: the catalog of tasks, the hosts, the launcher, the recorder."""

from typing import Any

__all__ = ["make"]


def __getattr__(name: str) -> Any:
    if name == "make":
        from registry.catalog import make

        return make
    raise AttributeError(f"module 'registry' has no attribute {name!r}. Known: make.")
