"""What the invariants are tested on: every algorithm that has a file, by what its learner is.

An algorithm whose learner is of a new kind, or whose mixer is in none of the tables of these tests, fails them: say
there what holds for it.
"""

from importlib import import_module
from typing import Any

import torch
from hypothesis import settings
from hypothesis import strategies as st
from torch import Tensor

from plugins.config.schema import config_names, load_alg
from plugins.learners import LEARNERS
from plugins.mixers import mixer_spec
from tests.plugins import tiny

SEEDS = st.integers(0, 10_000)
FEW = settings(max_examples=max(4, settings().max_examples // 12))  # whole updates of many algorithms
Batch = dict[str, Tensor]

KINDS = {  # base class of a learner -> what it is
    "plugins.learners.value_learner:ValueLearner": "value",
    "plugins.learners.actor_critic:ActorCriticLearner": "own decisions",
}


def learner_class(alg: str) -> type:
    """The class that `--config=alg` learns with."""
    module, _, attribute = LEARNERS[load_alg(alg)["learner"]].partition(":")
    found: type = getattr(import_module(module), attribute)
    return found


def kind_of(alg: str) -> str:
    """value or own decisions; fails for a learner that is neither."""
    bases = [f"{each.__module__}:{each.__name__}" for each in learner_class(alg).__mro__]
    found = [KINDS[base] for base in bases if base in KINDS]
    assert len(found) == 1, f"{alg}: a learner of a new kind, {bases[0]}; name it in KINDS and say what holds for it"
    return found[0]


ALGS = config_names()
VALUE = [alg for alg in ALGS if kind_of(alg) == "value"]
OWN_DECISIONS = [alg for alg in ALGS if kind_of(alg) == "own decisions"]
WITH_PROXIES = [alg for alg in VALUE if mixer_spec(load_alg(alg)["mixer"]).vsp]


def build(alg: str, batch: Batch, seed: int = 0, **changes: Any) -> Any:
    """A small learner of `alg` in float64, sized by `batch`."""
    if kind_of(alg) == "value":
        return tiny.make_learner(alg, batch, seed, **changes)
    return tiny.make_actor_critic(alg, batch, seed, **changes)


def parameters(learner: Any) -> list[Tensor]:
    """What an update has moved, copied."""
    return [each.detach().clone() for each in learner.params]


def trained(alg: str, batch: Batch, **changes: Any) -> list[Tensor]:
    """The parameters after one update from `batch`."""
    learner = build(alg, batch, **changes)
    learner.train(batch, t_env=1, episode_num=1)
    return parameters(learner)


def equal(one: list[Tensor], other: list[Tensor]) -> bool:
    """Whether two sets of parameters agree to rounding."""
    return all(torch.allclose(a, b, rtol=0, atol=1e-9) for a, b in zip(one, other, strict=True))


def padded(batch: Batch, n_extra: int) -> Batch:
    """The batch with steps at its end that were never played."""
    return {
        name: torch.cat([x, torch.zeros_like(x[:, :1]).repeat_interleave(n_extra, 1)], 1)
        for name, x in batch.items()
    }


def last_observation(batch: Batch, b: int) -> int:
    """The stored step that episode b ends with."""
    return int(batch["filled"][b].sum()) - 1


def widened(plain: dict[str, Tensor], extended: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a mixer over 2N slots, with those of a plain mixer in its first N slots."""
    weights = dict(extended)
    for name, value in plain.items():
        if weights[name].shape == value.shape:
            weights[name] = value.clone()
        elif name.startswith("key_embedding"):  # one feature more: the flag, 0 for real agents
            weights[name] = weights[name].clone()
            weights[name][:, :-1] = value
        else:  # slots come first
            weights[name] = weights[name].clone()
            weights[name][: len(value)] = value
    return weights
