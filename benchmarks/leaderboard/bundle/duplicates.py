"""Runs that are copies of each other, whatever seed, algorithm or submission they are said to be of.

Two runs have different first weights, episodes and clocks. So equal weights, equal tests to the millisecond, equal
returns (where there are many different ones) or equal actions mean one run told twice; so do weights that differ by
less than training from another seed could, and networks that act alike where many different things are done.

Algorithms that share a network begin with the same weights under the same seed. So those of one seed are compared more
narrowly, and not at all where the best test of both was the first one, before anything was learned.
"""

import hashlib
import math
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Iterable, Mapping, Sequence

import numpy as np

from benchmarks.leaderboard.bundle.contents import RunFiles
from benchmarks.leaderboard.bundle.weights import content_hash

__all__ = ["Played", "Print", "alike", "as_told", "copies", "finger_print", "played_by", "players_told", "told"]

COPY = "{one} and {other}: one run told twice (equal {what})."
NEAR = (
    "{one} and {other}: one run told twice (weights of different {what} that differ by {distance:.1e} of their size, "
    "expected at least {least})."
)
ALIKE = "{one} and {other}: one run told twice (their networks play {n} of {of} fresh episodes with the same actions)."
TOLD = "no two of {n} networks play the fresh episodes of their task alike"
FEW = " ({n} do fewer than {enough} different things there, and cannot be told from copies so)"
ENOUGH = 30  # different returns, or sequences of actions, that no two runs share by chance
NEAREST = 0.02  # distance of two networks over their size; two random ones are about 1.4 apart
NEAREST_OF_A_SEED = 1e-4  # of two algorithms that began with the same weights; a single update moves them further
TIES = 0.01  # share of episodes in which equal networks may act differently by ties
KEPT, KEPT_BYTES = 100, 8  # episodes a run, and bytes a hash, that a verification record keeps


@dataclass(frozen=True)
class Print:
    """What tells one run from another."""

    name: str
    task: str
    algorithm: str
    seed: int
    hashes: Mapping[str, str]  # what was hashed -> SHA-256
    vector: np.ndarray | None  # weights, float32 [W]
    is_first: bool = False  # the networks are those of the first test


@dataclass(frozen=True)
class Played:
    """What the networks of one run do on the episodes that those of all runs of its task play."""

    name: str
    task: str
    algorithm: str
    seed: int
    is_first: bool  # the networks are those of the first test
    actions: tuple[bytes, ...]  # a hash an episode


def finger_print(run: RunFiles, tensors: Mapping[str, Any] | None) -> Print:
    """The prints of a run; a run without tests and weights has none."""
    is_first = _is_of_first_test(run)
    own = f"{run.run['algorithm']} " if is_first else ""  # untrained networks are those of other algorithms, too
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
        hashes["actions"] = own + _hash([episode.actions for episode in run.episodes])
    vector = None
    if tensors is not None:
        hashes["weights"] = own + content_hash(dict(tensors))
        vector = np.concatenate([tensors[name].numpy().astype(np.float32).ravel() for name in sorted(tensors)])
    return Print(run.name, *run.cell, hashes, vector, is_first)


def _is_of_first_test(run: RunFiles) -> bool:
    return run.evaluation is not None and bool(run.tests) and run.evaluation["step"] == run.tests[0].step


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
    """Pairs on one task whose weights are almost the same."""
    reasons = []
    kinds: dict[tuple[str, int], list[Print]] = {}
    for each in prints:
        if each.vector is not None:
            kinds.setdefault((each.task, len(each.vector)), []).append(each)
    for group in kinds.values():
        for k, one in enumerate(group):
            for other in group[k + 1:]:
                assert one.vector is not None and other.vector is not None
                if _began_alike(one, other) and one.is_first and other.is_first:
                    continue
                least = NEAREST_OF_A_SEED if _began_alike(one, other) else NEAREST
                what = "algorithms" if _began_alike(one, other) else "seeds"
                size = math.sqrt(float(np.dot(one.vector, one.vector)) or 1.0)
                distance = float(np.linalg.norm(one.vector - other.vector)) / size
                if distance < least:
                    told = {"one": one.name, "other": other.name, "what": what}
                    reasons.append(NEAR.format(**told, distance=distance, least=least))
    return reasons


def _began_alike(one: Print | Played, other: Print | Played) -> bool:
    """Whether two runs may have begun with the same weights."""
    return one.seed == other.seed and one.algorithm != other.algorithm


def played_by(run: RunFiles, episodes: Iterable[np.ndarray]) -> Played:
    """What a run's networks do.

    Args:
        episodes: actions [T, N] of episodes whose seeds are the same for all runs of its task.
    """
    hashes = tuple(hashlib.sha256(f"{each.shape}".encode() + each.tobytes()).digest() for each in episodes)
    return Played(run.name, *run.cell, _is_of_first_test(run), hashes)


def alike(players: Iterable[Played]) -> list[str]:
    """Why some runs are refused: their networks do the same, though there are ENOUGH different things that they do."""
    reasons = []
    for one, other in combinations([each for each in players if _does_enough(each)], 2):
        if one.task != other.task or (_began_alike(one, other) and one.is_first and other.is_first):
            continue
        n, of = sum(a == b for a, b in zip(one.actions, other.actions)), min(len(one.actions), len(other.actions))
        if n >= (1 - TIES) * of:
            reasons.append(ALIKE.format(one=one.name, other=other.name, n=n, of=of))
    return reasons


def as_told(player: Played) -> dict[str, Any]:
    """What a verification record keeps of `player`, as JSON."""
    return {"is_first": player.is_first, "actions": [each[:KEPT_BYTES].hex() for each in player.actions[:KEPT]]}


def told(print_: Mapping[str, Any], name: str) -> Played | None:
    """The player of a verification record's print; None if the record keeps none."""
    kept = print_.get("played")
    if kept is None:
        return None
    actions = tuple(bytes.fromhex(each) for each in kept["actions"])
    return Played(name, print_["task"], print_["algorithm"], print_["seed"], kept["is_first"], actions)


def players_told(players: Sequence[Played]) -> str:
    """That no two runs are alike, and of how many this cannot be said as they do too few different things."""
    few = sum(not _does_enough(each) for each in players)
    return TOLD.format(n=len(players)) + (FEW.format(n=few, enough=ENOUGH) if few else "")


def _does_enough(player: Played) -> bool:
    return len(set(player.actions)) >= ENOUGH


def _hash(arrays: Iterable[np.ndarray]) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.shape}{array.dtype}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
