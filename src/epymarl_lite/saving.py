"""What of a run goes into a checkpoint, and back."""

import logging
from pathlib import Path
from typing import Any

from epymarl_lite.checkpoint import (
    CheckpointError,
    CheckpointStore,
    Loaded,
    Saved,
    find_checkpoints,
    saved_steps,
    stored_episodes,
)
from epymarl_lite.utils.random_state import random_states, set_random_states

PARTS = ("runner", "learner", "controller", "logger")
IDENTITY = ("name", "env", "learner", "mixer", "mac", "agent")  # keys that a checkpoint belongs to
COUNTERS = (
    "episode",
    "last_test_t",
    "last_log_t",
    "model_saved_t",
    "checkpoint_t",
    "owed_updates",
    "results",
)


class Saver:
    """Writes and reads the checkpoints of one run.

    Args:
        run_dir: they lie in its `checkpoints` folder.
        with_buffer: whether the replay episodes go along.
        console: where time and size of each are printed.
    """

    def __init__(self, run_dir: Path, with_buffer: bool, console: logging.Logger):
        self._store = CheckpointStore(Path(run_dir) / "checkpoints")
        self._with_buffer = with_buffer
        self._console = console
        self._has_warned = False

    def save(self, training: Any) -> Saved | None:
        """Write a checkpoint of `training`; None if one of its parts has no resume_state().

        Raises:
            WriteError: the disk refused twice.
        """
        mute = [
            type(part).__name__ for part in map(training.__getattribute__, PARTS) if not _can_resume(part)
        ]
        if mute:
            if not self._has_warned:
                self._console.warning(
                    "No checkpoints: %s cannot say its state (resume_state).", ", ".join(mute)
                )
                self._has_warned = True
            return None
        t_env = training.runner.t_env
        if t_env in saved_steps(self._store.folder):
            return Saved(self._store.folder / str(t_env), 0, 0.0)
        training.checkpoint_t = t_env
        saved = self._store.save(t_env, self._state(training), training.buffer if self._with_buffer else None)
        self._console.info(
            "Checkpoint at step %d: %.1f MiB written in %.2f s%s.",
            t_env,
            saved.n_bytes / 2**20,
            saved.seconds,
            "" if self._with_buffer else ", without the replay buffer (checkpoint_buffer=False)",
        )
        return saved

    def resume(self, training: Any, path: Path) -> None:
        """Put `training` where a checkpoint left it.

        Raises:
            CheckpointError: none is there or whole, or it is of another configuration.
        """
        folder, step = find_checkpoints(path)
        is_own = folder.resolve() == self._store.folder.resolve()
        loaded = CheckpointStore(folder).load(step)
        self._put_back(training, loaded, is_own)
        if is_own:
            self._store.go_on_from(loaded)
        self._console.info(
            "Resumed from %s: step %d, episode %d.", loaded.path, training.runner.t_env, training.episode
        )

    def _state(self, training: Any) -> dict[str, Any]:
        recorder = training.recorder
        return {
            "of": _identity(training.args),
            **{name: getattr(training, name).resume_state() for name in PARTS},
            "counters": {name: getattr(training, name) for name in COUNTERS},
            "buffer": training.buffer.resume_state(),
            "has_episodes": self._with_buffer,
            "best": training.best.resume_state(),
            "recorder": recorder.position() if hasattr(recorder, "position") else None,
            "wall_s": recorder.wall_s() if hasattr(recorder, "wall_s") else None,
            "random": random_states(),
        }

    def _put_back(self, training: Any, loaded: Loaded, is_own: bool) -> None:
        state = loaded.state
        of, here = state["of"], _identity(training.args)
        if of != here:
            name = next(key for key in here if here[key] != of.get(key))
            raise CheckpointError(
                f"{loaded.path}: does not fit this configuration (it is of {name}={of.get(name)!r}, this run of "
                f"{here[name]!r}). Resume with the configuration it was written with."
            )
        try:
            for name in (*PARTS, "buffer"):
                getattr(training, name).load_resume_state(state[name])
            for name in COUNTERS:
                setattr(training, name, state["counters"][name])
        except (KeyError, ValueError, RuntimeError, TypeError, AttributeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise CheckpointError(
                f"{loaded.path}: does not fit this configuration ({reason}). "
                "Resume with the configuration it was written with."
            ) from error
        if state["has_episodes"]:
            for number, code in stored_episodes(loaded):
                training.buffer.put_code(number, code)
        else:
            training.buffer.clear()
            self._console.warning(
                "%s holds no replay buffer (checkpoint_buffer=False); learning waits until it is filled.",
                loaded.path,
            )
        training.best.load_resume_state(state.get("best") if is_own else None)  # older checkpoints have none
        if is_own and state["recorder"] is not None:
            told = state.get("wall_s")  # older checkpoints do not tell
            training.recorder.rewind(state["recorder"], *([] if told is None else [told]))
        set_random_states(state["random"])


def _can_resume(part: Any) -> bool:
    return hasattr(part, "resume_state") and hasattr(part, "load_resume_state")


def _identity(args: Any) -> dict[str, str]:
    """Which algorithm on which task: sizes alone do not tell tasks of one family apart."""
    values = vars(args)
    task = values["env_args"].get("map_name") or values["env_args"].get("key") or ""
    return {**{key: str(values[key]) for key in IDENTITY if key in values}, "task": str(task)}
