"""Saved models: `models/<t_env>/` in a run's folder, EPyMARL's file names in it."""

import pickle
import shutil
from pathlib import Path
from typing import Any

from epymarl_lite.checkpoint import saved_steps
from epymarl_lite.utils.files import write_folder

NO_FOLDER = "checkpoint_path={path!r}: there is no such folder. Name the models folder of a run."
NO_MODELS = (
    "checkpoint_path={path!r}: holds no saved models (folders named after steps). "
    "Name the models folder of a run with save_model=True."
)
NOT_READ = (
    "checkpoint_path={path!r}: the models of step {step} cannot be loaded into this configuration "
    "({error}). Use the configuration they were saved with, or another load_step."
)


def save_models(learner: Any, folder: Path, t_env: int) -> Path:
    """Let the learner save its models into `folder`/<t_env>, whole or not at all.

    Half-written models of a process that was killed go: one process at a time writes a run's folder.

    Raises:
        WriteError: the disk refused twice.
    """
    path = Path(folder) / str(t_env)
    for half in Path(folder).glob(".*"):
        shutil.rmtree(half, ignore_errors=True)
    write_folder(path, lambda aside: learner.save_models(str(aside)))
    return path


def load_models(learner: Any, checkpoint_path: str, load_step: int) -> int:
    """Load the models saved nearest to `load_step` (0: the latest).

    Returns:
        The step they were saved at.

    Raises:
        ValueError: no such folder, nothing saved in it, or models that do not fit; one line.
    """
    if not Path(checkpoint_path).is_dir():
        raise ValueError(NO_FOLDER.format(path=checkpoint_path))
    steps = saved_steps(Path(checkpoint_path))
    if not steps:
        raise ValueError(NO_MODELS.format(path=checkpoint_path))
    step = steps[0] if load_step == 0 else min(steps, key=lambda saved: (abs(saved - load_step), -saved))
    try:
        learner.load_models(str(Path(checkpoint_path) / str(step)))
    except (
        OSError,
        RuntimeError,
        ValueError,
        KeyError,
        TypeError,
        EOFError,
        pickle.UnpicklingError,
    ) as error:
        reason = " ".join(str(error).split())[:600] or type(error).__name__
        raise ValueError(NOT_READ.format(path=checkpoint_path, step=step, error=reason)) from error
    return step


def copy_to_wandb(path: Path, wandb_dir: str, token: str) -> None:
    """Copy saved models to where W&B uploads from."""
    shutil.copytree(path, Path(wandb_dir) / "models" / token / path.name, dirs_exist_ok=True)
