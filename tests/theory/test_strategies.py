"""The random tasks of the property tests have every feature that could break a property, and shrink well."""

from collections import Counter

import numpy as np
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st
from hypothesis.vendor.pretty import pretty

from async_envs.tabular.exact.model import Model
from async_envs.tabular.exact.padded import padded
from async_envs.tabular.task import TabularTask
from tests.theory.models import both
from tests.theory.strategies import enumerable_tasks, fingerprint, tasks

SEARCH = settings(
    max_examples=200, database=None, deadline=None, phases=(Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
SHARES = {  # of the tasks, at least
    "three agents": 0.2,
    "four states": 0.1,
    "three actions": 0.2,
    "last step of an action differs": 0.1,
    "random durations": 0.1,
    "an impossible duration between possible ones": 0.01,
    "an action of four steps": 0.1,
    "transitions are stochastic": 0.2,
    "an impossible branch beside possible ones": 0.1,
    "an absorbing state that is not terminal": 0.1,
    "a terminal state is reached": 0.04,
    "the start is random": 0.05,
    "rewards tie": 0.3,
    "rewards do not all tie": 0.3,
    "a choice is masked": 0.1,
    "an agent is out of play while another acts": 0.07,
    "an action is cut short": 0.05,
    "observations are stochastic": 0.1,
    "an agent executes": 0.5,
    "two agents execute at once": 0.15,
    "one decides while another executes": 0.3,
    "a state has several extended ones": 0.15,
    "an action takes longer than an episode": 0.03,
    "undiscounted beyond the step": 0.05,
}


def task_features(task: TabularTask) -> set[str]:
    """Which features the arrays have."""
    in_play = ~task.terminal
    n_actions = task.n_own_actions
    rows = task.transitions[in_play].reshape(-1, task.n_states)
    possible = (rows > 0).sum(1)
    rewards = task.rewards[in_play]
    first = (slice(None), *(slice(n_actions),) * task.n_agents)
    last = (slice(None), *(slice(n_actions, None),) * task.n_agents)
    phased = (task.rewards[first] != task.rewards[last]).any() or (
        task.transitions[first] != task.transitions[last]
    ).any()
    lasts = task.durations > 0
    gaps = lasts[..., :-2] & ~lasts[..., 1:-1] & lasts[..., 2:]
    stays = (task.transitions.reshape(task.n_states, -1, task.n_states) == np.eye(task.n_states)[:, None]).all((1, 2))
    longest = task.longest - lasts[..., ::-1].argmax(-1)
    return {
        name
        for name, has in {
            "three agents": task.n_agents == 3,
            "four states": task.n_states == 4,
            "three actions": n_actions == 3,
            "last step of an action differs": phased,
            "random durations": (lasts.sum(-1) > 1).any(),
            "an impossible duration between possible ones": gaps.any(),
            "an action of four steps": (longest == 4).any(),
            "transitions are stochastic": (possible > 1).any(),
            "an impossible branch beside possible ones": ((possible > 1) & (possible < task.n_states)).any(),
            "an absorbing state that is not terminal": (stays & in_play).any(),
            "the start is random": np.count_nonzero(task.start) > 1,
            "rewards tie": len(np.unique(rewards)) < rewards.size,
            "rewards do not all tie": len(np.unique(rewards)) > 1,
            "a choice is masked": not task.available[in_play].all(),
            "observations are stochastic": ((task.observations > 0).sum(-1) > 1).any(),
            "an action takes longer than an episode": longest.max() > task.episode_limit,
            "undiscounted beyond the step": task.discount == 0.0,
        }.items()
        if has
    }


def model_features(task: TabularTask, dec: Model) -> set[str]:
    """Which features are met in play, from the start on."""
    underlying = np.array([s for s, _ in dec.states])  # type: ignore[misc]
    executing = np.array([[slot is not None for slot in ongoing] for _, ongoing in dec.states])  # type: ignore[misc]
    acting = ~task.inactive[underlying]
    return {
        name
        for name, has in {
            "a terminal state is reached": task.terminal[underlying].any(),
            "an agent is out of play while another acts": (acting.any(1) & ~acting.all(1)).any(),
            "an action is cut short": is_cut_short(task, dec),
            "an agent executes": executing.any(),
            "two agents execute at once": (executing.sum(1) > 1).any(),
            "one decides while another executes": (executing.any(1) & dec.decides.any(1)).any(),
        }.items()
        if has
    }


def is_cut_short(task: TabularTask, dec: Model) -> bool:
    """Whether an agent with at least two steps left may be free in the next state, which is not terminal."""
    for x, row in zip(dec.pair_state.tolist(), dec.transitions):
        _, ongoing = dec.states[x]  # type: ignore[misc]
        for y in np.flatnonzero(row).tolist():
            s_next, after = dec.states[y]  # type: ignore[misc]
            if not task.terminal[s_next] and any(
                was is not None and was[1] > 1 and now is None for was, now in zip(ongoing, after)
            ):
                return True
    return False


def test_every_feature_appears_often_enough() -> None:
    """No property is vacuous: each feature is in at least its share of the tasks."""
    counts: Counter[str] = Counter()
    prints: set[bytes] = set()

    @settings(max_examples=150, derandomize=True, database=None)
    @given(task=tasks())
    def count(task: TabularTask) -> None:
        if fingerprint(task) not in prints:
            prints.add(fingerprint(task))
            pair = both(task)
            counts.update(task_features(task) | model_features(task, pair.dec))
            counts["a state has several extended ones"] += len(pair.vsp.states) > len(pair.dec.states)

    count()
    shares = {feature: counts[feature] / len(prints) for feature in SHARES}
    assert {feature for feature in SHARES if shares[feature] < SHARES[feature]} == set(), shares


def test_shrinking_ends_at_the_simplest_task() -> None:
    """Two agents, two states, two actions of one step, one observation, all deterministic, no reward."""
    task = find(tasks(), lambda task: True, settings=SEARCH)
    assert (task.n_agents, task.n_states, task.n_own_actions, task.longest, task.n_observations) == (2, 2, 2, 1, 1)
    assert not (task.rewards.any() or task.terminal.any() or task.inactive.any() or task.interrupts.any())
    assert task.available.all()
    assert (task.transitions[..., 0] == 1.0).all()


def test_a_failure_shrinks_to_what_it_needs() -> None:
    """For instance, two agents under way at once, and a reward: nothing else is left in the task."""

    def fails(task: TabularTask) -> bool:
        return bool(task.rewards.any()) and "two agents execute at once" in model_features(task, padded(task))

    task = find(tasks(), fails, settings=SEARCH)
    assert (task.n_agents, task.n_states, task.n_own_actions, task.longest, task.n_observations) == (2, 2, 2, 2, 1)
    assert len(np.unique(task.rewards)) <= 2
    assert not (task.terminal.any() or task.interrupts.any() or task.inactive.any())
    assert (task.transitions.max(-1) == 1.0).all()


@given(task=st.one_of(tasks(), enumerable_tasks()))
def test_models_stay_small(task: TabularTask) -> None:
    assert len(padded(task).states) <= 400


@given(task=tasks())
def test_a_failing_task_is_printed_in_short(task: TabularTask) -> None:
    """Hypothesis warns about long ones, which would hide the failure."""
    assert len(pretty(task)) < 12_000
