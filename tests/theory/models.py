"""A task's two models and the way from one to the other, as the property tests need them."""

from typing import NamedTuple

import numpy as np

from async_envs.tabular.exact.correspondence import correspondence
from async_envs.tabular.exact.model import Model
from async_envs.tabular.exact.padded import padded
from async_envs.tabular.exact.proxies import with_proxies
from async_envs.tabular.task import TabularTask
from tests.counted import count
from tests.theory.strategies import fingerprint


class Pair(NamedTuple):
    """Both models of one task."""

    dec: Model  # the padded Dec-POMDP
    vsp: Model  # Dec-POMDP with VSP
    state_of: np.ndarray  # [X^] int64
    pair_of: np.ndarray  # [P^] int64


def both(task: TabularTask, memory: str = "kept") -> Pair:
    """The padded model, the model with proxies, and the correspondence; counts the task as tried."""
    count("tasks", fingerprint(task).hex())
    dec, vsp = padded(task), with_proxies(task, memory)
    return Pair(dec, vsp, *correspondence(vsp, dec))


def values_scale(model: Model) -> float:
    """1 + the largest value that rewards of this size can add up to; tolerances are relative to it."""
    return 1.0 + float(np.abs(model.rewards).max()) / (1.0 - model.discount)


def assert_close(actual: np.ndarray, expected: np.ndarray, scale: float = 1.0, tolerance: float = 1e-9) -> None:
    """Within `tolerance` times `scale`, entry by entry."""
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * scale)
