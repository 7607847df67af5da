"""What a test cycle says: win rate and return with their standard errors."""

import math
from typing import Any, Sequence

WON = "battle_won"


def mean_and_error(values: Sequence[float]) -> tuple[float, float]:
    """(Mean, standard error of the mean: sample deviation / sqrt(n); NaN for one value)."""
    n = len(values)
    mean = math.fsum(values) / n
    if n < 2:
        return mean, math.nan
    return mean, math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1) / n)


def summary(t_env: int, episodes: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Numbers of one test cycle: t_env, n_episodes, return, and win_rate where the task knows a win."""
    mean, error = mean_and_error([episode["return"] for episode in episodes])
    numbers = {"t_env": t_env, "n_episodes": len(episodes), "return": mean, "return_error": error}
    if all(WON in episode for episode in episodes):
        numbers["win_rate"], numbers["win_rate_error"] = mean_and_error(
            [episode[WON] for episode in episodes]
        )
    return numbers


def sentence(numbers: dict[str, float]) -> str:
    """The numbers of `summary` in words."""
    won = ""
    if "win_rate" in numbers:
        won = f"win rate {numbers['win_rate']:.3f} ± {numbers['win_rate_error']:.3f}, "
    return (
        f"test at step {numbers['t_env']:,}: {won}"
        f"return {numbers['return']:.3f} ± {numbers['return_error']:.3f} ("
        f"standard error, {numbers['n_episodes']} episodes)"
    )
