"""What a rule of the contract is given to look at, and the words in which it is broken."""

import functools
from dataclasses import dataclass, field
from typing import Callable, Sequence

import numpy as np

from async_envs.core.simulator import Simulator

GARBAGE = 10**9  # what is passed for episodes that are over, whose actions are not read


class ContractBroken(AssertionError):
    """A rule of the contract does not hold; the text names the rule and where it broke."""


@dataclass(frozen=True)
class Rollout:
    """Copies of the buffers of B episodes: index 0 after reset, then one for each of T steps.

    After an episode's end its rows hold what the simulator left there.
    """

    seeds: tuple[int, ...]
    arrays: dict[str, np.ndarray]  # name of a buffer -> [T+1, B, ...]; metrics as "metrics/<name>"
    running: np.ndarray  # [T, B] bool, the episode was not over before the step

    @property
    def n_steps(self) -> np.ndarray:
        """[B] int, steps that each episode lasted (or was played)."""
        return self.running.sum(axis=0)

    @property
    def ended(self) -> np.ndarray:
        """[B] bool, the episode came to its end."""
        return self.arrays["terminated"][-1] | self.arrays["truncated"][-1]


@dataclass
class Subject:
    """The simulator under test: how to make it, with which seeds it is played, what went unchecked."""

    make: Callable[[int], Simulator]
    seeds: tuple[int, ...]
    max_steps: int
    unchecked: list[str] = field(default_factory=list)

    @functools.cached_property
    def rollout(self) -> Rollout:
        """All seeds, played in one batch."""
        return self.play(self.seeds)

    def play(self, seeds: Sequence[int]) -> Rollout:
        """Play one batch from its seeds to the end."""
        simulator = self.make(len(seeds))
        simulator.reset(list(seeds))
        return self.play_on(simulator, seeds)

    def play_on(
        self, simulator: Simulator, seeds: Sequence[int], policies: list[np.random.Generator] | None = None
    ) -> Rollout:
        """Play the running episodes of `simulator` to the end, each with the policy of its own seed."""
        policies = [policy_of(seed) for seed in seeds] if policies is None else policies
        copies, running = [copy_buffers(simulator)], []
        for _ in range(self.max_steps):
            is_running = ~(simulator.terminated | simulator.truncated)
            if not is_running.any():
                break
            has_action = simulator.avail_actions[is_running].any(axis=-1)
            require(has_action.all(), "avail_actions", "an agent has no available action")
            simulator.step(choose(simulator, policies))
            running.append(is_running)
            copies.append(copy_buffers(simulator))
        arrays = {name: np.stack([copy[name] for copy in copies]) for name in copies[0]}
        stacked = np.array(running, np.bool_).reshape(len(running), len(seeds))
        return Rollout(tuple(seeds), arrays, stacked)


def policy_of(seed: int) -> np.random.Generator:
    """The random actions that go with a seed, wherever its episode is played."""
    return np.random.default_rng([seed, 1])


def choose(simulator: Simulator, policies: Sequence[np.random.Generator]) -> np.ndarray:
    """[B, N] int64: an available action for each agent, garbage for the episodes that are over."""
    shape = simulator.avail_actions.shape
    actions = np.full(shape[:2], GARBAGE, np.int64)
    for b, policy in enumerate(policies):
        if not (simulator.terminated[b] or simulator.truncated[b]):
            actions[b] = (policy.random(shape[1:]) * (simulator.avail_actions[b] > 0)).argmax(axis=-1)
    return actions


def buffers(simulator: Simulator) -> dict[str, np.ndarray]:
    """The public arrays of a simulator, by name."""
    names = ("obs", "state", "avail_actions", "reward", "terminated", "truncated", "t", "decisions")
    return {name: getattr(simulator, name) for name in names} | {
        f"metrics/{name}": values for name, values in simulator.metrics.items()
    }


def copy_buffers(simulator: Simulator) -> dict[str, np.ndarray]:
    """Copies of the public arrays."""
    return {name: values.copy() for name, values in buffers(simulator).items()}


def require(holds: object, rule: str, detail: str) -> None:
    """Raise `ContractBroken` unless `holds`."""
    if not holds:
        raise ContractBroken(f"{rule}: {detail}")


def episode_of(rollout: Rollout, b: int) -> dict[str, np.ndarray]:
    """Episode `b` of a rollout, from reset to its last step."""
    return {name: array[: int(rollout.n_steps[b]) + 1, b] for name, array in rollout.arrays.items()}


def first_difference(left: dict[str, np.ndarray], right: dict[str, np.ndarray]) -> str | None:
    """Name of the first array that is not the same to the bit, None if all are."""
    for name, array in left.items():
        if array.shape != right[name].shape or array.tobytes() != right[name].tobytes():
            return name
    return None


def require_same(
    left: dict[str, np.ndarray], right: dict[str, np.ndarray], rule: str, detail: str
) -> None:
    """Raise `ContractBroken` unless all arrays are the same to the bit; `detail` has a place for {name}."""
    name = first_difference(left, right)
    require(name is None, rule, detail.format(name=name))


def require_everywhere(holds: np.ndarray, rule: str, detail: str) -> None:
    """Raise `ContractBroken` at the first False of `holds` [T+1, B, N]."""
    if not holds.all():
        t, b, i = np.argwhere(~holds)[0]
        raise ContractBroken(f"{rule}: {detail} (step {t}, episode {b}, agent {i})")


def require_raises(kind: type[Exception], act: Callable[[], object], rule: str, detail: str) -> str:
    """The text with which `act()` raises `kind`; `ContractBroken` if it does not."""
    try:
        act()
    except kind as error:
        return str(error)
    raise ContractBroken(f"{rule}: {detail}, expected {kind.__name__}")
