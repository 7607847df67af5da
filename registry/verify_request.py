"""The words of `python -m registry verify` as a request, checked as far as that needs no run."""

import ast
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Sequence

from async_envs.core.options import Family
from registry import catalog, checks

NO_KEY = "verify: --key is missing: which task? Write --key async:poac-1 (python -m registry keys lists all)."
ONE_OF_TWO = "verify: {given}, expected one of the two. Write --checkpoint DIR (a run) or --config NAME (fresh)."
BAD_NUMBER = "{command}: {flag}={given!r} is not accepted, expected a whole number {bounds}."
BAD_DEVICE = "verify: --device={given!r} is not accepted, expected cpu or cuda."
NO_CUDA = "verify: --device=cuda was asked for and no CUDA device is there. Use --device=cpu."
BAD_OPTION = "{key}: {given!r} is not an option. Write NAME=VALUE, e.g. episode_limit=50."
NOT_WRITABLE = "{command}: --out={path}: cannot be written ({why}). Name a file in a folder that is there."


@dataclass(frozen=True)
class Request:
    """What was asked for, checked as far as that needs no run."""

    key: str  # canonical
    options: dict[str, Any]  # of the key, as given
    checkpoint: Path | None
    config: str | None  # one of the two is None
    device: str
    episodes: int
    seed: int
    out: Path | None


def check_request(
    key: str | None,
    checkpoint: str | None,
    config: str | None,
    device: str,
    episodes: Any,
    seed: Any,
    out: str | None,
    options: Sequence[str],
) -> Request:
    """The words of the command line as a request.

    Raises:
        ValueError: what is wrong, in one line.
    """
    import torch

    if key is None:
        raise ValueError(NO_KEY)
    family, _ = catalog.parse_key(key)
    key = catalog.canonical_key(key)
    if (checkpoint is None) == (config is None):
        given = "neither --checkpoint nor --config" if config is None else "both --checkpoint and --config"
        raise ValueError(ONE_OF_TWO.format(given=f"{given} was given"))
    if device not in ("cpu", "cuda"):
        raise ValueError(BAD_DEVICE.format(given=device))
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError(NO_CUDA)
    return Request(
        key=key,
        options=parse_options(family, key, options),
        checkpoint=None if checkpoint is None else Path(checkpoint),
        config=config,
        device=device,
        episodes=whole_number("--episodes", episodes, 1, None),
        seed=whole_number("--seed", seed, 0, checks.MAX_SEED),
        out=None if out is None else writable(Path(out)),
    )


def whole_number(flag: str, given: Any, low: int, high: int | None, command: str = "verify") -> int:
    """`given` as a number.

    Raises:
        ValueError: it is none, or out of bounds; one line.
    """
    try:
        number = int(str(given))
    except ValueError:
        number = low - 1
    if number < low or (high is not None and number > high):
        bounds = f"of at least {low}" if high is None else f"from {low} to {high}"
        raise ValueError(BAD_NUMBER.format(command=command, flag=flag, given=given, bounds=bounds))
    return number


def parse_options(family: Family, key: str, given: Sequence[str]) -> dict[str, Any]:
    """NAME=VALUE or env_args.NAME=VALUE words as options of the key, checked by its family.

    Raises:
        ValueError: no such word or option, or a value that is not accepted; one line.
    """
    options: dict[str, Any] = {}
    for word in given:
        name, equals, value = word.partition("=")
        if not name or not equals:
            raise ValueError(BAD_OPTION.format(key=key, given=word))
        name = name.removeprefix("env_args.")
        try:
            options[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            options[name] = value
    return family.check_options(key, options)


def writable(path: Path, command: str = "verify") -> Path:
    """`path`, if a file can be put there.

    Raises:
        ValueError: it cannot; one line.
    """
    folder = path.absolute().parent
    if path.is_dir():
        raise ValueError(NOT_WRITABLE.format(command=command, path=path, why="it is a folder"))
    if not folder.is_dir():
        raise ValueError(NOT_WRITABLE.format(command=command, path=path, why=f"{folder} is no folder"))
    if not os.access(folder, os.W_OK | os.X_OK):
        why = f"no permission to write in {folder}"
        raise ValueError(NOT_WRITABLE.format(command=command, path=path, why=why))
    return path
