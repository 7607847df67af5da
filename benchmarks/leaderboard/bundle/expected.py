"""The configuration that a protocol asks for, put together again from this version's files."""

import json
from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from typing import Any, Iterator, Mapping

from benchmarks.leaderboard.bundle.refusal import harmless
from benchmarks.leaderboard.protocol import Protocol, Task
from registry import catalog, checks
from registry import config as configuration
from registry.hosts import select

__all__ = ["config_differences", "expected_config", "longest_rollout"]

# What a run may choose for itself: where it runs, what it writes and shows. Results do not depend on any of it.
FREE = frozenset(
    "buffer_cpu_only checkpoint_buffer checkpoint_interval compact_buffer device hypergroup label "
    "learner_log_interval local_results_path log_interval progress runner_log_interval save_best_model "
    "save_model save_model_interval threads use_cuda use_tensorboard use_wandb wandb_mode wandb_project "
    "wandb_save_model wandb_team".split()
)
IMPLIED = Path(__file__).resolve().parent / "implied_settings.json"


def expected_config(protocol: Protocol, task: Task, algorithm: str, seed: int) -> dict[str, Any]:
    """The whole configuration of a cell, as a run of this version would record it.

    Raises:
        ValueError: the protocol's settings are not accepted; one line.
    """
    settings = {
        **protocol.settings,
        **task.settings,
        "env_args.key": task.key,
        "t_max": task.t_max,
        "test_interval": protocol.test_interval,
        "test_nepisode": protocol.test_nepisode,
    }
    config = deepcopy(_assembled(algorithm, json.dumps(settings)))
    config["seed"] = seed
    return config


def longest_rollout(config: Mapping[str, Any]) -> int:
    """Environment steps that one rollout of this configuration has at most; tests come between two rollouts.

    Raises:
        ValueError: a task or options that are not accepted; one line.
    """
    return int(config["batch_size_run"]) * _episode_limit(json.dumps(config["env_args"], sort_keys=True))


@lru_cache(maxsize=256)
def _episode_limit(env_args: str) -> int:
    from plugins.envs import build_simulator

    simulator = build_simulator(catalog.make, json.loads(env_args), batch_size=1)
    limit = int(simulator.episode_limit)
    simulator.close()
    return limit


@lru_cache(maxsize=256)
def _assembled(algorithm: str, settings: str) -> dict[str, Any]:
    host = select.choose("embedded")
    updates = configuration.nested(json.loads(settings))
    config = configuration.assemble(host, algorithm, None, updates)
    checks.check_known(config, updates)
    return configuration.merge(config, {**updates, "env_args": _as_recorded(updates["env_args"])})


def _as_recorded(env_args: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a task as a run records them: a list that a protocol writes as a text is one."""
    family, _ = catalog.parse_key(env_args["key"])
    options = {name: value for name, value in env_args.items() if name in {each.name for each in family.options}}
    return {**env_args, **family.check_options(env_args["key"], options)}


def config_differences(
    given: Mapping[str, Any], expected: Mapping[str, Any]
) -> Iterator[tuple[str, str, str]]:
    """(name, value given, value expected) where they differ; the run's own business is passed over.

    A name that holds a dot differs whatever its value: it would stand for a nested one, which is what is played.
    Settings come and go between versions: a name that one of the two lacks counts as the value that
    `implied_settings.json` lists for it.
    """
    for name, value in _dotted(given):
        yield harmless(name, 60), harmless(repr(value), 60), "no name with a dot in it"
    theirs, ours, implied = dict(_flat(given)), dict(_flat(expected)), _implied()
    for name in sorted({*theirs, *ours}):
        if name.partition(".")[0] in FREE:
            continue
        one, other = (config.get(name, implied.get(name)) for config in (theirs, ours))
        if one != other or isinstance(one, bool) != isinstance(other, bool):
            yield harmless(name, 60), harmless(repr(one), 60), harmless(repr(other), 60)


@lru_cache(maxsize=1)
def _implied() -> dict[str, Any]:
    """Setting -> value that a version without it stood for."""
    listed: dict[str, dict[str, Any]] = json.loads(IMPLIED.read_text(encoding="utf-8"))
    return {name: entry["value"] for name, entry in listed.items()}


def _dotted(config: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Names that hold a dot, at any depth, and their values."""
    for name, value in config.items():
        if "." in name:
            yield name, value
        if isinstance(value, Mapping):
            yield from _dotted(value)


def _flat(config: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted names and values; null ones are left out, as they stand for a default."""
    for name, value in config.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name}.")
        elif value is not None:
            yield f"{before}{name}", list(value) if isinstance(value, tuple) else value
