"""`python -m registry evaluate`: the saved networks of a run play many episodes, kept with every action.

    evaluation.json     which networks (step, and the mean return of the test at that step), which task
    episodes.jsonl      one line an episode: seed, return, length, decisions, metrics, actions
    agent.safetensors   the networks
    last.safetensors    if asked for: the networks after the run's last step, those of its last test
"""

import json
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Mapping

import numpy as np
from torch import Tensor

from async_envs.core.errors import unknown_name
from async_envs.core.seeding import ABSOLUTE, HELD_OUT, episode_seed
from registry.evaluation import Episode, agent_weights, as_safetensors, evaluate
from registry.outcome import mean_and_error
from registry.provenance import environment_of, provenance_of_run, resolved
from registry.records import read_records
from registry.resume import read_config
from registry.verify import find_run, saved_weights

__all__ = ["Found", "evaluate_run", "find_model", "told"]

SCHEMA = 1
EVALUATION, EPISODES, WEIGHTS = "evaluation.json", "episodes.jsonl", "agent.safetensors"
LAST_WEIGHTS = "last.safetensors"
STREAMS = (ABSOLUTE, HELD_OUT)
BEST, LAST = "best", "last"

NO_BEST = "{run}: no best model lies there. Train with save_best_model=True, or evaluate --model last."
NO_MODEL = "{run}: no networks of step {step} lie there, expected {known}. Name one of these."
NOTHING_SAVED = "{run}: neither models nor checkpoints lie there. Train with save_model=True or save_best_model=True."
NOT_OURS = "{out}: holds {name!r}, which is no file of an evaluation. Name a folder of its own with --out."
NOT_A_FOLDER = "{out}: is a file. Name a folder with --out."
NO_LAST = "%s: the networks of its last test do not lie there; that test cannot be proven to others."
CHANGED = "%s: its task has changed since it was trained (environment %s, now %s); the task as it is now is played."


@dataclass(frozen=True)
class Found:
    """Saved networks of a run."""

    folder: Path  # models/best, models/<step> or checkpoints/<step>
    step: int  # environment steps of training before they were saved
    test_return: float | None  # mean return of the test at that step, if one was held


_log = logging.getLogger(__name__)


def evaluate_run(
    run_dir: Path | str,
    model: str = BEST,
    n_episodes: int = 320,
    seeds_from: str = ABSOLUTE,
    out: Path | str | None = None,
    run_seed: int | None = None,
    with_last: bool = False,
) -> dict[str, Any]:
    """Evaluate networks of a run, without exploration, and write the files, all or none.

    Args:
        run_dir: the run's folder.
        model: "best", "last", or a step.
        n_episodes: episode k has the seed `episode_seed(run seed, seeds_from, k)`.
        seeds_from: "absolute" or "held_out".
        out: the folder to write; None takes `evaluation` in the run's folder.
        run_seed: None takes the run's own seed.
        with_last: keep the networks of the run's last test too, where they still lie in the run; they are not played.

    Returns:
        what evaluation.json holds, and "episodes": the episodes played; "folder": where the files lie.

    Raises:
        ValueError: no run, no such networks, networks that do not fit, or a folder of something else; one line.
        OSError: the disk refused twice.
    """
    import torch

    from epymarl_lite.utils.files import write_folder

    run = find_run(Path(run_dir))
    config = read_config(run)
    target = check_out(run / "evaluation" if out is None else Path(out))
    if seeds_from not in STREAMS:
        raise ValueError(unknown_name("evaluate", "stream of seeds", seeds_from, STREAMS))
    found = find_model(run, model)
    weights = agent_weights(found.folder)
    last = last_weights(run) if with_last else None
    seed = int(config["seed"]) if run_seed is None else run_seed
    torch.set_num_threads(config["threads"])
    episodes = evaluate(config, weights, [episode_seed(seed, seeds_from, k) for k in range(n_episodes)])
    report = {
        "schema": SCHEMA,
        "step": found.step,
        "test_return": found.test_return,
        "n": len(episodes),
        "environment": environment_of(config),
        "config": resolved(config),
    }
    trained_in = provenance_of_run(run).get("environment")
    if trained_in not in (None, report["environment"]):
        _log.warning(CHANGED, run, trained_in[:8], str(report["environment"])[:8])

    def fill(folder: Path) -> None:
        (folder / EVALUATION).write_text(json.dumps(report, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        (folder / EPISODES).write_text("".join(map(episode_line, episodes)), encoding="utf-8")
        (folder / WEIGHTS).write_bytes(as_safetensors(weights))
        if last is not None:
            (folder / LAST_WEIGHTS).write_bytes(as_safetensors(last))

    write_folder(target, fill)
    return {**report, "episodes": episodes, "folder": target}


def check_out(out: Path) -> Path:
    """`out`, unless it is a file or a folder that holds anything but an evaluation: it will be replaced whole."""
    if out.is_file():
        raise ValueError(NOT_A_FOLDER.format(out=out))
    if out.is_dir():
        others = sorted(set(os.listdir(out)) - {EVALUATION, EPISODES, WEIGHTS, LAST_WEIGHTS})
        if others:
            raise ValueError(NOT_OURS.format(out=out, name=others[0]))
    return out


def find_model(run: Path, model: str) -> Found:
    """The networks of a run that "best", "last" or a step names.

    Raises:
        ValueError: there are none; one line.
    """
    if model == BEST:
        return _find_best(run)
    folders = saved_weights(run)
    if not folders:
        raise ValueError(NOTHING_SAVED.format(run=run))
    if model == LAST:
        folder = folders[0]
    else:
        named = [folder for folder in folders if folder.name == model]
        if not named:
            known = ", ".join(dict.fromkeys([BEST, LAST, *(folder.name for folder in folders)]))
            raise ValueError(NO_MODEL.format(run=run, step=model, known=known))
        folder = named[0]
    step = int(folder.name)
    tests = [r for r in read_records(run) if r["kind"] == "test" and r["t_env"] == step and r["episodes"]]
    returns = [episode["return"] for episode in tests[-1]["episodes"]] if tests else []
    return Found(folder, step, float(np.mean(returns)) if returns else None)


def last_weights(run: Path) -> dict[str, Tensor] | None:
    """The agent's parameters at the run's last test; None, with a warning, if they do not lie there or are damaged."""
    try:
        steps = [record["t_env"] for record in read_records(run) if record["kind"] == "test"]
        for folder in saved_weights(run):
            if steps and int(folder.name) == steps[-1]:
                return agent_weights(folder)
    except ValueError as error:
        _log.warning("%s", error)
    _log.warning(NO_LAST, run)
    return None


def _find_best(run: Path) -> Found:
    from epymarl_lite.best import FILE, read_best

    folder = run / "models" / BEST
    if not (folder / FILE).is_file():
        raise ValueError(NO_BEST.format(run=run))
    return Found(folder, *read_best(folder))


def episode_line(episode: Episode) -> str:
    """One line of episodes.jsonl."""
    told_episode = {"seed": episode.seed, **episode.values, "actions": episode.actions.tolist()}
    return json.dumps(told_episode, separators=(",", ":"), allow_nan=False) + "\n"


def told(report: Mapping[str, Any]) -> str:
    """What came of an evaluation, in one line."""
    values = [episode.values for episode in report["episodes"]]
    parts = [
        f"{words} {mean_and_error([each[name] for each in values])}"
        for name, words in (("battle_won", "win rate"), ("return", "return"))
        if all(name in each for each in values)
    ]
    config = report["config"]
    return (
        f"{config['name']} on {config['env_args']['key']}, networks of step {report['step']:,}: "
        f"{', '.join(parts)} ({report['n']} episodes, ± standard error). {report['folder']}"
    )
