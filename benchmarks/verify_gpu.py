"""Train short runs and verify them: `python -m benchmarks.verify_gpu` (`make verify-gpu`).

MVD, QMIX(A) and Qatten(A), on async:poac-1 and every built-in tabular task, on the GPU. One JSON file for each
pair lands in docs/evidence/, with device, versions and commit. Exit status 1 if a run fails or a check is
violated, 2 if the device is not there.
"""

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any, Mapping, Sequence

import click
import torch

from registry import catalog, verify_report
from registry import config as configuration
from registry.launch import main as train
from registry.verify import run
from registry.verify_request import check_request

ALGORITHMS = ("mvd", "qmix_a", "qatten_a")
EVIDENCE = Path(__file__).resolve().parent.parent / "docs" / "evidence"
NO_DEVICE = "verify-gpu: no CUDA device is there, nothing was trained. --device cpu does the same on the CPU."
# Enough for some hundred updates and a fall of epsilon. An update comes with every episode, and those of the
# tabular tasks have a few steps each: fewer steps there.
BUDGET: Mapping[str, Any] = {
    "t_max": 60_000, "epsilon_anneal_time": 20_000, "test_interval": 20_000, "test_nepisode": 32,
    "batch_size": 32, "batch_size_run": 8, "seed": 1, "checkpoint_interval": 30_000,
}  # fmt: skip
TABULAR = {"t_max": 4_000, "epsilon_anneal_time": 2_000, "test_interval": 2_000, "checkpoint_interval": 2_000}
EPISODES = 64


def keys() -> list[str]:
    """The tasks: async:poac-1 and the tabular ones that need no file."""
    tabular = [key for key in catalog.keys() if key.startswith("async:tabular-") and not key.endswith("-file")]
    return ["async:poac-1", *tabular]


def train_and_verify(
    algorithm: str, key: str, device: str, out: Path, episodes: int, budget: Mapping[str, Any]
) -> dict[str, Any] | None:
    """Train `algorithm` on `key` in a folder that is thrown away, and verify what came out.

    Returns:
        the report, also written to `out`; None if training failed (it has said why).
    """
    results = Path(tempfile.mkdtemp(prefix="verify-gpu-"))
    try:
        settings = {
            **budget, "env_args.key": key, "use_cuda": device == "cuda", "local_results_path": results,
            "checkpoint_buffer": False, "progress": False,
        }  # fmt: skip
        words = ["main.py", f"--config={algorithm}", "-C", "no", "with"]
        if train([*words, *(f"{name}={value}" for name, value in settings.items())]) != 0:
            return None
        folder = results / "sacred" / algorithm / configuration.folder_name(key) / "1"
        request = check_request(key, str(folder), None, device, episodes, 0, str(out), [])
        report = run(request)
        verify_report.write_report(out, report)
        return report
    finally:
        shutil.rmtree(results, ignore_errors=True)


@click.command()
@click.option("--device", type=click.Choice(["cuda", "cpu"]), default="cuda", show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default=EVIDENCE, show_default="docs/evidence")
@click.option("--episodes", type=click.IntRange(1), default=EPISODES, show_default=True)
@click.option("--key", "given_keys", multiple=True, help="A task instead of the usual ones; may come again.")
@click.option("--set", "changes", multiple=True, metavar="NAME=VALUE", help="Over the budget of the runs.")
def main(device: str, out: Path, episodes: int, given_keys: Sequence[str], changes: Sequence[str]) -> None:
    """Train MVD, QMIX(A) and Qatten(A) for a short time, verify each run, keep the reports."""
    if device == "cuda" and not torch.cuda.is_available():
        click.echo(NO_DEVICE, err=True)
        sys.exit(2)
    over = dict(change.split("=", 1) for change in changes)
    out.mkdir(parents=True, exist_ok=True)
    lines, is_good = [], True
    for key in given_keys or keys():
        for algorithm in ALGORITHMS:
            file = out / f"verify-{algorithm}-{configuration.folder_name(key)}-{device}.json"
            budget = {**BUDGET, **(TABULAR if key.startswith("async:tabular-") else {}), **over}
            report = train_and_verify(algorithm, key, device, file, episodes, budget)
            is_good &= report is not None and not verify_report.is_violated(report)
            lines.append(f"{algorithm} on {key}: training failed." if report is None else verify_report.digest(report))
    click.echo("\n".join(lines))
    sys.exit(0 if is_good else 1)


if __name__ == "__main__":
    main(prog_name="python -m benchmarks.verify_gpu")
