"""One file a verb of `python -m benchmarks.leaderboard`; each has a click command called `command`."""
