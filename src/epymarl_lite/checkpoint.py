"""Everything a run needs to go on as if it had never stopped.

    checkpoints/<t_env>/state.pt       parameters, optimiser, counters, random states, statistics
    checkpoints/<t_env>/manifest.json  schema, SHA-256 of state.pt and of the segments, of itself
    checkpoints/buffer/<a>-<b>.seg     replay episodes a … b-1, written once, shared by checkpoints

A checkpoint writes only the episodes that came since the one before. Its folder appears by a rename, so
it is whole or absent. Two are kept, and the segments that either needs.
"""

import hashlib
import io
import json
import logging
import pickle
import shutil
import time
from pathlib import Path
from typing import Any, Iterator, NamedTuple

import numpy as np
import torch as th

from epymarl_lite.utils.files import sha256_of, write_file, write_folder

_LOG = logging.getLogger(__name__)
SCHEMA = 2
KEPT = 2
STATE_FILE, MANIFEST_FILE, SEGMENT_FOLDER = "state.pt", "manifest.json", "buffer"


class CheckpointError(ValueError):
    """A checkpoint that is missing, damaged or of another version; one line naming the file."""


class Saved(NamedTuple):
    """What one checkpoint cost."""

    path: Path
    n_bytes: int  # written, the new replay episodes included
    seconds: float


class Loaded(NamedTuple):
    """A checkpoint that passed its checks."""

    path: Path
    state: dict[str, Any]
    segments: list[dict[str, Any]]


class CheckpointStore:
    """The checkpoints of one run.

    Args:
        folder: `<run_dir>/checkpoints`.
    """

    def __init__(self, folder: Path):
        self.folder = Path(folder)
        self._segments: list[dict[str, Any]] = []

    def save(self, t_env: int, state: dict[str, Any], buffer: Any = None) -> Saved:
        """Write a checkpoint and let go of those before the last two.

        Args:
            t_env: environment step, its name.
            state: tensors, numbers, texts, lists and dicts of them.
            buffer: replay buffer whose episodes go along; None leaves them out.

        Raises:
            WriteError: the disk refused twice; the checkpoint before is untouched.
        """
        start = time.perf_counter()
        path = self.folder / str(t_env)
        n_bytes = 0
        if buffer is not None:
            n_bytes = self._append(buffer)
        stream = io.BytesIO()
        th.save(state, stream)
        content = stream.getvalue()
        manifest = {
            "schema": SCHEMA,
            "t_env": t_env,
            "state": {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)},
            "segments": self._segments if buffer is not None else [],
        }
        signed = json.dumps({"manifest": manifest, "sha256": _digest(manifest)}, indent=1).encode()

        def fill(folder: Path) -> None:
            (folder / STATE_FILE).write_bytes(content)
            (folder / MANIFEST_FILE).write_bytes(signed)

        write_folder(path, fill)
        self._prune()
        return Saved(path, n_bytes + len(content) + len(signed), time.perf_counter() - start)

    def load(self, t_env: int | None = None) -> Loaded:
        """The newest checkpoint that passes its checks; damaged ones are named and passed over.

        Args:
            t_env: take this one or, if it is damaged, an earlier one. None begins with the newest.

        Raises:
            CheckpointError: none is there, or none is whole.
        """
        names = [name for name in saved_steps(self.folder) if t_env is None or name <= t_env]
        if not names or (t_env is not None and names[0] != t_env):
            raise CheckpointError(
                f"{self.folder}: no checkpoint {'' if t_env is None else str(t_env) + ' '}is there. "
                "Name the folder of a run that has written one (checkpoint_interval)."
            )
        problems = []
        for name in names:
            try:
                loaded = read_checkpoint(self.folder / str(name))
            except CheckpointError as error:
                problems.append(str(error))
                _LOG.warning("%s Trying the checkpoint before it.", error)
                continue
            return loaded
        raise CheckpointError(f"{problems[0]} No earlier checkpoint is whole. Start the run anew.")

    def go_on_from(self, loaded: Loaded) -> None:
        """Continue after one of this store's checkpoints: later ones belong to no run any more."""
        self._segments = list(loaded.segments)
        for later in saved_steps(self.folder):
            if later > int(loaded.path.name):
                shutil.rmtree(self.folder / f"{later}.setaside", ignore_errors=True)
                (self.folder / str(later)).rename(self.folder / f"{later}.setaside")
                _LOG.warning(
                    "%s: set aside; training goes on from %s.", self.folder / str(later), loaded.path
                )

    def _append(self, buffer: Any) -> int:
        """Write the episodes that no segment holds. Returns the bytes written."""
        end = buffer.n_inserted
        oldest = max(0, end - buffer.buffer_size)
        self._segments = [segment for segment in self._segments if segment["end"] > oldest]
        first = max(oldest, self._segments[-1]["end"] if self._segments else 0)
        if first >= end:
            return 0
        parts = []
        for number in range(first, end):
            code = buffer.code_of(number)
            parts += [np.array([code.nbytes], np.int32).tobytes(), code.tobytes()]
        content = b"".join(parts)
        name = f"{first}-{end}.seg"
        write_file(self.folder / SEGMENT_FOLDER / name, content)
        digest = hashlib.sha256(content).hexdigest()
        self._segments.append({"file": name, "first": first, "end": end, "sha256": digest})
        return len(content)

    def _prune(self) -> None:
        steps = saved_steps(self.folder)
        needed = {segment["file"] for segment in self._segments}
        for name in steps[:KEPT]:
            needed |= _named_segments(self.folder / str(name))
        for name in steps[KEPT:]:
            shutil.rmtree(self.folder / str(name), ignore_errors=True)
        for aside in [*self.folder.glob(".*"), *self.folder.glob("*.setaside")]:
            shutil.rmtree(aside, ignore_errors=True)
        for file in (self.folder / SEGMENT_FOLDER).glob("*"):
            if file.name not in needed:
                file.unlink(missing_ok=True)


def saved_steps(folder: Path) -> list[int]:
    """The steps at which checkpoints (or models) were saved into `folder`, latest first."""
    if not Path(folder).is_dir():
        return []
    return sorted(
        (int(f.name) for f in Path(folder).iterdir() if f.name.isdigit() and f.is_dir()), reverse=True
    )


def find_checkpoints(path: Path) -> tuple[Path, int | None]:
    """(Folder of checkpoints, step or None) for a run's folder, its `checkpoints`, or one checkpoint.

    Raises:
        CheckpointError: there is nothing of the kind.
    """
    path = Path(path)
    if not path.is_dir():
        raise CheckpointError(
            f"{path}: there is no such folder. Name a run's folder or one of its checkpoints."
        )
    if path.name.isdigit() and path.parent.name == "checkpoints":
        return path.parent, int(path.name)
    inner = path / "checkpoints"
    return (inner if inner.is_dir() else path), None


def read_checkpoint(path: Path) -> Loaded:
    """Read and check one checkpoint; segments are checked, not read.

    Raises:
        CheckpointError: a file is missing, damaged or of another schema; the line names it.
    """
    manifest = _read_manifest(path / MANIFEST_FILE)
    content = _read(path / STATE_FILE)
    if hashlib.sha256(content).hexdigest() != manifest["state"]["sha256"]:
        raise CheckpointError(f"{path / STATE_FILE}: damaged (its SHA-256 differs from the manifest's).")
    for segment in manifest["segments"]:
        file = path.parent / SEGMENT_FOLDER / segment["file"]
        try:
            digest = sha256_of(file)
        except OSError as error:
            raise CheckpointError(f"{file}: cannot be read ({error.strerror}).") from error
        if digest != segment["sha256"]:
            raise CheckpointError(f"{file}: damaged (its SHA-256 differs from the manifest's).")
    try:
        state = th.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path / STATE_FILE}: cannot be read, it holds more than tensors, numbers and texts."
        ) from error
    return Loaded(path, state, manifest["segments"])


def stored_episodes(loaded: Loaded) -> Iterator[tuple[int, np.ndarray]]:
    """(Number, coded episode) of every replay episode of a checkpoint, oldest first."""
    for segment in loaded.segments:
        content = (loaded.path.parent / SEGMENT_FOLDER / segment["file"]).read_bytes()
        position = 0
        for number in range(segment["first"], segment["end"]):
            size = int(np.frombuffer(content, np.int32, 1, position)[0])
            yield number, np.frombuffer(content, np.uint8, size, position + 4).copy()
            position += 4 + size


def _read_manifest(file: Path) -> dict[str, Any]:
    try:
        signed = json.loads(_read(file))
        manifest, digest = signed["manifest"], signed["sha256"]
        schema = manifest["schema"]
    except (ValueError, KeyError, TypeError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"{file}: damaged (not a manifest).") from error
    if schema != SCHEMA:
        raise CheckpointError(
            f"{file}: has schema {schema!r}, this version reads {SCHEMA}. Use the version that wrote it."
        )
    if digest != _digest(manifest):
        raise CheckpointError(f"{file}: damaged (its SHA-256 differs from the one in it).")
    return manifest


def _named_segments(path: Path) -> set[str]:
    try:
        return {segment["file"] for segment in _read_manifest(path / MANIFEST_FILE)["segments"]}
    except CheckpointError:  # a damaged checkpoint needs none
        return set()


def _digest(manifest: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{file}: cannot be read ({error.strerror}).") from error
