"""Running mean and variance, for the switches standardise_rewards and standardise_returns."""

from typing import Any

import torch
from torch import Tensor


class RunningMoments:
    """Mean and variance of all numbers seen so far, starting at 0 and 1 with the weight of `count` numbers.

    Merging by Chan et al.'s parallel formula, as EPyMARL does; where its statistics count the padding after
    an episode's end as zeros, ours are handed played steps only.
    """

    def __init__(self) -> None:
        self.mean, self.var, self.count = 0.0, 1.0, 1e-4

    def update(self, values: Tensor) -> None:
        """Take in numbers of any shape; fewer than two change nothing."""
        n = values.numel()
        if n < 2:
            return
        mean, var = float(values.mean()), float(values.var())
        total = self.count + n
        delta = mean - self.mean
        squares = self.var * self.count + var * n + delta * delta * self.count * n / total
        self.mean, self.var, self.count = self.mean + delta * n / total, squares / total, total

    @property
    def std(self) -> float:
        """Square root of the variance."""
        return float(torch.tensor(self.var, dtype=torch.float64).sqrt())

    def standardise(self, values: Tensor) -> Tensor:
        """(values - mean) / std."""
        return (values - self.mean) / self.std

    def restore(self, values: Tensor) -> Tensor:
        """values * std + mean."""
        return values * self.std + self.mean

    def resume_state(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {"mean": self.mean, "var": self.var, "count": self.count}

    def load_resume_state(self, state: dict[str, Any]) -> None:
        """Go on from `resume_state`."""
        self.mean, self.var, self.count = state["mean"], state["var"], state["count"]
