"""A benchmark whose numbers can be repeated and verified: `python -m benchmarks.leaderboard --help`."""
