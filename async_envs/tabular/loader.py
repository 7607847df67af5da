"""Users' own tasks, from JSON and NPZ files: fields, or arrays, named as `make_task`'s arguments are."""

import inspect
import json
import os
import zipfile
from pathlib import Path
from typing import Any, Callable

import numpy as np

from async_envs.core.errors import unknown_name
from async_envs.tabular.task import TabularTask, make_task

__all__ = ["FIELDS", "load_task"]

_ARGUMENTS = list(inspect.signature(make_task).parameters.values())[1:]  # without `name`
FIELDS = tuple(argument.name for argument in _ARGUMENTS)
REQUIRED = tuple(argument.name for argument in _ARGUMENTS if argument.default is argument.empty)
LARGEST_FILE = 2**30  # bytes; of an NPZ, unpacked

ZIP_START = b"PK\x03\x04"

NO_SUCH_FILE = "{path}: there is no such file. Give the path of a task in JSON or NPZ."
UNREADABLE = "{path}: the file cannot be read ({reason}). Give the path of a task in JSON or NPZ."
TOO_LARGE = "{path}: the file holds {size:,} bytes, at most {most:,} are accepted. Make the task smaller."
NOT_A_TASK = "{path}: neither JSON nor NPZ ({reason}). Write one of the two."
NO_OBJECT = "{path}: the JSON holds a {kind}, an object is expected. Write {{\"transitions\": …}}."
TWICE = "field {field!r} is given twice"
MISSING = "{path}: the field {field} is missing. Needed are {needed}."
BAD_ARRAY = "{path}: array {field} cannot be read ({reason}). Save plain arrays of numbers, flags, texts."
NO_FILE = "it is no file"


def load_task(path: str | Path) -> TabularTask:
    """The task in a file; README.md describes the format.

    Args:
        path: of a JSON or NPZ file; which of the two it is, its first bytes tell.

    Raises:
        ValueError: no file, neither JSON nor NPZ, a missing or unknown field, or a task that is not accepted
            (see `make_task`); one line that begins with the path.
    """
    path = Path(os.path.expanduser(path))
    start = _read(path, lambda: _start_of(path))
    fields = _read_npz(path) if start == ZIP_START else _read_json(path)
    for field in fields:
        if field not in FIELDS:
            raise ValueError(unknown_name(str(path), "field", field, FIELDS))
    for field in REQUIRED:
        if field not in fields:
            raise ValueError(MISSING.format(path=path, field=field, needed=", ".join(REQUIRED)))
    return make_task(str(path), **fields)


def _start_of(path: Path) -> bytes:
    size = path.stat().st_size
    if not path.is_file():
        raise OSError(NO_FILE)
    if size > LARGEST_FILE:
        raise ValueError(TOO_LARGE.format(path=path, size=size, most=LARGEST_FILE))
    with path.open("rb") as file:
        return file.read(len(ZIP_START))


def _read(path: Path, read: Callable[[], Any]) -> Any:
    """What `read` returns; trouble with the file itself as one line."""
    try:
        return read()
    except FileNotFoundError:
        raise ValueError(NO_SUCH_FILE.format(path=path)) from None
    except OSError as error:
        raise ValueError(UNREADABLE.format(path=path, reason=error.strerror or error)) from None


def _read_json(path: Path) -> dict[str, Any]:
    text = _read(path, path.read_bytes)
    try:
        found = json.loads(text, object_pairs_hook=_without_repeats)
    except (ValueError, RecursionError) as error:  # bad JSON, bad UTF-8, a repeated field, too deep
        raise ValueError(NOT_A_TASK.format(path=path, reason=_one_line(error))) from None
    if not isinstance(found, dict):
        raise ValueError(NO_OBJECT.format(path=path, kind=type(found).__name__))
    return found


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(TWICE.format(field=next(name for name in names if names.count(name) > 1)))
    return fields


def _read_npz(path: Path) -> dict[str, Any]:
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
        if size > LARGEST_FILE:
            raise ValueError(TOO_LARGE.format(path=path, size=size, most=LARGEST_FILE))
        arrays = np.load(path, allow_pickle=False)
    except (OSError, zipfile.BadZipFile) as error:
        raise ValueError(NOT_A_TASK.format(path=path, reason=_one_line(error))) from None
    with arrays:
        return {field: _read_array(path, arrays, field) for field in arrays.files}


def _read_array(path: Path, arrays: Any, field: str) -> Any:
    """An array; what has no axes as a plain value, texts as a list."""
    try:
        array = arrays[field]
    except Exception as error:  # whatever numpy and zlib make of damaged bytes
        raise ValueError(BAD_ARRAY.format(path=path, field=field, reason=_one_line(error))) from None
    if not isinstance(array, np.ndarray):  # a member that is no array
        raise ValueError(BAD_ARRAY.format(path=path, field=field, reason="not an array of NumPy"))
    if array.ndim == 0:
        return array.item()
    return array.tolist() if array.dtype.kind == "U" else array


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__
