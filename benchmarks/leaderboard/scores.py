"""Reference scores of the tasks, measured: random play, and the scripted or known best.

They are kept with the tasks (async_envs/<family>/scores.yaml) and do not move when a table grows: a normalised score
means the same in every report. Both are of the task with its default options. The best is

- POAC: of the scripted teams (async_envs/poac/scripted.py) the one with the highest mean on other episodes;
- Overcooked: a fixed plan for each kitchen, kept in the file: every cook's macro-actions one after another;
- SMAC: a win, which the scale of the rewards sets to about 20 on every map;
- tabular: the exact optimum.
"""

from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import Any, Callable, Iterable, Mapping, Sequence

import numpy as np

from async_envs.core.seeding import episode_seed
from async_envs.core.simulator import CONTINUE, NOOP, Simulator
from registry import catalog

__all__ = ["DIFFERS", "EPISODES", "Score", "file_of", "follow", "measurable", "measure", "path_of", "verdict"]

EPISODES = 4_000
STREAM, CHOICE = "scores", "scores-choice"  # of episodes that are measured, and that choose between teams
SEED = 0
DIGITS = 4
ERRORS = 4.0  # standard errors, of both added, that a new measurement may be away from what is kept
ROUNDING = 0.001
DIFFERS = "differs"

Act = Callable[[], np.ndarray]  # gives [B, N] actions of the simulator as it stands


@dataclass(frozen=True)
class Score:
    """Both scores of a task, with standard errors; None where nothing is random."""

    random: float
    random_error: float | None
    best: float
    best_error: float | None
    best_how: str


def measurable() -> list[str]:
    """Keys of the tasks that the verb measures unless it is told which: those of the protocols, and others as small."""
    asked = [f"{catalog.PREFIX}{name}-{variant}" for name, variants in VARIANTS.items() for variant in variants]
    return [key for key in catalog.keys() if key in asked]


def measure(key: str, episodes: int = EPISODES) -> Score:
    """Play a task anew.

    Raises:
        ValueError: a family without a scripted or known best; one line.
    """
    found, variant = catalog.parse_key(key)
    if found.name not in BEST:
        raise ValueError(f"{key}: no best is known for the family {found.name}. Known: {', '.join(BEST)}.")
    random = returns(key, episodes, STREAM, lambda simulator: _random(simulator))
    best, how = BEST[found.name](key, variant, episodes)
    return Score(*_mean(random), *_mean(best), how)


def returns(key: str, episodes: int, stream: str, player: Callable[[Simulator], Act]) -> np.ndarray:
    """[episodes] float64: returns of the episodes of a stream, all played at once."""
    simulator: Simulator = catalog.make(key, batch_size=episodes)
    act = player(simulator)
    simulator.reset(np.array([episode_seed(SEED, stream, k) for k in range(episodes)], np.uint64))
    total = np.zeros(episodes)
    while not (simulator.terminated | simulator.truncated).all():
        simulator.step(act())
        total += simulator.reward
    return total


def verdict(kept: catalog.ReferenceScores | None, score: Score) -> str:
    """How what was measured agrees with what is kept; begins with DIFFERS where it does not."""
    if kept is None:
        return "none are kept"
    for name, said, found, errors in (
        ("random", kept.random, score.random, (kept.random_error, score.random_error)),
        ("best", kept.best, score.best, (kept.best_error, score.best_error)),
    ):
        if abs(said - found) > ERRORS * sum(error or 0.0 for error in errors) + ROUNDING:
            return f"{DIFFERS} from what is kept: {name} {said:.3f}"
    return "as kept"


def file_of(family: str, scores: Mapping[str, Score], episodes: int) -> str:
    """The text of a family's scores.yaml with these scores; plans and options of the present one stay."""
    import yaml

    kept = dict(catalog.family_scores(family))
    tasks = {**kept.get("tasks", {}), **{key: vars(score) for key, score in scores.items()}}
    known = [key for key in catalog.keys() if key in tasks]
    in_order = {key: tasks[key] for key in known}
    holds_with = kept.get("holds_with", [])
    content = {"episodes": episodes, "holds_with": holds_with, "tasks": in_order}
    parts = [
        "# Mean returns of random play and of the best that is known, with default options.\n"
        "# Measured and written by: python -m benchmarks.leaderboard scores --write",
        "# holds_with: options that may be changed, as returns mean the same with them",
        yaml.safe_dump(content, sort_keys=False, width=120).rstrip(),
    ]
    if "plans" in kept:
        plans = yaml.safe_dump({"plans": kept["plans"]}, sort_keys=False, width=120, default_flow_style=None).rstrip()
        parts += ["# what each cook does, one after another, then `stay`", plans]
    return "\n".join(parts) + "\n"


def path_of(family: str) -> Path:
    """The file of a family's scores."""
    return catalog.scores_path(family)


def _mean(values: np.ndarray) -> tuple[float, float | None]:
    """Mean and standard error; no error where all episodes came to the same."""
    error = None if np.ptp(values) < 10.0**-DIGITS else round(float(values.std(ddof=1)) / sqrt(len(values)), DIGITS)
    return round(float(values.mean()), DIGITS), error


def _random(simulator: Simulator) -> Act:
    """Uniform over the masks."""
    rng = np.random.default_rng(SEED)

    def act() -> np.ndarray:
        actions: np.ndarray = (simulator.avail_actions * (1.0 - rng.random(simulator.avail_actions.shape))).argmax(-1)
        return actions

    return act


def _best_team(key: str, variant: str, episodes: int) -> tuple[np.ndarray, str]:
    """The scripted team of POAC that does best, chosen on other episodes than it is measured on."""
    from async_envs.poac.scripted import TEAM_NAMES, ScriptedTeam

    def player(name: str) -> Callable[[Any], Act]:
        return lambda simulator: ScriptedTeam(simulator, name).act

    means = {name: returns(key, episodes, CHOICE, player(name)).mean() for name in TEAM_NAMES if name != "random"}
    name = max(means, key=lambda each: float(means[each]))
    return returns(key, episodes, STREAM, player(name)), f"scripted team {name}"


def _plan(key: str, variant: str, episodes: int) -> tuple[np.ndarray, str]:
    """A fixed plan of Overcooked; nothing in it is random."""
    plan = catalog.family_scores("overcooked")["plans"][key]
    return returns(key, 1, STREAM, lambda simulator: follow(simulator, plan)), "fixed plan in scores.yaml"


def follow(simulator: Simulator, plan: Sequence[Iterable[str]]) -> Act:
    """What each agent does at its decisions, one after another, and then `stay`; for a batch of one episode."""
    left = [list(each) for each in plan]

    def act() -> np.ndarray:
        actions = np.zeros((1, simulator.n_agents), np.int64)
        for agent in range(simulator.n_agents):
            status = [action for action in (NOOP, CONTINUE) if simulator.avail_actions[0, agent, action]]
            name = None if status else left[agent].pop(0) if left[agent] else "stay"
            actions[0, agent] = status[0] if name is None else simulator.action_names.index(name)
        return actions

    return act


def _optimum(key: str, variant: str, episodes: int) -> tuple[np.ndarray, str]:
    """The best return of a tabular task, known exactly."""
    from async_envs.tabular import instances

    defaults = {option.name: option.default for option in catalog.family("tabular").options}
    of = {
        "payoff": lambda: instances.of_payoff(defaults["a"], defaults["b"], defaults["shown"]),
        "climbing": instances.of_climbing,
        "relay": instances.of_relay,
    }
    return np.array([of[variant]()[1]]), "exact optimum"


def _win(key: str, variant: str, episodes: int) -> tuple[np.ndarray, str]:
    """What a win of SMAC brings by the scale of its rewards."""
    (rate,) = [option.default for option in catalog.family("smac").options if option.name == "reward_scale_rate"]
    return np.array([rate]), "a win, by the scale of the rewards"


VARIANTS = {
    "poac": ("1", "2", "3", "4", "5"),
    "overcooked": ("A", "B", "C"),
    "tabular": ("payoff", "climbing", "relay"),
    "smac": ("2s_vs_1sc", "3s5z", "3s5z_vs_3s6z"),
}
BEST: dict[str, Callable[[str, str, int], tuple[np.ndarray, str]]] = {
    "poac": _best_team,
    "overcooked": _plan,
    "smac": _win,
    "tabular": _optimum,
}
