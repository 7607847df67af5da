"""What docs/bundles.md says of bundles is so."""

import re
from pathlib import Path

from benchmarks.leaderboard.__main__ import VERBS
from benchmarks.leaderboard.bundle import duplicates, retesting
from benchmarks.leaderboard.bundle.limits import LIMITS, MIB
from benchmarks.leaderboard.bundle.names import BUNDLE, CLAIMS, MANIFEST, OF_A_RUN
from benchmarks.leaderboard.bundle.origin import SAME_RULES
from benchmarks.leaderboard.bundle.reevaluation import ERROR
from benchmarks.leaderboard.bundle.verification import TIERS

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "bundles.md").read_text(encoding="utf-8")
WORDS = " ".join(TEXT.split())


def test_every_file_and_tier_is_described() -> None:
    for name in (MANIFEST, BUNDLE, CLAIMS, *OF_A_RUN):
        assert f"{name}`" in TEXT
    for number, name in enumerate(TIERS):
        assert not number or f"| {number} {name} |" in TEXT


def test_every_limit_is_the_one_that_holds() -> None:
    assert f"{LIMITS.document // MIB} MiB a document" in WORDS
    assert LIMITS.log == LIMITS.weights
    assert f"{LIMITS.log // MIB} MiB a JSON-lines or weights file" in WORDS
    assert f"{LIMITS.total // 1024 // MIB} GiB in all" in WORDS
    assert f"more than {LIMITS.files:,} files" in WORDS
    assert f"more than {LIMITS.digits} digits" in WORDS and f"more than {LIMITS.depth} levels" in WORDS
    assert f"with probability at most {ERROR:g}" in WORDS


def test_every_bound_on_copies_and_ties_is_the_one_that_holds() -> None:
    assert f"each does {duplicates.ENOUGH} different things or more" in WORDS
    assert f"{duplicates.NEAREST_OF_A_SEED:.0e} of their size".replace("-04", "-4") in WORDS
    assert "play 99 in 100 of them" in WORDS and duplicates.TIES == 0.01
    assert "one in a hundred of all in the bundle" in WORDS and retesting.TIES == 0.01


def test_every_command_and_file_exists() -> None:
    asked = re.findall(r"python -m benchmarks\.leaderboard (\w+)", TEXT)
    assert {"submit", "verify", "add", "report", "restore"} == set(asked) <= set(VERBS)
    assert SAME_RULES.relative_to(ROOT).as_posix() in TEXT
    for place in re.findall(r"\]\(\.\./([^)]+)\)", TEXT):
        assert (ROOT / place).exists()
