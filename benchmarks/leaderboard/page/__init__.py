"""The leaderboard as one self-contained page; `page.page` writes it."""
