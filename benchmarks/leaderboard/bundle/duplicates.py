"""Runs that are copies of each other, whatever seed, algorithm or submission they are said to be of.

Two runs have different first weights, episodes and clocks. So equal weights, equal tests to the millisecond, equal
returns (where there are many different ones) or equal actions mean one run told twice; so do weights that differ by
less than training from another seed could.
"""

import hashlib
import math
from dataclasses import dataclass
from typing import Any, Iterable, Mapping

import numpy as np

from benchmarks.leaderboard.bundle.contents import RunFiles
from benchmarks.leaderboard.bundle.weights import content_hash

__all__ = ["Print", "copies", "finger_print"]

COPY = "{one} and {other}: one run told twice (equal {what})."
NEAR = (
    "{one} and {other}: one run told twice (weights of different seeds that differ by {distance:.1e} of their size, "
    "expected at least {least})."
)
ENOUGH = 30  # different returns, or sequences of actions, that no two runs share by chance
NEAREST = 0.02  # distance of two networks over their size; two random ones are about 1.4 apart


@dataclass(frozen=True)
class Print:
    """What tells one run from another."""

    name: str
    task: str
    algorithm: str
    seed: int
    hashes: Mapping[str, str]  # what was hashed -> SHA-256
    vector: np.ndarray | None  # weights, float32 [W]


def finger_print(run: RunFiles, tensors: Mapping[str, Any] | None) -> Print:
    """The prints of a run; a run without tests and weights has none."""
    hashes: dict[str, str] = {}
    if run.tests and all(test.wall_s is not None for test in run.tests):
        hashes["tests and times"] = _hash(
            [np.array([test.step, test.decisions or -1, test.wall_s], np.float64) for test in run.tests]
            + [test.values["return"] for test in run.tests]
        )
    returns = [test.values["return"] for test in run.tests]
    if returns and len(np.unique(np.concatenate(returns))) >= ENOUGH:
        hashes["returns"] = _hash(returns)
    if len({episode.actions.tobytes() for episode in run.episodes}) >= ENOUGH:
        hashes["actions"] = _hash([episode.actions for episode in run.episodes])
    vector = None
    if tensors is not None:
        hashes["weights"] = content_hash(dict(tensors))
        vector = np.concatenate([tensors[name].numpy().astype(np.float32).ravel() for name in sorted(tensors)])
    return Print(run.name, *run.cell, hashes, vector)


def copies(prints: Iterable[Print], known: Mapping[tuple[str, str], str] | None = None) -> list[str]:
    """Why some of these runs are refused: each pair of copies, in one line.

    Args:
        known: (what was hashed, hash) -> name of a run that is on a board already.
    """
    reasons = []
    seen = dict(known or {})
    prints = list(prints)
    for each in prints:
        same = [(what, seen[what, value]) for what, value in each.hashes.items() if (what, value) in seen]
        if same:
            what = ", ".join(kind for kind, _ in same)
            reasons.append(COPY.format(one=same[0][1], other=each.name, what=what))
        seen.update({(what, value): each.name for what, value in each.hashes.items()})
    return reasons or _near(prints)


def _near(prints: list[Print]) -> list[str]:
    """Pairs of different seeds on one task whose weights are almost the same."""
    reasons = []
    kinds: dict[tuple[str, int], list[Print]] = {}
    for each in prints:
        if each.vector is not None:
            kinds.setdefault((each.task, len(each.vector)), []).append(each)
    for group in kinds.values():
        for k, one in enumerate(group):
            for other in group[k + 1:]:
                assert one.vector is not None and other.vector is not None
                size = math.sqrt(float(np.dot(one.vector, one.vector)) or 1.0)
                distance = float(np.linalg.norm(one.vector - other.vector)) / size
                if one.seed != other.seed and distance < NEAREST:
                    reasons.append(NEAR.format(one=one.name, other=other.name, distance=distance, least=NEAREST))
    return reasons


def _hash(arrays: Iterable[np.ndarray]) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.shape}{array.dtype}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
