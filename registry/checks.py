"""Every check of a configuration that needs no run: what is wrong is one line, before anything is written."""

import importlib.util
import os
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

from async_envs.core.errors import unknown_name
from registry import catalog
from registry.config import folder_name, is_folder_name, merge
from registry.hosts.base import ENV, Host

ENV_KEYS = ("key", "vsp")  # of env_args, beside a family's options
MAX_SEED = 2**32 - 1  # numpy's

IN_ENV_ARGS = "{given}={value!r}: this is a key of env_args. Write env_args.{given}={value}."
ONE_AT_A_TIME = (
    "runner=episode: batch_size_run={given} is not accepted, it plays one at a time. Set batch_size_run=1."
)
HIDDEN = (
    "env_args.{option}={value!r} does not tell executing agents from others, and {reader} must know. Leave out "
    "env_args.{option}."
)
NO_BEST = "save_best_model=True: the host {host} keeps no best model. Use the embedded host, or save_model=True."
NO_WANDB_PLACE = "use_wandb=True: {missing} is not set. Set wandb_team and wandb_project."
NO_KEY = "env_args.key is missing: which task? Add `with env_args.key=async:poac`. Known: {known}."
BAD_NAME = (
    "name={given!r}: results lie in a folder of that name, expected a text that is more than dots. Choose another name."
)
BAD_SEED = "seed={seed!r} is not accepted, expected a whole number from 0 to {high}."
SEED_OF_ENV = "env_args.seed={seed!r} is not accepted: a task's seed is the run's. Write seed={seed!r}."
NEEDS_MAC = "learner={learner}: mac={mac!r} cannot unroll whole episodes. Use mac={ours}."
NEEDS_VECTOR_MAC = (
    "runner={runner}: mac={mac!r} cannot act for many episodes at once. Use mac=async_mac or runner=episode."
)
NOT_WRITABLE = "local_results_path={root}: results cannot be written there ({why}). Name another folder."
NO_CHECKPOINT = "checkpoint_path={path}: {why}. Name the folder that holds a folder for each step (models/)."
NO_WANDB = "use_wandb=True: the package wandb is not installed. Run pip install wandb, or leave it out."
NO_TENSORBOARD = (
    "use_tensorboard=True: the package tensorboard is not installed. Run pip install tensorboard, or leave "
    "it out."
)
NO_MODEL = "{switch}=True plays a saved model: which one? Add checkpoint_path=FOLDER, a run's models folder."
BAD_VSP = "{key}: option vsp={given!r} is not accepted, expected True or False."


def check(
    host: Host, config: Mapping[str, Any], updates: Mapping[str, Any], options: Mapping[str, Any]
) -> dict[str, Any]:
    """The configuration with the command line's values, after every check that needs no run.

    Args:
        config: from `assemble`.
        updates: the command line's values, nested.
        options: sacred's flags, e.g. {"--unobserved": True}.

    Raises:
        ValueError: what is wrong, in one line; nothing was written.
    """
    from plugins.config.schema import check_config

    check_known(config, updates)
    final = merge(deepcopy(dict(config)), updates)
    check_seed(final)
    if final["env"] == ENV:
        check_task(final["env_args"])
    check_config(final)
    if final["env"] == ENV:
        check_statuses_are_shown(final)
    check_names(host, final)
    if final["save_best_model"] and not host.is_ours:
        raise ValueError(NO_BEST.format(host=host.name))
    host.check(final, options)
    check_name(final["name"])
    check_results_root(final["local_results_path"])
    check_checkpoint(final)
    check_sizes(host, final)
    check_wandb(final)
    if final.get("use_tensorboard") and importlib.util.find_spec("tensorboard") is None:
        raise ValueError(NO_TENSORBOARD)
    return final


def check_known(config: Mapping[str, Any], updates: Mapping[str, Any], where: str = "") -> None:
    """Refuse a key that the configuration does not have, naming the nearest."""
    ours = config.get("env") == ENV or updates.get("env") == ENV
    for name, value in updates.items():
        if name == "seed" and not where:
            continue
        if name not in config and not where and name in (config.get("env_args") or {}):
            raise ValueError(IN_ENV_ARGS.format(given=name, value=value))
        if name not in config:
            raise ValueError(unknown_name(f"{where}{name}={value!r}", "configuration key", name, config))
        if isinstance(value, Mapping) and isinstance(config[name], Mapping) and config[name]:
            if not (ours and name == "env_args"):  # a family judges its own options
                check_known(config[name], value, f"{name}.")


def check_seed(config: Mapping[str, Any]) -> None:
    """Refuse a seed that a generator would not take."""
    seed = config.get("seed", 0)
    if type(seed) is not int or not 0 <= seed <= MAX_SEED:
        raise ValueError(BAD_SEED.format(seed=seed, high=MAX_SEED))


def check_task(env_args: Mapping[str, Any]) -> None:
    """Refuse an unknown key or option, and a value that the family does not accept."""
    if "seed" in env_args:
        raise ValueError(SEED_OF_ENV.format(seed=env_args["seed"]))
    key = env_args.get("key")
    if key is None:
        raise ValueError(NO_KEY.format(known=", ".join(catalog.keys())))
    family, _ = catalog.parse_key(key)
    key = catalog.canonical_key(key)
    if type(env_args.get("vsp", False)) is not bool:
        raise ValueError(BAD_VSP.format(key=key, given=env_args["vsp"]))
    family.check_options(key, {name: env_args[name] for name in env_args if name not in ENV_KEYS})


def check_statuses_are_shown(config: Mapping[str, Any]) -> None:
    """Refuse an option that hides who executes to whoever must know."""
    from plugins.config.schema import reader_of_statuses

    env_args = config["env_args"]
    hiding = catalog.parse_key(env_args["key"])[0].hiding_status(env_args)
    reader = reader_of_statuses(config)
    if hiding is not None and reader is not None:
        raise ValueError(HIDDEN.format(option=hiding, value=env_args[hiding], reader=reader))


def check_names(host: Host, config: Mapping[str, Any]) -> None:
    """Refuse an unknown environment, runner, controller, learner or agent, and pairs that do not fit."""
    from plugins.agents import AGENTS, POLICIES
    from plugins.learners import ACTOR_CRITICS

    parts = host.parts()
    tables = {"env": parts.envs, "runner": parts.runners, "mac": parts.controllers, "learner": parts.learners}
    for name, table in tables.items():
        if config[name] not in table:
            raise ValueError(unknown_name(f"{name}={config[name]}", name, config[name], table))
    learner, mac, runner = config["learner"], config["mac"], config["runner"]
    if learner in parts.ours["learners"]:
        if mac not in parts.ours["controllers"]:
            ours = "policy_mac" if learner in ACTOR_CRITICS else "async_mac"
            raise ValueError(NEEDS_MAC.format(learner=learner, mac=mac, ours=ours))
    agents = POLICIES if mac == "policy_mac" else AGENTS
    if mac in parts.ours["controllers"] and config["agent"] not in agents:
        raise ValueError(unknown_name(f"agent={config['agent']}", "agent", config["agent"], agents))
    if runner == "episode" and config["batch_size_run"] != 1:
        raise ValueError(ONE_AT_A_TIME.format(given=config["batch_size_run"]))
    if runner in parts.ours["runners"] and mac not in parts.ours["controllers"]:
        raise ValueError(NEEDS_VECTOR_MAC.format(runner=runner, mac=mac))


def check_sizes(host: Host, config: Mapping[str, Any]) -> None:
    """Refuse what does not fit the task's sizes: a mixer's options, a replay buffer above the memory."""
    if config["env"] != ENV:
        return
    from plugins.envs import NO_REPLAY, build_simulator, check_pictures, env_info, family_method
    from plugins.learners import ACTOR_CRITICS
    from plugins.mixers import Sizes, build_mixer

    simulator = build_simulator(catalog.make, config["env_args"], batch_size=1)
    if config["learner"] in host.parts().ours["learners"] and config["learner"] not in ACTOR_CRITICS:
        sizes = Sizes(simulator.n_agents, simulator.state_dim, simulator.obs_dim, simulator.n_actions)
        build_mixer(config["mixer"], sizes, config)
    if config.get("render"):
        check_pictures(simulator)
    if config["save_replay"]:
        family_method(simulator, "save_replay", NO_REPLAY)
    host.check_memory(config, env_info(simulator))


def check_name(name: str) -> None:
    """Refuse a name whose results would lie above or beside the folders of other algorithms."""
    if not is_folder_name(folder_name(name)):
        raise ValueError(BAD_NAME.format(given=name))


def check_results_root(root: str | os.PathLike[str]) -> None:
    """Refuse a results folder that cannot be made or written; makes nothing."""
    path = Path(root).absolute()
    existing = next(folder for folder in (path, *path.parents) if os.path.exists(folder))
    if not os.path.isdir(existing):
        raise ValueError(NOT_WRITABLE.format(root=root, why=f"{existing} is a file"))
    if not os.access(existing, os.W_OK | os.X_OK):
        raise ValueError(NOT_WRITABLE.format(root=root, why=f"no permission to write in {existing}"))


def check_checkpoint(config: Mapping[str, Any]) -> None:
    """Refuse a missing or empty folder of saved models, and none where one is to be played."""
    given = config["checkpoint_path"]
    if given == "":
        for switch in ("evaluate", "save_replay"):
            if config[switch]:
                raise ValueError(NO_MODEL.format(switch=switch))
        return
    if not os.path.isdir(given):
        raise ValueError(NO_CHECKPOINT.format(path=given, why="there is no such folder"))
    try:
        has_models = any(entry.is_dir() and entry.name.isdigit() for entry in Path(given).iterdir())
    except OSError as error:
        raise ValueError(NO_CHECKPOINT.format(path=given, why=f"it cannot be read ({error.strerror})")) from error
    if not has_models:
        raise ValueError(NO_CHECKPOINT.format(path=given, why="no saved models lie in it"))


def check_wandb(config: Mapping[str, Any]) -> None:
    """Refuse logging to W&B without the package, or without the names it files a run under."""
    if not config.get("use_wandb"):
        return
    if importlib.util.find_spec("wandb") is None:
        raise ValueError(NO_WANDB)
    for name in ("wandb_team", "wandb_project"):
        if not config.get(name):
            raise ValueError(NO_WANDB_PLACE.format(missing=name))
