"""Least-squares projection on additive values, exactly: the operator of Definition 5 for Eq. 1's class."""

from typing import NamedTuple

import numpy as np


class Projection(NamedTuple):
    """A linear projection that works on each group of pairs by itself."""

    blocks: tuple[tuple[np.ndarray, np.ndarray], ...]  # rows [n] of a group, and its matrix [n, n]

    def __call__(self, q: np.ndarray) -> np.ndarray:
        """The member of the class that is nearest to q [P]: [P] float64."""
        nearest = np.empty_like(q)
        for rows, matrix in self.blocks:
            nearest[rows] = matrix @ q[rows]
        return nearest


def columns(slots: np.ndarray) -> np.ndarray:
    """[n, K] float64: one indicator for each value of each slot of [n, L], so that their sums are additive."""
    return np.concatenate([slots[:, [k]] == np.unique(slots[:, k]) for k in range(slots.shape[1])], 1).astype(float)


def additive(slots: np.ndarray, group: np.ndarray, weights: np.ndarray) -> Projection:
    """The projection on sums of one utility for each slot, free in every group.

    Args:
        slots: [P, L] int, what each utility reads beside the group: an action, or its code with what is seen.
        group: [P] int; utilities of two groups have nothing in common.
        weights: [P] float64, positive, of the squared errors.
    """
    blocks = []
    for label in np.unique(group):
        rows = np.flatnonzero(group == label)
        design, root = columns(slots[rows]), np.sqrt(weights[rows])
        blocks.append((rows, design @ np.linalg.pinv(root[:, None] * design) * root))
    return Projection(tuple(blocks))


def error(target: np.ndarray, fit: np.ndarray, weights: np.ndarray) -> float:
    """Weighted sum of squared errors."""
    return float(weights @ (target - fit) ** 2)
