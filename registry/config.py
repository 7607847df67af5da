"""From names on the command line to one checked configuration.

Order: host default.yaml, plugins/config/envs/async.yaml (or the host's), the algorithm's yaml, the paper's
Table 4 if `paper` is True, the command line.
"""

import importlib.util
import os
import re
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

from async_envs.core.errors import unknown_name
from registry import catalog
from registry.hosts.base import ENV, Host

OURS = Path(__file__).resolve().parent.parent / "plugins" / "config"
HOST_PREFIX = "host:"
ENV_KEYS = ("key", "vsp")  # of env_args, beside a family's options
MAX_SEED = 2**32 - 1  # numpy's

NO_CONFIG = (
    "--config is missing: which algorithm? Known: {known}. The host's own are written host:NAME ({hosts})."
)
NO_TASK = (
    "no task was named. Add `with env_args.key=async:poac` (python -m registry keys lists all), "
    "or --env-config=NAME."
)
TASK_ELSEWHERE = "{given}={value}: a task is named by env_args.key. Write env_args.key={value}."
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
BAD_YAML = "{path}: this is not a configuration ({error}). Mend the file."
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


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping that a yaml file holds.

    Raises:
        ValueError: unreadable, no yaml, or no mapping; one line.
    """
    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ValueError(BAD_YAML.format(path=path, error=" ".join(str(error).split()))) from error
    if not isinstance(loaded, dict):
        raise ValueError(BAD_YAML.format(path=path, error=f"a {type(loaded).__name__}, not key: value lines"))
    return loaded


def merge(base: dict[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `over` laid on it, mapping by mapping; changes and returns `base`."""
    for key, value in over.items():
        if isinstance(value, Mapping):
            below = base.get(key)
            base[key] = merge(below if isinstance(below, dict) else {}, value)
        else:
            base[key] = value
    return base


def yaml_names(folder: Path) -> list[str]:
    """Names of the yaml files in `folder`."""
    return sorted(path.stem for path in folder.glob("*.yaml"))


def _find(folder: Path, name: str, where: str, kind: str, others: list[str]) -> Path:
    known = yaml_names(folder)
    if name not in known:
        raise ValueError(unknown_name(where, kind, name, known + others))
    return folder / f"{name}.yaml"


def algorithm_yaml(host: Host, name: str | None, linked: Path | None = None) -> Path:
    """The file of `--config=NAME` (ours; in a linked checkout the checkout's) or `--config=host:NAME`.

    Raises:
        ValueError: no name, or an unknown one; one line with the nearest names.
    """
    own = linked / "src" / "config" / "algs" if linked else OURS / "algs"
    hosts = yaml_names(host.config_dir / "algs")
    if not name:
        known = ", ".join(yaml_names(own))
        raise ValueError(NO_CONFIG.format(known=known, hosts=", ".join(hosts) or f"{host.name} has none"))
    if name.startswith(HOST_PREFIX):
        name = name[len(HOST_PREFIX):]
        return _find(host.config_dir / "algs", name, f"--config={HOST_PREFIX}{name}", "algorithm", [])
    return _find(own, name, f"--config={name}", "algorithm", [HOST_PREFIX + known for known in hosts])


def env_yaml(host: Host, name: str | None, key: Any) -> Path:
    """The file of `--env-config=NAME`; ours when it is left out and the key is ours.

    Raises:
        ValueError: no task was named, or an unknown file; one line.
    """
    if name is None and catalog.is_key(key):
        name = ENV
    if name is None and isinstance(key, str):
        catalog.parse_key(key)  # says what is wrong with it
    if name is None:
        raise ValueError(NO_TASK)
    if name == ENV:
        return OURS / "envs" / "async.yaml"
    return _find(host.config_dir / "envs", name, f"--env-config={name}", "environment file", [ENV])


def assemble(
    host: Host, alg: str | None, env: str | None, updates: Mapping[str, Any], linked: Path | None = None
) -> dict[str, Any]:
    """The configuration that stands before the command line's values are laid over it.

    Every option of the chosen family is in it (null = its default), and every switch of ours.

    Raises:
        ValueError: an unknown name or a broken file; one line.
    """
    alg_path = algorithm_yaml(host, alg, linked)
    asked = updates.get("env_args")
    key = asked.get("key") if isinstance(asked, Mapping) else None
    if key is None:
        check_task_is_named_by_its_key(updates)
    config = read_yaml(host.config_dir / "default.yaml")
    merge(config, deepcopy(dict(host.extra_config)))
    switches = read_yaml(OURS / "envs" / "async.yaml")
    merge(config, {name: switches[name] for name in switches if name not in config and name != "env_args"})
    merge(config, read_yaml(env_yaml(host, env, key)))
    merge(config, read_yaml(alg_path))
    if updates.get("paper", config.get("paper")) is True:
        merge(config, paper_settings(config))
    key = key if key is not None else config["env_args"].get("key")
    if config["env"] == ENV and key is not None:
        family, _ = catalog.parse_key(key)
        options: dict[str, Any] = {option.name: None for option in family.options}
        config["env_args"] = {**options, **config["env_args"]}
    return config


def paper_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """Table 4 of the paper for the algorithm of `config`; for actor-critics, of the keys that it has."""
    from plugins.learners import ACTOR_CRITICS

    if config.get("learner") in ACTOR_CRITICS:
        settings = read_yaml(OURS / "paper_actor_critic.yaml")
        return {name: value for name, value in settings.items() if name in config}
    return read_yaml(OURS / "paper.yaml")


def check_task_is_named_by_its_key(updates: Mapping[str, Any], where: str = "") -> None:
    """Refuse a key of ours that is the value of anything but env_args.key."""
    for name, value in updates.items():
        if catalog.is_key(value) and f"{where}{name}" != "env_args.key":
            raise ValueError(TASK_ELSEWHERE.format(given=f"{where}{name}", value=value))
        if name == "env_args" and isinstance(value, Mapping):
            check_task_is_named_by_its_key(value, "env_args.")


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
    from plugins.envs import NO_REPLAY, build_simulator, env_info, family_method
    from plugins.learners import ACTOR_CRITICS
    from plugins.mixers import Sizes, build_mixer

    simulator = build_simulator(catalog.make, config["env_args"], batch_size=1)
    if config["learner"] in host.parts().ours["learners"] and config["learner"] not in ACTOR_CRITICS:
        sizes = Sizes(simulator.n_agents, simulator.state_dim, simulator.obs_dim, simulator.n_actions)
        build_mixer(config["mixer"], sizes, config)
    if config["save_replay"]:
        family_method(simulator, "save_replay", NO_REPLAY)
    host.check_memory(config, env_info(simulator))


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


def folder_name(text: str) -> str:
    """`text` as a folder name that every file system accepts: async:poac becomes async-poac."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", text)


def task_folder(config: Mapping[str, Any]) -> Path:
    """Where the runs of this algorithm on this task lie: <results>/sacred/<name>/<task>."""
    env_args = config["env_args"]
    task = env_args.get("map_name") or env_args.get("key") or config["env"]
    root = Path(config["local_results_path"]).absolute() / "sacred"
    return root / folder_name(str(config["name"])) / folder_name(str(task))
