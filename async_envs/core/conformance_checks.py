"""Rules of the contract that can be read off episodes; `CHECKS` lists all rules in order."""

from typing import Callable

import numpy as np

from async_envs.core import conformance_calls as calls
from async_envs.core.conformance_subject import (
    GARBAGE,
    ContractBroken,
    Subject,
    buffers,
    choose,
    episode_of,
    first_difference,
    policy_of,
    require,
    require_everywhere,
    require_same,
)
from async_envs.core.simulator import CONTINUE, FIRST_ACTION, NOOP, OBS_LIMIT


def shapes_and_dtypes(subject: Subject) -> None:
    """Every buffer has the shape and dtype of the contract; names are unique and as many as their axis."""
    batch_size = 3
    simulator = subject.make(batch_size)
    n_agents, n_actions = simulator.n_agents, simulator.n_actions
    expected: dict[str, tuple[tuple[int, ...], type]] = {
        "obs": ((batch_size, n_agents, simulator.obs_dim), np.float32),
        "state": ((batch_size, simulator.state_dim), np.float32),
        "avail_actions": ((batch_size, n_agents, n_actions), np.uint8),
        "reward": ((batch_size,), np.float32),
        "terminated": ((batch_size,), np.bool_),
        "truncated": ((batch_size,), np.bool_),
        "t": ((batch_size,), np.int32),
        "decisions": ((batch_size,), np.int32),
    }
    expected |= {f"metrics/{name}": ((batch_size,), np.float32) for name in simulator.metric_names}
    found = buffers(simulator)
    require(set(found) == set(expected), "shapes", f"buffers {sorted(found)}, expected {sorted(expected)}")
    for name, (shape, dtype) in expected.items():
        values = found[name]
        require(values.shape == shape, "shapes", f"{name} has shape {values.shape}, expected {shape}")
        require(
            values.dtype == dtype, "shapes", f"{name} has dtype {values.dtype}, expected {np.dtype(dtype)}"
        )
    for kind in ("action_names", "obs_names", "state_names", "metric_names"):
        names = getattr(simulator, kind)
        require(len(set(names)) == len(names), "names", f"{kind} repeat a name: {names}")
    start = simulator.action_names[:FIRST_ACTION]
    require(start == ("noop", "continue"), "names", f"the first actions are {start}, expected noop, continue")
    require(n_actions > FIRST_ACTION, "names", "the family has no action of its own")
    require(simulator.episode_limit >= 1, "names", f"episode_limit is {simulator.episode_limit}")


def availability(subject: Subject) -> None:
    """Every row holds a 1; noop and continue stand alone; who decides has an action of the family's own."""
    avail = subject.rollout.arrays["avail_actions"]  # [T+1, B, N, A]
    require((avail <= 1).all(), "avail_actions", "holds values other than 0 and 1")
    count = avail.sum(axis=-1)
    require_everywhere(count >= 1, "avail_actions", "no action is available")
    for action, name in ((NOOP, "noop"), (CONTINUE, "continue")):
        alone = (avail[..., action] == 0) | (count == 1)
        require_everywhere(alone, "avail_actions", f"{name} is available beside other actions")
    if not avail[..., CONTINUE].any():
        subject.unchecked.append("no agent was ever executing")
    if not avail[..., NOOP].any():
        subject.unchecked.append("no agent was ever inactive")


def values(subject: Subject) -> None:
    """Observations are finite and about in [-1, 1]; state, reward and metrics are finite."""
    for name, array in subject.rollout.arrays.items():
        if array.dtype.kind == "f":
            require(np.isfinite(array).all(), "values", f"{name} is not finite")
    largest = np.abs(subject.rollout.arrays["obs"]).max()
    require(largest <= OBS_LIMIT, "values", f"obs reaches {largest}, expected about -1 to 1")


def clock_and_ends(subject: Subject) -> None:
    """t counts steps; an episode ends by the task or by the limit, not both, and no later than the limit."""
    rollout = subject.rollout
    t, limit = rollout.arrays["t"], subject.make(1).episode_limit
    expected = np.concatenate([np.zeros_like(t[:1]), rollout.running.cumsum(axis=0)])
    require(np.array_equal(t, expected), "t", "does not count the steps of the running episodes")
    terminated, truncated = rollout.arrays["terminated"], rollout.arrays["truncated"]
    require(not (terminated & truncated).any(), "ends", "an episode is terminated and truncated at once")
    require(not (terminated[0] | truncated[0]).any(), "ends", "an episode is over right after reset")
    require((t <= limit).all(), "ends", f"an episode runs on after its limit of {limit} steps")
    over = terminated | truncated
    require((over | (t < limit)).all(), "ends", f"an episode is not over after its limit of {limit} steps")
    require((~truncated | (t == limit)).all(), "ends", "an episode is truncated before its limit")
    if not over.any():
        subject.unchecked.append(f"no episode ended within {subject.max_steps} steps")
        return
    for name, flags in (("terminated", terminated), ("truncated", truncated)):
        if not flags.any():
            subject.unchecked.append(f"no episode was {name}")


def metrics(subject: Subject) -> None:
    """Metrics are 0 before the end of an episode and filled at its end."""
    rollout = subject.rollout
    over = rollout.arrays["terminated"] | rollout.arrays["truncated"]
    is_any_filled = False
    for name, array in rollout.arrays.items():
        if name.startswith("metrics/"):
            require((array[~over] == 0).all(), "metrics", f"{name} is not 0 before the end of the episode")
            is_any_filled = is_any_filled or bool(array[over].any())
    if over.any() and not is_any_filled:
        subject.unchecked.append("every metric was 0 at the end of every episode")


def frozen_rows(subject: Subject) -> None:
    """Rows of an episode that is over keep their last values and get reward 0; actions are not read."""
    simulator = subject.make(len(subject.seeds))
    simulator.reset(list(subject.seeds))
    policies = [policy_of(seed) for seed in subject.seeds]
    late = np.arange(len(policies)) % 2 == 1  # starts again after a few steps, so that ends are staggered
    for _ in range(2):
        if not (simulator.terminated | simulator.truncated).all():
            simulator.step(choose(simulator, policies))
    simulator.reset(list(subject.seeds), where=late)
    try:
        rollout = subject.play_on(simulator, subject.seeds, policies)
    except ValueError as error:
        if str(GARBAGE) in str(error):
            raise ContractBroken(
                f"frozen rows: the actions of an episode that is over are read ({error})"
            ) from error
        raise
    n_frozen = int((~rollout.running).sum())
    for name, array in rollout.arrays.items():
        after, before = array[1:][~rollout.running], array[:-1][~rollout.running]
        if name == "reward":
            require((after == 0).all(), "frozen rows", "an episode that is over gets a reward")
        else:
            is_same = np.array_equal(after, before)
            require(is_same, "frozen rows", f"{name} of an episode that is over changes")
    if n_frozen == 0:
        subject.unchecked.append("no episode was over while others of its batch ran")


def same_seed_same_episode(subject: Subject) -> None:
    """An episode depends on its seed and its actions alone: not on its batch or its place."""
    for b in range(min(3, len(subject.seeds))):
        alone = subject.play(subject.seeds[b: b + 1])
        require_same(
            episode_of(subject.rollout, b), episode_of(alone, 0), "seed",
            "an episode feels its batch: {name} differs",
        )
    turned = subject.play(subject.seeds[::-1])
    for b in range(len(subject.seeds)):
        require_same(
            episode_of(subject.rollout, b), episode_of(turned, len(subject.seeds) - 1 - b), "seed",
            "an episode feels its place in the batch: {name} differs",
        )  # fmt: skip
    same = subject.play([subject.seeds[0]] * 2)
    require_same(episode_of(same, 0), episode_of(same, 1), "seed", "two of one seed differ in {name}")


def different_seeds(subject: Subject) -> None:
    """Seeds matter: with the same choices, some episodes of different seeds differ."""
    simulator = subject.make(len(subject.seeds))
    simulator.reset(list(subject.seeds))
    rollout = subject.play_on(simulator, subject.seeds, [policy_of(0) for _ in subject.seeds])
    first = episode_of(rollout, 0)
    for b in range(1, len(subject.seeds)):
        if first_difference(first, episode_of(rollout, b)) is not None:
            return
    subject.unchecked.append("episodes of different seeds were all the same")


CHECKS: tuple[Callable[[Subject], None], ...] = (
    shapes_and_dtypes,
    availability,
    values,
    clock_and_ends,
    metrics,
    frozen_rows,
    same_seed_same_episode,
    different_seeds,
    calls.all_over,
    calls.bad_actions,
    calls.reset_of_some,
    calls.bad_seeds,
    calls.own_randomness,
    calls.same_buffers,
    calls.no_allocation,
)
