"""Algorithms of ours by name, and the check of a whole configuration before a run starts."""

from importlib import resources
from typing import Any, Mapping

import yaml

from async_envs.core.errors import unknown_name
from plugins.config.keys import (
    BaseKeys,
    OptimiserKeys,
    OurKeys,
    ValueLearnerKeys,
    check_keys,
    read_keys,
    read_proxy_history,
)
from plugins.learners import LEARNERS
from plugins.mixers import mixer_spec

__all__ = ["check_config", "config_names", "load_alg", "load_paper"]


def config_names() -> list[str]:
    """Names of our algorithms, sorted: what --config accepts."""
    folder = resources.files("plugins.config").joinpath("algs")
    names = [entry.name for entry in folder.iterdir()]
    return sorted(name.removesuffix(".yaml") for name in names if name.endswith(".yaml"))


def load_alg(name: str) -> dict[str, Any]:
    """The keys and values of one algorithm.

    Raises:
        ValueError: there is none of that name; the line offers the nearest.
    """
    names = config_names()
    if name not in names:
        raise ValueError(unknown_name("--config", "algorithm", name, names))
    return _load(f"algs/{name}.yaml")


def load_paper() -> dict[str, Any]:
    """Table 4 of the paper: what `paper=True` lays over any algorithm."""
    return _load("paper.yaml")


def check_config(config: Mapping[str, Any]) -> None:
    """Refuse a configuration that cannot be run as it says.

    Checked: EPyMARL's keys that we use and ours, those that are there; all keys of our learner and its
    mixer where the learner is ours; pairs of keys that contradict each other.

    Raises:
        ValueError: wrong type, out of bounds, missing or contradictory; one line.
    """
    where = f"config {config.get('name', 'of this run')}"
    check_keys(BaseKeys, config, where)
    check_keys(OurKeys, config, where)
    _check_pairs(config, where)
    if config.get("learner") in LEARNERS:
        _check_ours(config, where)


def _check_ours(config: Mapping[str, Any], where: str) -> None:
    read_keys(ValueLearnerKeys, config, where)
    optimisers = read_keys(OptimiserKeys, config, where)
    if (optimisers.mixer_optimiser is None) != (optimisers.mixer_lr is None):
        raise ValueError(
            f"{where}: mixer_optimiser={optimisers.mixer_optimiser!r} does not go with "
            f"mixer_lr={optimisers.mixer_lr!r}, expected both (the mixer has an optimiser of its own) or "
            "neither. Set the other one too."
        )
    spec = mixer_spec(config["mixer"])
    _check_learner_is_the_mixers(config["learner"], config["mixer"], where)
    read_keys(spec.keys, config, where)
    read_proxy_history(config, config["mixer"], spec.vsp, where)
    if not config["common_reward"]:
        raise ValueError(
            f"{where}: common_reward=False does not fit mixer={config['mixer']!r}, which learns one "
            "value for the team, "
            "expected True. Set common_reward=True."
        )
    environment = config.get("env_args") or {}
    if spec.vsp and environment.get("vsp"):
        raise ValueError(
            f"{where}: env_args.vsp=True and mixer={config['mixer']!r} both add proxies, expected one "
            "of the two. "
            "Set env_args.vsp=False, or take a mixer without proxies."
        )
    name = str(config.get("name", ""))
    if config["mixer"] == "boltzmann_heads" and "mvd" in name:
        raise ValueError(
            f"{where}: mixer='boltzmann_heads' is not monotone and so is not MVD, expected another "
            f"name than {name!r}. "
            "Set name=boltzmann_heads."
        )


def _check_learner_is_the_mixers(learner: str, mixer: str, where: str) -> None:
    """Refuse a pair of two algorithms: every learner of ours runs every mixer, so it would train silently."""
    needed = f"{mixer}_learner"
    if needed in LEARNERS and learner != needed:
        raise ValueError(
            f"{where}: learner={learner!r} and mixer={mixer!r} are of two algorithms, expected one. "
            f"Take --config={mixer}, or set learner={needed} too."
        )


def _check_pairs(config: Mapping[str, Any], where: str) -> None:
    for smaller, larger, what_to_do in (
        ("batch_size", "buffer_size", "Raise buffer_size or lower batch_size."),
        ("batch_size_run", "buffer_size", "Raise buffer_size or lower batch_size_run."),
        ("epsilon_finish", "epsilon_start", "Exploration falls from epsilon_start to epsilon_finish."),
    ):
        if smaller in config and larger in config and config[smaller] > config[larger]:
            raise ValueError(
                f"{where}: {smaller}={config[smaller]} is more than {larger}={config[larger]}, "
                f"expected at most that. {what_to_do}"
            )


def _load(path: str) -> dict[str, Any]:
    text = resources.files("plugins.config").joinpath(path).read_text(encoding="utf-8")
    loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded
