"""Rules of the contract about calls: what is refused, what a reset leaves alone, what a step costs."""

import gc
import tracemalloc
from typing import Any

import numpy as np
from numba.core import runtime as numba_runtime

from async_envs.core.compile import is_compiled
from async_envs.core.conformance_subject import (
    Subject,
    buffers,
    choose,
    copy_buffers,
    episode_of,
    policy_of,
    require,
    require_raises,
    require_same,
)
from async_envs.core.simulator import Simulator

runtime: Any = numba_runtime

ALLOCATION_BATCH = 4096  # an array of one byte an episode stands out from what a call costs by itself
ALLOCATION_STEPS = 5


def all_over(subject: Subject) -> None:
    """`step` raises before reset, and when every episode is over; nothing moves."""
    simulator = subject.make(1)
    actions = np.zeros((1, simulator.n_agents), np.int64)
    require_raises(ValueError, lambda: simulator.step(actions), "step", "step before reset does not raise")
    simulator.reset([subject.seeds[0]])
    rollout = subject.play_on(simulator, subject.seeds[:1])
    if not rollout.ended.all():
        return  # said by clock_and_ends
    before = copy_buffers(simulator)
    require_raises(ValueError, lambda: simulator.step(actions), "step", "with every episode over it passes")
    require_same(before, copy_buffers(simulator), "step", "a refused step moves {name}")
    simulator.reset([subject.seeds[0]])
    again = subject.play_on(simulator, subject.seeds[:1])
    require_same(rollout.arrays, again.arrays, "reset", "after the end, reset does not begin afresh: {name}")


def bad_actions(subject: Subject) -> None:
    """An action that is not available raises, naming what is wrong; nothing has moved, inside or out."""
    seeds = subject.seeds[:2]
    simulator = subject.make(2)
    simulator.reset(list(seeds))
    policies = [policy_of(seed) for seed in seeds]
    agent, n_before = simulator.n_agents - 1, 0
    for _ in range(3):
        if (simulator.terminated | simulator.truncated).any():
            break
        row = simulator.avail_actions[1, agent]
        legal = choose(simulator, [policy_of(1), policy_of(2)])
        for bad in [-1, simulator.n_actions, *np.flatnonzero(row == 0).tolist()]:
            actions = legal.copy()
            actions[1, agent] = bad
            name = simulator.action_names[bad] if 0 <= bad < simulator.n_actions else str(bad)
            available = [simulator.action_names[a] for a in np.flatnonzero(row)]
            _refuse(simulator, actions, ValueError, ["episode 1", f"agent {agent}", name, *available])
        _refuse(simulator, legal[:, :-1], ValueError, ["shape"])
        _refuse(simulator, legal.astype(np.float64), TypeError, ["dtype"])
        simulator.step(choose(simulator, policies))
        n_before += 1
    twin = subject.play(seeds)  # never saw a bad action
    rest = subject.play_on(simulator, seeds, policies)
    n_seen = max(0, min(len(twin.running) - n_before, len(rest.running)) + 1)
    expected = {name: array[n_before: n_before + n_seen] for name, array in twin.arrays.items()}
    found = {name: array[:n_seen] for name, array in rest.arrays.items()}
    require_same(expected, found, "bad actions", "a refused action changed what follows: {name}")


def _refuse(simulator: Simulator, actions: np.ndarray, kind: type[Exception], words: list[str]) -> None:
    """`step(actions)` must raise with `words` in one line, and leave every buffer as it is."""
    before = copy_buffers(simulator)
    line = require_raises(kind, lambda: simulator.step(actions), "bad actions", f"{actions.tolist()} passes")
    for word in words:
        require(word in line, "bad actions", f"the error does not name {word!r}: {line}")
    require("\n" not in line, "bad actions", f"the error has several lines: {line}")
    require_same(before, copy_buffers(simulator), "bad actions", "a refused action moves {name}")


def reset_of_some(subject: Subject) -> None:
    """`reset(seeds, where)` restarts the episodes of the mask; the others and their seeds are not touched."""
    seeds = subject.seeds
    simulator = subject.make(len(seeds))
    simulator.reset(list(seeds))
    policies = [policy_of(seed) for seed in seeds]
    simulator.step(choose(simulator, policies))
    before = copy_buffers(simulator)
    where = np.arange(len(seeds)) % 2 == 0
    mixed: list[Any] = [seed if is_new else None for seed, is_new in zip(seeds, where)]
    simulator.reset(mixed, where=where)
    after = copy_buffers(simulator)
    for name, array in after.items():
        is_same = np.array_equal(array[~where], before[name][~where])
        require(is_same, "reset", f"where=False rows of {name} change")
        is_fresh = np.array_equal(array[where], subject.rollout.arrays[name][0][where])
        require(is_fresh, "reset", f"{name} is not as after a full reset")
    for b in np.flatnonzero(where).tolist():
        policies[b] = policy_of(seeds[b])
    rollout = subject.play_on(simulator, seeds, policies)
    for b in np.flatnonzero(where).tolist():
        require_same(
            episode_of(subject.rollout, b), episode_of(rollout, b), "reset",
            "a restarted episode differs in {name}",
        )  # fmt: skip


def bad_seeds(subject: Subject) -> None:
    """Seeds of the wrong number or out of [0, 2**64) raise; the largest is accepted."""
    simulator = subject.make(2)
    seeds: list[Any] = [[1], [1, 2, 3], [1, -1], [1, 2**64], [1, 1.5], 7]
    for bad in seeds:
        require_raises(ValueError, lambda: simulator.reset(bad), "seeds", f"reset({bad}) passes")
    half = np.array([True, False])
    require_raises(ValueError, lambda: simulator.reset([1, 2], half), "reset", "a first reset of some")
    simulator.reset([0, 2**64 - 1])
    require_raises(ValueError, lambda: simulator.reset([1, 2], half[:1]), "reset", "a short mask passes")


def own_randomness(subject: Subject) -> None:
    """Playing neither reads nor moves NumPy's global random state."""
    before = np.random.get_state()
    try:
        np.random.seed(1)
        first = subject.play(subject.seeds[:1])
        np.random.seed(2)
        inside = np.random.get_state()[1].copy()  # type: ignore[index]
        second = subject.play(subject.seeds[:1])
        moved = not np.array_equal(inside, np.random.get_state()[1])  # type: ignore[index]
    finally:
        np.random.set_state(before)
    require(not moved, "randomness", "the global random state of NumPy is moved")
    require_same(first.arrays, second.arrays, "randomness", "{name} depends on NumPy's global random state")


def same_buffers(subject: Subject) -> None:
    """The buffers are the same objects for the life of the simulator."""
    simulator = subject.make(2)
    before = buffers(simulator)
    simulator.reset([subject.seeds[0], subject.seeds[1]])
    simulator.step(choose(simulator, [policy_of(1), policy_of(2)]))
    for name, array in buffers(simulator).items():
        require(array is before[name], "buffers", f"{name} is another object after a step")


def no_allocation(subject: Subject) -> None:
    """A step allocates no array over the episodes; its kernels allocate no more for many than for one."""
    if not is_compiled():
        subject.unchecked.append("allocation in a step (kernels are not compiled)")
        return
    n_bytes, n_many = _allocation(subject, ALLOCATION_BATCH)
    require(n_bytes < ALLOCATION_BATCH, "allocation", f"a step allocates {n_bytes} bytes for its batch")
    _, n_one = _allocation(subject, 1)
    detail = f"the kernels of a step allocate {n_many} times, {n_one} for one episode"
    require(n_many <= n_one, "allocation", detail)


def _allocation(subject: Subject, batch_size: int) -> tuple[int, int]:
    """Most bytes (Python) and blocks (kernels, an argument counts as one) that one step allocated."""
    simulator = subject.make(batch_size)
    seeds = np.arange(batch_size, dtype=np.uint64)
    simulator.reset(seeds)
    policies = [policy_of(int(seed)) for seed in seeds]
    simulator.step(choose(simulator, policies))  # the first call may load code
    n_bytes, n_blocks = 0, 0
    runtime._nrt_python.memsys_enable_stats()
    gc.collect()
    for _ in range(ALLOCATION_STEPS):
        if (simulator.terminated | simulator.truncated).all():
            simulator.reset(seeds)
        actions = choose(simulator, policies)
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        blocks_before = runtime.rtsys.get_allocation_stats().alloc
        simulator.step(actions)
        n_blocks = max(n_blocks, runtime.rtsys.get_allocation_stats().alloc - blocks_before)
        n_bytes = max(n_bytes, tracemalloc.get_traced_memory()[1] - before)
        tracemalloc.stop()
    runtime._nrt_python.memsys_disable_stats()
    return n_bytes, n_blocks
