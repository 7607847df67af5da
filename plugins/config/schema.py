"""Algorithms of ours by name, and the check of a whole configuration before a run starts."""

from importlib import resources
from typing import Any, Mapping

import yaml

from async_envs.core.errors import unknown_name
from plugins.config.keys import BaseKeys, EpsilonSoftKeys, OptimiserKeys, OurKeys, ValueLearnerKeys
from plugins.config.mixer_keys import read_proxy_history
from plugins.config.reading import check_keys, read_keys
from plugins.config.on_policy import check_fresh_episodes
from plugins.learners import ACTOR_CRITICS, LEARNERS, learner_keys, takes_any_mixer
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


def load_paper(learner: object = None) -> dict[str, Any]:
    """Table 4 of the paper: what `paper=True` lays over an algorithm with this learner."""
    return _load("paper_actor_critic.yaml" if learner in ACTOR_CRITICS else "paper.yaml")


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
    if config.get("learner") in ACTOR_CRITICS:
        _check_actor_critic(config, where)
    elif config.get("learner") in LEARNERS:
        _check_ours(config, where)


def reader_of_statuses(config: Mapping[str, Any]) -> str | None:
    """What of a configuration must know deciding, executing and inactive agents apart, for error lines; or None."""
    learner = config.get("learner")
    if learner in ACTOR_CRITICS:
        return f"learner={learner!r}"
    if learner in LEARNERS and mixer_spec(config["mixer"]).vsp:
        return f"mixer={config['mixer']!r}"
    return "env_args.vsp=True" if (config.get("env_args") or {}).get("vsp") else None


def _check_actor_critic(config: Mapping[str, Any], where: str) -> None:
    read_keys(learner_keys(config["learner"]), config, where)
    check_fresh_episodes(config, where)
    if config["action_selector"] == "epsilon_soft":
        read_keys(EpsilonSoftKeys, config, where)
    if not config["common_reward"]:
        raise ValueError(
            f"{where}: common_reward=False does not fit learner={config['learner']!r}, which learns from the "
            "team's reward, expected True. Set common_reward=True."
        )
    if (config.get("env_args") or {}).get("vsp"):
        raise ValueError(
            f"{where}: env_args.vsp=True gives learner={config['learner']!r} agents that never decide, expected "
            "False. Set env_args.vsp=False."
        )


def _check_ours(config: Mapping[str, Any], where: str) -> None:
    read_keys(ValueLearnerKeys, config, where)
    if config.get("mac") == "policy_mac":
        raise ValueError(
            f"{where}: mac='policy_mac' has no utilities for learner={config['learner']!r}, expected "
            "'async_mac'. Set mac=async_mac."
        )
    optimisers = read_keys(OptimiserKeys, config, where)
    if (optimisers.mixer_optimiser is None) != (optimisers.mixer_lr is None):
        raise ValueError(
            f"{where}: mixer_optimiser={optimisers.mixer_optimiser!r} does not go with "
            f"mixer_lr={optimisers.mixer_lr!r}, expected both (the mixer has an optimiser of its own) or "
            "neither. Set the other one too."
        )
    spec = mixer_spec(config["mixer"])
    _check_learner_is_the_mixers(config["learner"], config["mixer"], where)
    _check_explorer_is_taught(config, where)
    read_keys(spec.keys, config, where)
    read_keys(learner_keys(config["learner"]), config, where)
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
    if needed in LEARNERS and learner != needed and not takes_any_mixer(learner):
        raise ValueError(
            f"{where}: learner={learner!r} and mixer={mixer!r} are of two algorithms, expected one. "
            f"Take --config={mixer}, or set learner={needed} too."
        )


def _check_explorer_is_taught(config: Mapping[str, Any], where: str) -> None:
    """Refuse an exploration policy without the learner that moves it, and that learner without one."""
    if (config["learner"] == "ices_learner") != (config.get("mac") == "ices_mac"):
        raise ValueError(
            f"{where}: learner={config['learner']!r} and mac={config.get('mac')!r} do not go together, expected "
            "ices_learner with ices_mac, or neither. Take --config=ices, or another algorithm's file."
        )


def _check_pairs(config: Mapping[str, Any], where: str) -> None:
    for smaller, larger, what_to_do in (
        ("batch_size", "buffer_size", "Raise buffer_size or lower batch_size."),
        ("batch_size_run", "buffer_size", "Raise buffer_size or lower batch_size_run."),
        ("ices_beta_finish", "ices_beta_start", "The policy's share falls from ices_beta_start to ices_beta_finish."),
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
