"""Witnesses: what is computed in the original and in a mutant, on seeded input, to see that they differ.

    python -m tests.mutation.witnesses FILE.npz NAME...

A witness calls the code as a user of it does and asserts nothing; the shapes of its arrays follow from its input
alone, so that two trees give arrays which can be compared entry by entry.

Letters: B episodes, T1 stored steps (the last observation included), N agents.
"""

import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Callable, Sequence

import numpy as np
import torch

from async_envs.core.simulator import Simulator
from async_envs.tabular.exact.model import allowed_actions, pair_probabilities
from async_envs.tabular.exact.proxies import with_proxies
from async_envs.tabular.exact.solve import evaluate, marginals
from async_envs.tabular.simulator import TabularSimulator
from async_envs.tabular.task import TabularTask
from plugins.config.schema import load_alg
from plugins.mixers import MIXERS, Sizes, build_mixer
from plugins.mixers.base import Extras
from plugins.vsp.environment import VSP
from plugins.vsp.indices import decision_steps, proxy_utilities, read_status
from tests.async_envs.tabular.exact.tasks import random_task
from tests.plugins.acting import make_toy
from tests.plugins.tiny import gradients, make_learner, play
from tests.toy import random_actions

__all__ = ["WITNESSES", "Values", "load", "record", "save"]

Values = dict[str, np.ndarray]


def status() -> Values:
    """Who does what at every stored step [B, T1, N]."""
    batch = play(0)
    masks = read_status(batch["avail_actions"], batch["filled"])
    return {name: mask.numpy() for name, mask in masks._asdict().items()}


def proxies() -> Values:
    """Proxy utilities [B, T1, N] of given utilities."""
    batch = play(0)
    who = read_status(batch["avail_actions"], batch["filled"])
    q_taken = torch.arange(1.0, who.executing.numel() + 1).view(who.executing.shape)
    return {"q_proxy": proxy_utilities(q_taken, decision_steps(who.deciding), who.executing).numpy()}


def learner(alg: str, **changes: object) -> Values:
    """Loss, values, targets and the agent's gradient of one update."""
    batch = play(0)
    built = make_learner(alg, batch, **changes)
    update = built.compute(batch)
    update.loss.backward()
    gradient = torch.cat([each.flatten() for each in gradients(built).values()])
    values = {"loss": update.loss, "q_tot": update.q_tot, "target": update.target, "gradient": gradient}
    return {name: value.detach().numpy() for name, value in values.items()}


def targets_copied() -> Values:
    """The target network after three updates, four episodes apart, when it is copied every ten."""
    batch = play(0)
    built = make_learner("qmix_a", batch, target_update_interval_or_tau=10)
    for episode in (4, 8, 12):
        built.train(batch, episode, episode)
    return {"target": torch.cat([each.detach().flatten() for each in built.target_mac.parameters()]).numpy()}


def mixers() -> Values:
    """Every mixer that takes proxies, on random rows whose masked slots are not zero."""
    values: Values = {}
    for name, spec in MIXERS.items():
        if not spec.vsp:
            continue
        torch.manual_seed(0)
        config = load_alg("mvd" if name == "boltzmann_heads" else name) | {"hidden_dim": 6}
        mixer = build_mixer(name, Sizes(3, 4, 5, 2), config).double()
        who = torch.randint(0, 3, (8, 3))
        normal = partial(torch.randn, dtype=torch.float64)
        extras = Extras(
            q_proxy=normal(8, 3) * 3, deciding=who == 0, executing=who == 1,
            obs=normal(8, 3, 5), obs_decision=normal(8, 3, 5), state_decision=torch.arange(96.0).view(8, 3, 4).double(),
            actions_onehot=torch.eye(2).double()[torch.randint(0, 2, (8, 3))], q_greedy=normal(8, 3) + 9,
            hidden=normal(8, 3, 6), hidden_decision=normal(8, 3, 6), noise=normal(8, 3, 6),
            noise_decision=normal(8, 3, 6),
        )  # fmt: skip
        for buffer, c in mixer.named_buffers():
            if buffer == "minimum.value":
                c.fill_(4.0)  # MVD's constant C
        values[name] = mixer(normal(8, 3) * 3, normal(8, 4), extras).detach().numpy()
    return values


def shown(simulator: Simulator, n_steps: int) -> Values:
    """Everything that a proxied simulator of 4 episodes shows in random play; finished episodes stand still."""
    proxied, rng = VSP(simulator), np.random.default_rng(0)
    proxied.reset([1, 2, 3, 4])
    names = ("obs", "avail_actions", "state", "reward", "terminated", "truncated", "t")
    steps: dict[str, list[np.ndarray]] = {name: [] for name in names}
    for _ in range(n_steps):
        for name in names:
            steps[name].append(getattr(proxied, name).copy())
        if not (proxied.terminated | proxied.truncated).all():
            proxied.step(random_actions(proxied, rng))
    return {name: np.stack(each, 1) for name, each in steps.items()}


def environment() -> Values:
    """The toy, whose episodes are over after 20 steps at the latest."""
    return shown(make_toy("async:toy-3", 4), 25)


def task() -> TabularTask:
    """A random task with interrupts, inactive agents and noisy observations."""
    drawn = random_task(
        np.random.default_rng(5), n_observations=3, random_durations=True, inactive=True, interrupts=True,
        terminal=False,
    )  # fmt: skip
    return replace(drawn, episode_limit=12)


def tabular() -> Values:
    """That task, simulated."""
    return shown(TabularSimulator("async:tabular-witness", 4, task()), 16)


def exact() -> Values:
    """Its exact model with proxies, when every choice is equally likely: numbers that do not name states.

    The value at the start, and at each of six steps the mean reward, and for each agent the mean number of what
    its proxy sees (masked: -1) and does.
    """
    model = with_proxies(task())
    allowed = allowed_actions(model)
    policy = allowed / allowed.sum(2, keepdims=True)
    states, rewards = marginals(model, policy, 6)
    sees = np.array([[-1 if o is None else o for o in seen] for _, seen in model.states])  # type: ignore[misc]
    pairs = states[:, model.pair_state] * pair_probabilities(model, policy)
    return {
        "value": model.start @ evaluate(model, policy)[0],
        "reward": rewards,
        "proxy_sees": states @ sees,
        "proxy_does": pairs @ model.joint_actions[:, model.n_agents :],
    }


WITNESSES: dict[str, Callable[[], Values]] = {
    "status": status,
    "proxies": proxies,
    "learner_vdn_a": partial(learner, "vdn_a"),
    "learner_qatten_a": partial(learner, "qatten_a"),
    "learner_mvd": partial(learner, "mvd"),
    "learner_qplex": partial(learner, "qplex"),
    "learner_shaq": partial(learner, "shaq"),
    "learner_na2q": partial(learner, "na2q"),
    "learner_avf_qmix": partial(learner, "avf_qmix"),
    "targets_copied": targets_copied,
    "own_recurrence": partial(learner, "qmix_a", fused=True, proxy_history="own_recurrence"),
    "mixers": mixers,
    "environment": environment,
    "tabular": tabular,
    "exact": exact,
}


def record(name: str) -> Values:
    """The witness called `name`, computed now."""
    return WITNESSES[name]()


def save(path: Path, names: Sequence[str]) -> None:
    """Compute these witnesses and write them."""
    records = {name: record(name) for name in names}
    np.savez(path, **{f"{name}.{key}": values for name, each in records.items() for key, values in each.items()})


def load(path: Path) -> dict[str, Values]:
    """What `save` wrote."""
    records: dict[str, Values] = {}
    with np.load(path) as arrays:
        for key in arrays.files:
            name, _, rest = key.partition(".")
            records.setdefault(name, {})[rest] = arrays[key]
    return records


if __name__ == "__main__":
    save(Path(sys.argv[1]), sys.argv[2:])
