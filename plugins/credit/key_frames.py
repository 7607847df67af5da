"""Which steps of an episode are worth looking at.

Three rankings of its steps: by the size of the TD error, by how far the reward is from the episode's median reward
(so that a cost that every step has is nothing), and by how much the interaction pattern changed since the step
before (the sum over pairs of the change of |f_ij|; before the first step all f are 0). The rankings take turns, in
this order, and each gives its best step that is not taken yet, until there are as many key frames as asked for. A
step whose number is 0 is nothing to look at. Of equal steps the earlier one is taken.
"""

from typing import NamedTuple

import numpy as np

from plugins.credit.course import Course

__all__ = ["KeyFrame", "RANKINGS", "choose", "key_frames"]

RANKINGS = ("TD error", "reward", "interactions change")


class KeyFrame(NamedTuple):
    """A step to look at."""

    row: int  # of the course
    why: tuple[str, ...]  # the rankings whose own choice it is, or whose first step it is


def key_frames(course: Course, n_frames: int) -> list[KeyFrame]:
    """At most `n_frames` steps, in their order in the episode."""
    strength = np.abs(course.f)
    before = np.concatenate([np.zeros_like(strength[:1]), strength[:-1]])
    changes = np.abs(strength - before).sum((1, 2))
    rewards = np.abs(course.reward - np.median(course.reward))
    return choose([np.abs(course.td_error), rewards, changes], n_frames)


def choose(scores: list[np.ndarray], n_frames: int) -> list[KeyFrame]:
    """The rule on three arrays [T] of scores, none negative."""
    rankings = [[int(row) for row in np.argsort(-score, kind="stable") if score[row] > 0] for score in scores]
    why: dict[int, list[str]] = {}
    while len(why) < n_frames and any(rankings):
        for name, ranking in zip(RANKINGS, rankings):
            while ranking and ranking[0] in why:
                ranking.pop(0)
            if ranking and len(why) < n_frames:
                why[ranking.pop(0)] = [name]
    for name, score in zip(RANKINGS, scores):
        first = int(np.argmax(score))
        if score[first] > 0 and first in why and name not in why[first]:
            why[first].append(name)
    return [KeyFrame(row, tuple(why[row])) for row in sorted(why)]
