"""What a table of results is made of: tasks, algorithms, seeds, schedule; written down before anything is run.

The files in `protocols/` are YAML; `protocols/schema.json` says what may stand in them. Every algorithm and seed is
written out, so that the hash of a protocol names exactly one set of runs.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Mapping

import yaml

from async_envs.core.errors import unknown_name
from async_envs.core.keys import parse
from registry import catalog
from registry.config import OURS, folder_name, yaml_names

__all__ = ["PROTOCOLS", "Protocol", "Task", "as_dict", "available", "load", "names", "title"]

PROTOCOLS = Path(__file__).resolve().parent / "protocols"
SCHEMA = PROTOCOLS / "schema.json"
FILE = "protocol.json"  # of a results folder

NOT_A_FILE = "--protocol={given}: this file cannot be read ({why}). Name a protocol ({known}) or a YAML file."
NO_YAML = "{path}: this is not a protocol ({why}). Mend the file."
EDITED = "{path}: its hash says {said:.12}…, its content {found:.12}…: it was edited by hand. Put the original back."
TWICE = "{path}: the task {key} is there twice. Leave one out."
ONE_FOLDER = "{path}: the tasks {key} and {other} would share the folder {folder}. Put them in two protocols."
NOT_OURS_YET = "the family {family} is not part of this version"


@dataclass(frozen=True)
class Task:
    """One task with its budget."""

    key: str  # as in env_args.key, the variant written out
    t_max: int  # environment steps
    settings: Mapping[str, Any]  # dotted configuration names, laid over all cells of the task

    @property
    def folder(self) -> str:
        """The key as a folder's name."""
        return folder_name(self.key)


@dataclass(frozen=True)
class Protocol:
    """A whole protocol; `hash` names it."""

    name: str
    seeds: tuple[int, ...]
    tasks: tuple[Task, ...]
    algorithms: tuple[str, ...]  # as in --config=NAME
    settings: Mapping[str, Any]  # dotted configuration names, laid over all cells
    test_interval: int  # environment steps between tests
    test_nepisode: int  # episodes of a test
    absolute_episodes: int  # of the best model, on held-out seeds, after training; 0 = none
    hash: str  # sha256 of everything above as canonical JSON


def names() -> list[str]:
    """The protocols that come with the leaderboard."""
    return yaml_names(PROTOCOLS)


def load(name_or_path: str | Path) -> Protocol:
    """The protocol called so, or the one in that file (YAML, or a results folder's protocol.json).

    Raises:
        ValueError: no such protocol, or one that the schema, the algorithms or the hash speak against; one line.
    """
    path = PROTOCOLS / f"{name_or_path}.yaml"
    if str(name_or_path) not in names():
        path = Path(name_or_path)
        if not path.suffix:
            raise ValueError(unknown_name(f"--protocol={name_or_path}", "protocol", name_or_path, names()))
    try:
        given = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        known = ", ".join(names())
        raise ValueError(NOT_A_FILE.format(given=name_or_path, why=error.strerror, known=known)) from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise ValueError(NO_YAML.format(path=path, why=" ".join(str(error).split()))) from error
    return checked(given, path)


def checked(given: Any, path: Path) -> Protocol:
    """The protocol that `given` (read from `path`) describes.

    Raises:
        ValueError: it describes none, or is not what its own hash says; one line.
    """
    _check_schema(given, path)
    for algorithm in given["algorithms"]:
        known = yaml_names(OURS / "algs")
        if algorithm not in known:
            raise ValueError(unknown_name(str(path), "algorithm", algorithm, known))
    tasks = tuple(_task(each) for each in given["tasks"])
    by_folder: dict[str, Task] = {}
    for task in tasks:
        other = by_folder.setdefault(task.folder, task)
        if other is not task:
            line = TWICE if other.key == task.key else ONE_FOLDER
            raise ValueError(line.format(path=path, key=other.key, other=task.key, folder=task.folder))
    protocol = Protocol(
        name=given["name"],
        seeds=tuple(int(seed) for seed in given["seeds"]),  # to the schema, 1.0 is a whole number
        tasks=tasks,
        algorithms=tuple(given["algorithms"]),
        settings=MappingProxyType(dict(given["settings"])),
        test_interval=int(given["test_interval"]),
        test_nepisode=int(given["test_nepisode"]),
        absolute_episodes=int(given["absolute_episodes"]),
        hash="",
    )
    found = _hash(protocol)
    if given.get("hash", found) != found:
        raise ValueError(EDITED.format(path=path, said=given["hash"], found=found))
    return Protocol(**{**vars(protocol), "hash": found})


def as_dict(protocol: Protocol) -> dict[str, Any]:
    """The protocol as JSON holds it, in `protocol.json` and in submissions."""
    return {
        **vars(protocol),
        "seeds": list(protocol.seeds),
        "algorithms": list(protocol.algorithms),
        "settings": dict(protocol.settings),
        "tasks": [
            {"key": task.key, "t_max": task.t_max, "settings": dict(task.settings)} for task in protocol.tasks
        ],
    }


def available(task: Task) -> str | None:
    """Why the task cannot be run in this version; None if it can."""
    family = parse(task.key).family
    if family not in catalog.FAMILIES:
        return NOT_OURS_YET.format(family=family)
    try:
        catalog.parse_key(task.key)
    except ValueError as error:
        return " ".join(str(error).split())
    return None


def title(task: Task) -> str:
    """The task's name for people: poac-1 of async:poac-1."""
    return task.key.removeprefix(catalog.PREFIX)


def _task(given: Mapping[str, Any]) -> Task:
    task = Task(given["key"], int(given["t_max"]), MappingProxyType(dict(given.get("settings", {}))))
    if available(task) is not None:
        return task
    return Task(catalog.canonical_key(task.key), task.t_max, task.settings)


def _check_schema(given: Any, path: Path) -> None:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match

    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    error = best_match(Draft202012Validator(schema).iter_errors(given))
    if error is not None:
        where = error.json_path.removeprefix("$").removeprefix(".") or "the whole of it"
        raise ValueError(NO_YAML.format(path=path, why=f"{where}: {' '.join(error.message.split())[:300]}"))


def _hash(protocol: Protocol) -> str:
    content = as_dict(protocol)
    del content["hash"]
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
