"""Train MVD on POAC for a few minutes and judge it against random play: `python -m benchmarks.demo`.

The judgement: the mean test return over the last three evaluations of 128 episodes must lie, interval by
interval, above that of 200 random-policy episodes of the same task played in the same run.
"""

import logging
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple, Sequence

import click
import numpy as np

from registry.catalog import make
from registry.records import read_records

log = logging.getLogger("demo")

KEY = "async:poac-1"
EPISODE_LIMIT = 200  # a third of the paper's 600: fights are over by then, and episodes stay short
BUDGET = {
    "t_max": 100_000,
    "epsilon_anneal_time": 25_000,
    "batch_size_run": 8,
    "test_interval": 8_000,
    "test_nepisode": 128,
    "save_model": True,
    "save_model_interval": 8_000,
}
N_RANDOM = 200
N_BEST = 320
LAST_EVALUATIONS = 3


class Interval(NamedTuple):
    """A mean with the half-width of its 95 % interval over n episodes."""

    mean: float
    half_width: float
    n: int

    @property
    def low(self) -> float:
        return self.mean - self.half_width

    @property
    def high(self) -> float:
        return self.mean + self.half_width

    def __str__(self) -> str:
        return f"{self.mean:.3f} ± {self.half_width:.3f} (n = {self.n})"


class Evaluation(NamedTuple):
    """The test episodes played at one training step."""

    t_env: int
    returns: list[float]
    wins: list[float]


def interval(values: Sequence[float]) -> Interval:
    """Mean and normal 95 % interval of independent episodes."""
    array = np.asarray(values, np.float64)
    spread = array.std(ddof=1) if array.size > 1 else math.inf
    return Interval(float(array.mean()), float(1.96 * spread / math.sqrt(array.size)), array.size)


def random_returns(n_episodes: int, seed: int = 0) -> tuple[list[float], list[float]]:
    """Returns and wins of uniformly random agents against the scenario's own bot."""
    sim = make(KEY, batch_size=n_episodes, episode_limit=EPISODE_LIMIT)
    sim.reset(range(seed, seed + n_episodes))
    rng = np.random.default_rng(seed)
    returns = np.zeros(n_episodes)
    while not (sim.terminated | sim.truncated).all():
        # a uniformly random available action: the largest of random numbers, the unavailable ones at 0
        sim.step((rng.random(sim.avail_actions.shape) * sim.avail_actions).argmax(-1))
        returns += sim.reward
    return list(returns), list(sim.metrics["battle_won"])


def run_main(*overrides: str, results: Path) -> Path:
    """Run the command of the README and return the folder of its run.

    Raises:
        SystemExit: the command failed; its own line was printed.
    """
    command = [sys.executable, str(Path(__file__).parent.parent / "src" / "main.py"), "--config=mvd", "with"]
    command += [f"env_args.key={KEY}", f"env_args.episode_limit={EPISODE_LIMIT}", *overrides]
    command += [f"local_results_path={results}"]
    log.info("$ %s", " ".join(["python", "src/main.py", *command[2:]]))
    before = set(results.glob("sacred/mvd/*/*"))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("EPYMARL_")}
    status = subprocess.run(command, env=environment).returncode
    if status:
        raise SystemExit(status)
    return max(
        (path for path in results.glob("sacred/mvd/*/*") if path not in before and path.name.isdigit()),
        key=lambda path: int(path.name),
    )


def evaluations(run_dir: Path) -> list[Evaluation]:
    """Every evaluation that a run recorded, in order of steps."""
    found = []
    for record in read_records(run_dir):
        if record["kind"] == "test":
            episodes = record["episodes"]
            found.append(
                Evaluation(
                    record["t_env"],
                    [episode["return"] for episode in episodes],
                    [episode["battle_won"] for episode in episodes],
                )
            )
    return found


def draw(curve: Sequence[Evaluation], chance: Interval, path: Path) -> None:
    """Write the learning curve: test return and win rate against environment steps."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    steps = [evaluation.t_env for evaluation in curve]
    returns = [interval(evaluation.returns) for evaluation in curve]
    wins = [interval(evaluation.wins) for evaluation in curve]
    figure, (above, below) = plt.subplots(2, 1, figsize=(7, 6), sharex=True, layout="constrained")
    for axis, points, label in ((above, returns, "test return"), (below, wins, "test win rate")):
        axis.plot(steps, [point.mean for point in points], marker="o", color="tab:blue", label="MVD")
        low, high = [point.low for point in points], [point.high for point in points]
        axis.fill_between(steps, low, high, color="tab:blue", alpha=0.2, linewidth=0)
        axis.set_ylabel(label)
        axis.grid(alpha=0.3)
    above.axhspan(chance.low, chance.high, color="tab:orange", alpha=0.4, label="random policy")
    above.set_title(f"MVD on {KEY}, {len(curve[0].returns)} episodes a point, 95 % intervals")
    above.legend(loc="lower right")
    below.set_ylim(-0.02, 1.02)
    below.set_xlabel("environment steps")
    figure.savefig(path, dpi=120)
    plt.close(figure)


@click.command(help=__doc__)
@click.option("--results", type=click.Path(path_type=Path), default=Path("results/demo"), show_default=True)
@click.option("--picture", type=click.Path(path_type=Path), default=Path("curve.png"), show_default=True)
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--t-max", type=int, default=BUDGET["t_max"], show_default=True)
def main(results: Path, picture: Path, seed: int, t_max: int) -> None:
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    random, random_wins = random_returns(N_RANDOM, seed)
    chance = interval(random)
    budget = {**BUDGET, "t_max": t_max, "seed": seed}
    run_dir = run_main(*(f"{key}={value}" for key, value in budget.items()), results=results)

    curve = evaluations(run_dir)
    draw(curve, chance, picture)
    log.info("\n%10s  %-28s %s", "steps", "test return", "test win rate")
    for evaluation in curve:
        log.info("%10d  %-28s %s", evaluation.t_env, interval(evaluation.returns), interval(evaluation.wins))

    best = max(curve, key=lambda evaluation: interval(evaluation.returns).mean)
    best_run = run_main(
        "evaluate=True",
        f"checkpoint_path={run_dir / 'models'}",
        f"load_step={best.t_env}",
        f"test_nepisode={N_BEST}",
        f"seed={seed + 1_000_000}",
        results=results,
    )
    fresh = evaluations(best_run)[-1]
    log.info("\nbest checkpoint (step %d) on %d fresh episodes:", best.t_env, len(fresh.wins))
    log.info("  win rate %s, return %s", interval(fresh.wins), interval(fresh.returns))

    last = interval([value for evaluation in curve[-LAST_EVALUATIONS:] for value in evaluation.returns])
    log.info("random policy: return %s, win rate %s", chance, interval(random_wins))
    log.info("last %d evaluations: return %s; curve in %s", LAST_EVALUATIONS, last, picture)
    if len(curve) < LAST_EVALUATIONS or last.low <= chance.high:
        log.error("FAILED: the learned team's return does not lie above the random policy's.")
        raise SystemExit(1)
    log.info("MVD has left the random policy behind.")


if __name__ == "__main__":
    main()
