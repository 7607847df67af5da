"""The absolute metric of a trained cell: its best model on episodes that no test of the training has seen.

`python -m benchmarks.leaderboard.absolute CELL RUN EPISODES` writes CELL/evaluation, whole or not at all:
evaluation.json, episodes.jsonl (a line an episode, with every action) and agent.safetensors.
"""

import json
import sys
from pathlib import Path
from typing import Any, Mapping, Sequence

from async_envs.core.seeding import episode_seed
from benchmarks.leaderboard.cells import EVALUATION
from epymarl_lite.utils.files import write_folder

__all__ = ["SCHEMA", "evaluate_cell", "main"]

SCHEMA = 1
NO_MODEL = "{best}: the best model of the run is not there ({why}). Retry the cell anew: its run cannot be evaluated."


def evaluate_cell(cell: Path, run: Path, n_episodes: int) -> None:
    """Play `n_episodes` held-out episodes with the best model of `run`, and keep them in `cell`.

    Raises:
        ValueError: the best model is missing; one line.
        OSError: the disk refused; nothing is there.
    """
    from registry import evaluation
    from registry.provenance import environment_hash

    config = json.loads((run / "config.json").read_text(encoding="utf-8"))
    best = run / "models" / "best"
    try:
        told = json.loads((best / "best.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(NO_MODEL.format(best=best, why=error)) from error
    seeds = [episode_seed(config["seed"], "absolute", k) for k in range(n_episodes)]
    env_args = config["env_args"]
    options = {name: env_args[name] for name in env_args if name not in ("key", "seed") and env_args[name] is not None}

    def fill(folder: Path) -> None:
        weights = folder / "agent.safetensors"
        evaluation.save_weights(best, weights)
        episodes = evaluation.evaluate(config, weights, seeds)
        (folder / "episodes.jsonl").write_bytes(b"".join(map(_line, episodes)))
        summary = {
            "schema": SCHEMA,
            "step": told["t_env"],
            "test_return": told["return_mean"],
            "n": n_episodes,
            "environment": environment_hash(env_args["key"], options),
            "config": config,
        }
        (folder / "evaluation.json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")

    write_folder(cell / EVALUATION, fill)


def _line(episode: Any) -> bytes:
    values: Mapping[str, Any] = {"seed": int(episode.seed), **episode.values, "actions": episode.actions.tolist()}
    return (json.dumps(values, separators=(",", ":"), allow_nan=False) + "\n").encode()


def main(argv: Sequence[str]) -> int:
    """The process; what is wrong is its last line and status 1."""
    cell, run, n_episodes = argv[1:]
    try:
        evaluate_cell(Path(cell), Path(run), int(n_episodes))
    except (ValueError, OSError) as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
