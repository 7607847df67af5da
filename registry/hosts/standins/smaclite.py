"""Stands in for the package smaclite where it is not installed: importing it is fine, using it is not."""

from typing import Any

MISSING = "env=smaclite: the package smaclite is not installed. Install it from its repository, or use ours."


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    raise ImportError(MISSING)
