"""Go on with a run, in its own folder, as if it had never stopped."""

import json
import os
import sys
from pathlib import Path
from typing import Any, Mapping, Sequence

from registry.command_line import new_experiment
from registry.config import OURS, read_yaml
from registry.hosts import select
from registry.launch import execute
from registry.observer import RunFolder
from registry.recorder import hold
from registry.records import COMPLETED, read_records, run_status

NO_RUN = "{folder}: no run lies there ({error}). Name the folder that was printed at its start."
OTHER_HOST = "{folder}: this run is of the host {host}; only the embedded host's can go on. Start it anew."
ANEW = "{folder}: this run ended before its first checkpoint; it begins again at step 0, in this folder."
ALL_DONE = "{folder}: this run is COMPLETED, there is nothing to go on with."

NEEDED = ("name", "seed", "env", "env_args", "learner")  # what every run's config.json holds


def resume(run_dir: str | os.PathLike[str]) -> int:
    """Resume the run in `run_dir` from its last whole checkpoint; returns the exit status.

    A run that ended before its first checkpoint was due begins again in its folder.

    Raises:
        ValueError: no run lies there, it is finished or under way, or its host cannot resume; one line,
            nothing changed.
    """
    folder = Path(run_dir).absolute()
    config = {**switches(), **read_config(folder)}  # an older run knew fewer switches
    lock = hold(folder)
    try:
        records = read_records(folder)
        hosts = [record["host"] for record in records if record["kind"] == "status" and "host" in record]
        if hosts and hosts[0] != "embedded":
            raise ValueError(OTHER_HOST.format(folder=folder, host=hosts[0]))
        if run_status(folder) == COMPLETED:
            raise ValueError(ALL_DONE.format(folder=folder))
        host = select.choose("embedded")
        host.parts()
        begins_anew = ended_before_a_checkpoint(folder, records, config["checkpoint_interval"])
        if begins_anew:
            print(ANEW.format(folder=folder), file=sys.stderr)
        experiment = new_experiment()
        experiment.add_config(config)
        experiment.observers.append(RunFolder(folder.parent, resume=folder, lock=lock))
        return execute(
            host, experiment, updates={"seed": config["seed"]}, resume=None if begins_anew else folder,
            argv=["-m", "registry", "resume", folder.name if Path(run_dir).is_absolute() else str(run_dir)],
        )  # fmt: skip
    finally:
        lock.release()


def ended_before_a_checkpoint(folder: Path, records: Sequence[Mapping[str, Any]], interval: int) -> bool:
    """Whether a run never came so far that a checkpoint was finished; lost checkpoints are another matter.

    The record may know one step behind `interval`: that of the rollout whose checkpoint was under way.
    """
    from epymarl_lite.checkpoint import saved_steps

    steps = {record["t_env"] for record in records if "t_env" in record}
    is_early = interval > 0 and len({step for step in steps if step >= interval}) <= 1
    return is_early and not saved_steps(folder / "checkpoints")


def switches() -> dict[str, Any]:
    """Our own switches with their defaults."""
    known = read_yaml(OURS / "envs" / "async.yaml")
    return {name: value for name, value in known.items() if name not in ("env", "env_args")}


def read_config(folder: Path) -> dict[str, Any]:
    """The configuration of the run in `folder`.

    Raises:
        ValueError: there is none; one line.
    """
    try:
        config, told = (json.loads((folder / name).read_text(encoding="utf-8")) for name in ("config.json", "run.json"))
    except (OSError, ValueError) as error:
        raise ValueError(NO_RUN.format(folder=folder, error=error)) from error
    for name, found in (("config.json", config), ("run.json", told)):
        if not isinstance(found, dict):
            raise ValueError(NO_RUN.format(folder=folder, error=f"{name} holds no object"))
    lacking = [name for name in NEEDED if name not in config]
    if lacking:
        raise ValueError(NO_RUN.format(folder=folder, error=f"config.json lacks {', '.join(lacking)}"))
    return dict(config)
