"""Plays a task with and without proxies, looks at what a learner makes of it, and tells what was seen."""

from typing import Any, Callable

import numpy as np

from async_envs.core.seeding import episode_seed
from async_envs.core.simulator import Simulator
from plugins.vsp.environment import VSP
from plugins.vsp.verify.environment_side import check_proxies_shown, check_same_play
from plugins.vsp.verify.joint import check_individual_global_max
from plugins.vsp.verify.learner_side import check_learner
from plugins.vsp.verify.recording import Choose, Recording, first_episodes, follow, play_at_random, record
from plugins.vsp.verify.rows import Row, judged
from plugins.vsp.verify.subject import with_targets_apart

__all__ = ["POLICIES", "STREAM", "verify"]

POLICIES = ("random", "epsilon-greedy", "greedy")
STREAM = "verify"  # of episode seeds
LEARNER_STEPS = 4_000  # of a policy's episodes that the learner's checks look at, whole episodes


def verify(
    make_simulator: Callable[[int], Simulator],
    learner: Any,
    *,
    episodes: int,
    seed: int,
    epsilon_t_env: int,
    promises_igm: bool,
    proxied: Callable[[Simulator], Simulator] = VSP,
    tell: Callable[[str], None] = lambda line: None,
) -> list[Row]:
    """Every check that applies, for a random policy and the controller's, epsilon-greedy and greedy.

    Args:
        make_simulator: batch size -> the task, without proxies.
        learner: a plugins.learners.value_learner.ValueLearner for the task; it is left as it is.
        episodes: B, how many each policy plays.
        seed: of the episodes, the random policy and the samples.
        epsilon_t_env: environment steps at which the epsilon-greedy policy stands on its schedule.
        promises_igm: whether the mixer promises that individual argmaxes are the joint one.
        proxied: puts the environment-side proxies around a simulator.
        tell: is given a line now and then.

    Returns:
        the rows, in the order of the policies.
    """
    subject = with_targets_apart(learner, seed)
    seeds = [episode_seed(seed, STREAM, k) for k in range(episodes)]
    makers: dict[str, Callable[[], Choose]] = {
        "random": lambda: play_at_random(seed),
        "epsilon-greedy": lambda: follow(learner.mac, episodes, epsilon_t_env, greedy=False),
        "greedy": lambda: follow(learner.mac, episodes, epsilon_t_env, greedy=True),
    }
    rows: list[Row] = []
    for k, policy in enumerate(POLICIES):
        tell(f"{policy} policy: {episodes} episodes without and with proxies")
        plain = _play(make_simulator(episodes), makers[policy](), seeds)
        try:
            shown = _play(proxied(make_simulator(episodes)), makers[policy](), seeds, plain.obs.shape[2])
        except ValueError as error:
            rows.append(_not_played(policy, plain, error))
            continue
        rows += check_same_play(policy, plain, shown)
        rows += check_proxies_shown(policy, shown, plain.obs.shape[2])
        tell(f"{policy} policy: the learner")
        some = first_episodes(plain, LEARNER_STEPS)
        if subject.proxy_history is not None:
            rows += check_learner(policy, subject, some, _first(shown, some), seed + k)
        if promises_igm:
            rows.append(check_individual_global_max(policy, subject, some, seed + k))
    return rows


def _play(simulator: Simulator, choose: Choose, seeds: list[int], n_agents: int | None = None) -> Recording:
    try:
        return record(simulator, choose, seeds, simulator.n_agents if n_agents is None else n_agents)
    finally:
        simulator.close()


def _not_played(policy: str, plain: Recording, error: ValueError) -> Row:
    """The row of a simulator with proxies that refused a step which the task takes."""
    return judged(
        "played to the end with proxies", policy, plain.size,
        rows=0, worst=float("inf"), note=" ".join(str(error).split()),
    )  # fmt: skip


def _first(shown: Recording, some: Recording) -> Recording:
    """As many episodes and steps of `shown` as `some` has, filled with zeros where it is shorter."""
    n_steps = some.filled.shape[1]

    def cut(values: np.ndarray) -> np.ndarray:
        kept = values[: some.n_episodes, :n_steps]
        missing = n_steps - kept.shape[1]
        return np.pad(kept, [(0, 0), (0, missing), *[(0, 0)] * (kept.ndim - 2)]) if missing else kept

    arrays = {name: getattr(shown, name) for name in Recording.__dataclass_fields__ if name != "metrics"}
    return Recording(**{name: cut(values) for name, values in arrays.items()}, metrics=some.metrics)
