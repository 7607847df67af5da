"""Does a simulator keep the contract? For the tests of any family, ours or not.

    report = check_simulator(lambda batch_size: make("async:mine-1", "1", batch_size), seeds=range(8))
    assert report.unchecked == ()

Plays the simulator with random available actions and raises `ContractBroken` at the first rule that does not
hold. The rules are in `conformance_checks.py` and `conformance_calls.py`, one function each.
"""

import logging
from dataclasses import dataclass
from typing import Callable, Sequence

from async_envs.core.conformance_checks import CHECKS
from async_envs.core.conformance_subject import ContractBroken, Rollout, Subject
from async_envs.core.simulator import Simulator

__all__ = ["ContractBroken", "Report", "Rollout", "Subject", "check_simulator"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Report:
    """What was found to hold, and what could not be seen in the episodes that were played."""

    checked: tuple[str, ...]
    unchecked: tuple[str, ...]


def check_simulator(
    make: Callable[[int], Simulator], seeds: Sequence[int] = range(8), max_steps: int = 1000
) -> Report:
    """Check every rule of the contract on the episodes of `seeds`.

    Args:
        make: batch size -> a new simulator; called several times, with sizes up to 4096.
        seeds: at least two different ints; episodes are played with random available actions.
        max_steps: episodes are left there; rules about ends go unchecked if none ended before.

    Returns:
        What was checked and what went unchecked (also logged, as a warning).

    Raises:
        ContractBroken: at the first rule that does not hold.
        ValueError: fewer than two different seeds.
    """
    if len(set(seeds)) < 2:
        raise ValueError(f"check_simulator: seeds={list(seeds)} hold fewer than two. Pass different seeds.")
    subject = Subject(make, tuple(int(seed) for seed in seeds), max_steps)
    for check in CHECKS:
        check(subject)
    for line in subject.unchecked:
        _log.warning("unchecked: %s", line)
    return Report(tuple(check.__name__ for check in CHECKS), tuple(subject.unchecked))
