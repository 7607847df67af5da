"""Invariants 1 to 4 and 9 for every mixer of the table: masked slots, monotonicity, no durations, the joint argmax.

Letters: R rows, N agents, A actions, M slots (N agents, then N proxies), j the agent whose proxy is masked.
"""

import itertools
from typing import Any, Callable

import pytest
import torch
from hypothesis import given
from torch import Tensor

from plugins.mixers import MIXERS
from plugins.mixers.base import Extras, Mixer
from plugins.mixers.mvd_heads import FORMS
from tests.plugins.invariants.subjects import FEW, SEEDS
from tests.plugins.mixers.test_mixers import build, rows

N, A, MASKED = 3, 4, 1  # MASKED: the agent whose proxy has weights of its own spoilt
VARIANTS: list[tuple[str, dict[str, Any]]] = [(name, {}) for name in MIXERS if name != "mvd"] + [
    ("mvd", {"mvd_form": form, "mvd_order": order}) for form in FORMS for order in (1, 2, 3)
] + [
    ("mvd", {"mvd_low_rank": 2, "mvd_order": 3}),
    ("mvd", {"mvd_roles": 3, "mvd_interaction_mean": True, "mvd_activation": "leaky_relu"}),
    ("mvd", {"mvd_free_executing": True, "mvd_proxy_first_order": False, "mvd_inactive_first_order": False}),
    ("mvd", {"mvd_hat_state": True, "mvd_detach_proxy": True, "mvd_c_tracker": "per_agent"}),
    ("avf_qmix", {"avf_state": "plain", "avf_update": "D1"}),
    ("avf_qmix", {"avf_update": "D2"}),
    ("na2q", {"na2q_order": 3}),
    ("na2q_a", {"na2q_order": 3}),
    ("qatten", {"qatten_weighted_heads": False}),
    ("qmix", {"hypernet_layers": 1}),
    ("qplex", {"qplex_minus_one": False, "qplex_kernel_layers": 3}),
    ("qplex_a", {"qplex_weighted_head": False}),
]  # fmt: skip
IDS = [" ".join([name, *[str(value) for value in options.values()]]) for name, options in VARIANTS]
IGM = [pytest.param(*variant, id=each) for variant, each in zip(VARIANTS, IDS) if MIXERS[variant[0]].promises_igm]


def made(name: str, options: dict[str, Any], seed: int) -> tuple[Mixer, tuple[Tensor, Tensor, Extras]]:
    """A mixer that has seen the proxies of six rows, and the rows."""
    torch.manual_seed(seed)
    mixer = build(name, **options)
    q, state, extras = rows()
    assert extras.q_proxy is not None and extras.executing is not None
    mixer.observe_proxies(extras.q_proxy[None], extras.q_proxy[None], extras.executing[None])
    return mixer, (q, state, extras)


# invariant 1: weights of a masked slot. What stands in the slot itself: test_mixers.py


def last_layer(net: Any, columns: Callable[[Tensor], Tensor]) -> list[Tensor]:
    """Views of the weights and biases behind some of a network's outputs."""
    return [columns(parameter) for parameter in net[-1].parameters()]


def no_weights(mixer: Any) -> list[Tensor]:
    """Every weight is shared by all slots."""
    return []


def of_qmix(mixer: Any) -> list[Tensor]:
    return last_layer(mixer.hyper_w_1, lambda w: w.unflatten(0, (2 * N, mixer.embed_dim))[N + MASKED])


def of_qplex(mixer: Any) -> list[Tensor]:
    if not mixer.weighted_head:
        return []
    return [view for net in (mixer.hyper_w_final, mixer.V) for view in last_layer(net, lambda w: w[N + MASKED])]


def of_na2q(mixer: Any) -> list[Tensor]:
    views = []
    for shapes in mixer.shapes:
        for each, slots in enumerate(shapes.sets.tolist()):
            if N + MASKED in slots:
                views += [parameter[each] for parameter in shapes.parameters()]
    keys = mixer.key_embedding.weight.unflatten(1, (2 * N, -1))
    return [*views, keys[:, N + MASKED]]


def of_mvd(mixer: Any) -> list[Tensor]:
    heads = mixer.n_heads
    views = last_layer(mixer.first, lambda w: w.unflatten(0, (heads, mixer.roles, N))[:, -1, MASKED])
    if mixer.low_rank is not None:
        return views  # its weights of agents serve all sets
    for size, net in enumerate(mixer.interactions, start=1):
        sets = list(itertools.combinations(range(N), size))
        for column, members in enumerate(sets):
            if MASKED in members:
                views += last_layer(net, lambda w, c=column: w.unflatten(0, (heads, N, -1))[:, :, c])
    return views


OWN_WEIGHTS: dict[str, Callable[[Any], list[Tensor]]] = {
    "vdn_a": no_weights, "qatten_a": no_weights, "avf_vdn": no_weights, "avf_qmix": no_weights,
    "qmix_a": of_qmix, "qplex_a": of_qplex, "na2q_a": of_na2q, "mvd": of_mvd, "boltzmann_heads": of_mvd,
}  # fmt: skip


def test_every_mixer_with_proxies_says_which_weights_are_a_slots_own() -> None:
    assert set(OWN_WEIGHTS) == {name for name in MIXERS if MIXERS[name].vsp}


@pytest.mark.parametrize(
    "name, options",
    [pytest.param(*variant, id=each) for variant, each in zip(VARIANTS, IDS) if MIXERS[variant[0]].vsp],
)
@FEW
@given(seed=SEEDS)
def test_weights_of_a_masked_slot_change_nothing(name: str, options: dict[str, Any], seed: int) -> None:
    """Invariant 1: value and gradients, where the agent decides or is inactive; elsewhere they do count."""
    mixer, (q, state, extras) = made(name, options, seed)
    q.requires_grad_()
    masked = ~extras.executing[:, MASKED]
    before = mixer(q, state, extras)
    gradient = torch.autograd.grad(before.sum(), q)[0]
    views = OWN_WEIGHTS[name](mixer)
    with torch.no_grad():
        for view in views:
            view.add_(torch.randn_like(view) * 5)
    after = mixer(q, state, extras)
    assert torch.equal(before[masked], after[masked])
    assert torch.equal(gradient[masked], torch.autograd.grad(after.sum(), q)[0][masked])
    can_be_dead = name == "mvd" and options.get("mvd_activation") != "leaky_relu"  # no gradient to any slot
    if len(views) > 0 and not can_be_dead:
        assert bool((before != after)[~masked].all())


# invariant 2


@pytest.mark.parametrize("name, options", IGM)
@FEW
@given(seed=SEEDS)
def test_the_teams_value_never_falls_with_a_deciding_agents_utility(
    name: str, options: dict[str, Any], seed: int
) -> None:
    """Invariant 2, all tails and orders: what training sends back, and what a larger utility does."""
    mixer, (q, state, extras) = made(name, options, seed)
    low = mixer(q.requires_grad_(), state, extras)
    gradient = torch.autograd.grad(low.sum(), q)[0]
    assert float((gradient * extras.deciding).min()) >= 0.0
    for i in range(N):
        step = torch.rand(len(q), 1).double() * torch.eye(N).double()[i] * extras.deciding
        assert extras.q_greedy is not None
        higher = extras._replace(q_greedy=torch.maximum(extras.q_greedy, q + step))
        fixed = extras._replace(q_greedy=higher.q_greedy)  # an agent's best stays what it is
        assert float((mixer(q + step, state, higher) - mixer(q, state, fixed)).min()) >= -1e-9


# invariant 9


@pytest.mark.parametrize("name, options", IGM)
@FEW
@given(seed=SEEDS)
def test_the_best_joint_action_is_every_deciding_agents_best(name: str, options: dict[str, Any], seed: int) -> None:
    """Invariant 9 by enumeration; one action each for those that do not decide."""
    mixer, (_, state, extras) = made(name, options, seed)
    assert extras.deciding is not None
    utilities = torch.randint(-3, 4, (len(state), N, A)).double() / 2  # ties too
    available = torch.rand(len(state), N, A) < 0.7
    available[..., 0] = True
    available = torch.where(extras.deciding.unsqueeze(2), available, torch.eye(A)[0] > 0)
    best = utilities.masked_fill(~available, -torch.inf).amax(2)
    for r in range(len(state)):
        choices = [available[r, i].nonzero().flatten().tolist() for i in range(N)]
        joint = torch.tensor(list(itertools.product(*choices)))
        taken = utilities[r].expand(len(joint), -1, -1).gather(2, joint.unsqueeze(2)).squeeze(2)
        repeated = Extras(*[None if x is None else x[r].expand(len(joint), *x.shape[1:]) for x in extras])
        repeated = repeated._replace(
            actions_onehot=torch.nn.functional.one_hot(joint, A).double(), q_greedy=best[r].expand(len(joint), -1)
        )
        with torch.no_grad():
            values = mixer(taken, state[r].expand(len(joint), -1), repeated).squeeze(1)
        is_best = (taken == best[r]).all(dim=1)
        assert bool(is_best.any())
        assert float(values[is_best].min()) >= float(values.max()) - 1e-9


# invariant 3. Zero third-order weights, and C at order 1: theory/test_mvd_decomposition.py


@FEW
@given(seed=SEEDS)
def test_orders_of_mvd_are_nested(seed: int) -> None:
    """Invariant 3, every tail: without weights of the highest order, order K is order K - 1; order 1 ignores C."""
    for form in FORMS:
        mixers = {order: made("mvd", {"mvd_form": form, "mvd_order": order}, seed)[0] for order in (1, 2, 3)}
        _, given_rows = made("mvd", {"mvd_form": form, "mvd_order": 3}, seed)
        for order in (3, 2):
            lower, higher = mixers[order - 1], mixers[order]
            lower.load_state_dict({name: higher.state_dict()[name] for name in lower.state_dict()})
            with torch.no_grad():
                for parameter in higher.interactions[order - 2].parameters():
                    parameter.zero_()
            assert torch.equal(lower(*given_rows), higher(*given_rows))
        value = mixers[1](*given_rows)
        mixers[1].minimum.value.add_(7.0)
        assert torch.equal(value, mixers[1](*given_rows))
