"""From names on the command line to one configuration, which `checks` judges.

Order: host default.yaml, plugins/config/envs/async.yaml (or the host's), the algorithm's yaml, the paper's
Table 4 if `paper` is True, the command line.
"""

import re
import warnings
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

NO_CONFIG = (
    "--config is missing: which algorithm? Known: {known}. The host's own are written host:NAME ({hosts})."
)
NO_TASK = (
    "no task was named. Add `with env_args.key=async:poac` (python -m registry keys lists all), "
    "or --env-config=NAME."
)
TASK_ELSEWHERE = "{given}={value}: a task is named by env_args.key. Write env_args.key={value}."
BAD_YAML = "{path}: this is not a configuration ({error}). Mend the file."


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


def nested(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted names as mappings in mappings, as the command line has them: {"a.b": 1} is {"a": {"b": 1}}."""
    with warnings.catch_warnings():  # about a package that sacred itself imports
        warnings.filterwarnings("ignore", "pkg_resources is deprecated")
        from sacred.utils import convert_to_nested_dict
    found: dict[str, Any] = convert_to_nested_dict(settings)
    return found


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


def folder_name(text: str) -> str:
    """`text` as a folder name that every file system accepts: async:poac becomes async-poac."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", text)


def is_folder_name(text: str) -> bool:
    """Whether `text` names a folder of its own: nothing that `folder_name` would change, and more than dots."""
    return folder_name(text) == text and text.strip(".") != ""


def task_folder(config: Mapping[str, Any]) -> Path:
    """Where the runs of this algorithm on this task lie: <results>/sacred/<name>/<task>."""
    env_args = config["env_args"]
    task = env_args.get("map_name") or env_args.get("key") or config["env"]
    root = Path(config["local_results_path"]).absolute() / "sacred"
    return root / folder_name(str(config["name"])) / folder_name(str(task))
