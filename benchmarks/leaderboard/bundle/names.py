"""Which files a bundle has, and why any other name is refused."""

import re
import unicodedata
from typing import Iterable, Mapping

from benchmarks.leaderboard.bundle.refusal import harmless

__all__ = [
    "BUNDLE", "CLAIMS", "EPISODES", "EVALUATION", "LAST_WEIGHTS", "MANIFEST", "OF_A_RUN", "RUN", "TESTS", "WEIGHTS",
    "looks_pickled", "name_reasons", "run_folder",
]  # fmt: skip

MANIFEST, BUNDLE, CLAIMS = "manifest.json", "bundle.json", "claims.json"
RUN, TESTS = "run.json", "tests.jsonl"
EVALUATION, EPISODES, WEIGHTS = "evaluation.json", "episodes.jsonl", "agent.safetensors"
LAST_WEIGHTS = "last.safetensors"
OF_A_RUN = (RUN, TESTS, EVALUATION, EPISODES, WEIGHTS, LAST_WEIGHTS)

_SEGMENT = r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"
_RUN = re.compile(
    rf"runs/{_SEGMENT}/{_SEGMENT}/seed-(0|[1-9][0-9]{{0,9}})/({'|'.join(map(re.escape, OF_A_RUN))})", re.ASCII
)
_PICKLED = (".bin", ".ckpt", ".dill", ".joblib", ".npy", ".npz", ".pickle", ".pkl", ".pt", ".pth", ".th")

OUTSIDE = "{name}: a name that leads out of the bundle, expected names such as runs/async-poac-1/mvd/seed-1/run.json."
PICKLE = "{name}: pickled data can run code when it is read and is never accepted. Weights go in safetensors."
PICKLED = "{name}: it begins as pickled data does, which can run code when it is read and is never accepted."
EXTRA = "{name}: not a file that a bundle has. Take it out."
CHARACTERS = "{name}: a name with characters that are not accepted, expected letters, digits, '.', '_' and '-'."
TWICE = "{name}: there twice{why}."
MISSING = "{name}: missing from the bundle."


def run_folder(task_folder: str, algorithm: str, seed: int) -> str:
    """Where the files of one run lie."""
    return f"runs/{task_folder}/{algorithm}/seed-{seed}"


def name_reasons(names: Iterable[str]) -> list[str]:
    """Why these file names are not accepted; empty if they are."""
    reasons = []
    seen: dict[str, str] = {}
    for name in names:
        reason = _reason(name)
        if reason is not None:
            reasons.append(reason.format(name=harmless(name, 120)))
        folded = unicodedata.normalize("NFKC", name).casefold()
        if folded in seen:
            why = "" if seen[folded] == name else f" to file systems that do not tell it from {harmless(seen[folded])}"
            reasons.append(TWICE.format(name=harmless(name, 120), why=why))
        seen[folded] = name
    return reasons


def missing_reasons(files: Mapping[str, object]) -> list[str]:
    """Which of the files that every bundle has are not there."""
    return [MISSING.format(name=name) for name in (MANIFEST, BUNDLE, CLAIMS) if name not in files]


def _reason(name: str) -> str | None:
    if name in (MANIFEST, BUNDLE, CLAIMS):
        return None
    parts = name.replace("\\", "/").split("/")
    if name.startswith(("/", "\\")) or ".." in parts or re.match(r"[A-Za-z]:", name):
        return OUTSIDE
    if name.lower().endswith(_PICKLED):
        return PICKLE
    if _RUN.fullmatch(name) is not None:
        return None
    return EXTRA if re.fullmatch(r"[A-Za-z0-9._/ -]+", name, re.ASCII) else CHARACTERS


def looks_pickled(name: str, head: bytes) -> bool:
    """Whether a file's first bytes are those of a pickle, of torch's or numpy's files.

    A safetensors file begins with a length, whose bytes may be a pickle's; the brace behind it tells them apart.
    """
    if head.startswith((b"PK\x03\x04", b"\x93NUMPY", b"\x1f\x8b", b"cos\n", b"cposix\n", b"cbuiltins\n")):
        return True
    pickled = len(head) > 1 and head[0] == 0x80 and head[1] <= 5
    return pickled and not (name.endswith(".safetensors") and head[8:9] == b"{")
