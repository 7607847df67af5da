"""The leaderboard as one self-contained page: `page(data) -> str`."""

from benchmarks.leaderboard.page.document import page

__all__ = ["page"]
