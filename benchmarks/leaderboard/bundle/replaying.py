"""Tier 3: the recorded actions, played again, give what was recorded."""

from typing import Any, Callable, Iterator, Mapping, Sequence

from benchmarks.leaderboard.bundle.contents import Episode, RunFiles, read_run
from benchmarks.leaderboard.bundle.manifest import Files
from benchmarks.leaderboard.bundle.reading import About
from benchmarks.leaderboard.bundle.refusal import Refused, harmless

__all__ = ["evaluated_runs", "replay_actions", "value_differences"]

NOT_PLAYED = "{run}: {error}"
CHANGED = "{run}: episode with seed {seed}: {name} is {given} as recorded, {found} when its actions are played again."
TOLD = 3  # differences told of one run

Teller = Callable[[str], None]


def evaluated_runs(files: Files, about: About) -> Iterator[RunFiles]:
    """The runs that hold a last evaluation, one at a time."""
    for folder in about.folders:
        run = read_run(files, folder)
        if run.evaluation is not None:
            yield run


def replay_actions(files: Files, about: About, tell: Teller) -> tuple[str, ...]:
    """Play the episodes of every last evaluation again; returns, lengths and metrics are the same to the last bit.

    Raises:
        Refused: an action that was not available, or a value that differs.
    """
    from registry import evaluation

    n_episodes = n_steps = n_runs = 0
    reasons: list[str] = []
    for run in evaluated_runs(files, about):
        assert run.evaluation is not None
        played = [evaluation.Episode(each.seed, dict(each.values), each.actions) for each in run.episodes]
        try:
            found = evaluation.replay(run.run["task"], run.evaluation["config"]["env_args"], played)
        except (ValueError, KeyError, TypeError, IndexError, FloatingPointError) as error:
            raise Refused(NOT_PLAYED.format(run=run.name, error=error)) from error
        reasons += value_differences(run.name, run.episodes, found)
        n_runs, n_episodes = n_runs + 1, n_episodes + len(run.episodes)
        n_steps += sum(len(each.actions) for each in run.episodes)
        tell(f"actions played again: {run.name}")
    Refused.unless_empty(reasons)
    return (f"{n_episodes:,} episodes of {n_runs} runs, {n_steps:,} steps: every value is the same to the last bit",)


def value_differences(run: str, episodes: Sequence[Episode], found: Sequence[Mapping[str, Any]]) -> list[str]:
    """Where recorded values are not those found."""
    reasons = []
    for episode, values in zip(episodes, found, strict=True):
        for name in dict.fromkeys([*episode.values, *values]):
            given, other = episode.values.get(name), values.get(name)
            if given != other:
                reasons.append(
                    CHANGED.format(run=run, seed=episode.seed, name=harmless(name, 60), given=given, found=other)
                )
                if len(reasons) == TOLD:
                    return reasons
    return reasons
