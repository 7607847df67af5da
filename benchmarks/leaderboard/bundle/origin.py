"""Which code a bundle comes from: this suite's version, and the hash of every task's own source."""

import json
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any, Iterable, Mapping

from benchmarks.leaderboard.protocol import Protocol

__all__ = ["SUITE", "environments", "own_hash", "same_rules", "suite"]

SUITE = "async-epymarl"
ENV_ARGS = "env_args."
SAME_RULES = Path(__file__).resolve().parent / "same_rules.json"


def suite() -> dict[str, str]:
    """Name and version of this suite."""
    try:
        version = metadata.version(SUITE)
    except metadata.PackageNotFoundError:  # run from its folder, not installed
        version = "0"
    return {"name": SUITE, "version": version}


def environments(protocol: Protocol, tasks: Iterable[str]) -> dict[str, str]:
    """Task -> hash of its source and of the options that the protocol gives it."""
    from registry.provenance import environment_hash

    wanted = set(tasks)
    hashes = {}
    for task in protocol.tasks:
        if task.key in wanted:
            settings = {**protocol.settings, **task.settings}
            options = {
                name.removeprefix(ENV_ARGS): value for name, value in settings.items() if name.startswith(ENV_ARGS)
            }
            hashes[task.key] = environment_hash(task.key, options)
    return hashes


def own_hash(config: Mapping[str, Any]) -> str | None:
    """The hash that this code gives the task of a run's configuration; None if it is no task of ours."""
    from registry.provenance import environment_of

    return environment_of(config)


def same_rules(task: str, given: object, own: object) -> bool:
    """Whether an environment hash stands for the rules of this code: it is its own, or `same_rules.json` lists it.

    A hash covers sources, so it moves with any edit of them. Whoever edits them without touching the rules may list
    the hash that was; that the recorded episodes come out the same, tier 3 still shows.
    """
    return given == own or given in _earlier().get(task, {})


@lru_cache(maxsize=1)
def _earlier() -> dict[str, dict[str, str]]:
    """Task -> earlier hash -> what was edited since."""
    listed: dict[str, dict[str, str]] = json.loads(SAME_RULES.read_text(encoding="utf-8"))
    return listed
