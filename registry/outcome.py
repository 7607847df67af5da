"""The end of a run in words."""

from typing import Any, Mapping, Sequence


def summary(records: Sequence[Mapping[str, Any]]) -> str:
    """The last test in words: win rate and return with their standard errors.

    A host's own runner keeps no single episodes, so only its means can be told.
    """
    tests = [record for record in records if record["kind"] == "test"]
    if tests:
        episodes = tests[-1]["episodes"]
        parts = [
            f"{words} {mean_and_error([episode[name] for episode in episodes])}"
            for name, words in (("battle_won", "win rate"), ("return", "return"))
            if all(name in episode for episode in episodes)
        ]
        at, how = tests[-1]["t_env"], f"{len(episodes)} episodes, ± standard error"
    else:
        last = {record["name"]: record for record in records if record["kind"] == "metric"}
        parts = [
            f"{words} {last[name]['value']:.3f}"
            for name, words in (("test_battle_won_mean", "win rate"), ("test_return_mean", "return"))
            if name in last
        ]
        at, how = last.get("test_return_mean", {"t_env": 0})["t_env"], "means only, by the host's runner"
    return f"Final test at step {at:,}: {', '.join(parts)} ({how})." if parts else "Nothing was tested."


def mean_and_error(values: Sequence[float]) -> str:
    """ "0.650 ± 0.109": mean and its standard error (sample standard deviation over the root of n)."""
    n = len(values)
    mean = sum(values) / n
    if n < 2:
        return f"{mean:.3f}"
    error = (sum((value - mean) ** 2 for value in values) / (n - 1) / n) ** 0.5
    return f"{mean:.3f} ± {error:.3f}"
