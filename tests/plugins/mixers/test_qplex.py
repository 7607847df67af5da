"""QPLEX: what learns through what, and that greedy agents are greedy together."""

from functools import partial
from itertools import product

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from plugins.config.schema import load_alg
from plugins.mixers import Sizes, build_mixer
from plugins.mixers.base import Extras

N, S, A = 3, 4, 3
SEEDS = st.integers(0, 10_000)


def build(name="qplex", **changes):
    return build_mixer(name, Sizes(N, S, 2, A), load_alg(name) | changes).double()


def chosen(q_all, actions):
    """(utilities taken, Extras) of rows that take `actions` out of q_all [R, N, A]."""
    extras = Extras(actions_onehot=torch.eye(A).double()[actions], q_greedy=q_all.max(dim=2).values)
    return q_all.gather(2, actions.unsqueeze(2)).squeeze(2), extras


def random_rows(seed, n_rows=5):
    torch.manual_seed(seed)
    return torch.randn(n_rows, N, A).double(), torch.randn(n_rows, S).double()


@given(seed=SEEDS)
def test_agents_learn_through_the_sum_and_lambda_through_advantages_only(seed):
    """Trap: the stop-gradient. dq_tot/du = w; w and b do not feel A_tot, lambda does not feel V_tot."""
    q_all, state = random_rows(seed)
    mixer = build()
    q, extras = chosen(q_all, torch.randint(0, A, (5, N)))
    q, q_greedy = q.requires_grad_(), extras.q_greedy.requires_grad_()
    q_tot = mixer(q, state, extras._replace(q_greedy=q_greedy))
    du, dm = torch.autograd.grad(q_tot.sum(), (q, q_greedy), retain_graph=True, allow_unused=True)
    torch.testing.assert_close(du, mixer.transformation(state)[0])
    assert dm is None
    of_sum = [p for name, p in mixer.named_parameters() if not name.startswith("si_weight")]
    of_lambda = list(mixer.si_weight.parameters())
    advantage = mixer.advantage(q, state, extras).sum()
    value = mixer.value(q, state, extras).sum()
    grad = partial(torch.autograd.grad, allow_unused=True, retain_graph=True)
    assert all(each is None for each in grad(value, of_lambda) + grad(advantage, of_sum))
    assert any(float(each.abs().max()) > 0 for each in grad(advantage, of_lambda))


@given(seed=SEEDS)
def test_the_best_joint_action_is_everybodys_best(seed):
    """Invariant: brute force over joint actions finds what each agent finds alone, whatever lambda is."""
    q_all, state = random_rows(seed, n_rows=2)
    mixer = build()
    joint = torch.tensor(list(product(range(A), repeat=N)))
    for row in range(2):
        everywhere = q_all[row].expand(len(joint), -1, -1)
        q, extras = chosen(everywhere, joint)
        q_tot = mixer(q, state[row].expand(len(joint), -1), extras)
        assert joint[int(q_tot.argmax())].tolist() == q_all[row].argmax(dim=1).tolist()


@pytest.mark.parametrize("minus_one", [True, False])
def test_one_available_action_has_no_advantage(minus_one):
    """An agent that can only go on has u = m, so it is in the sum alone."""
    q_all, state = random_rows(1)
    mixer = build(qplex_minus_one=minus_one)
    q, extras = chosen(q_all, torch.randint(0, A, (5, N)))
    forced = extras._replace(q_greedy=q)
    assert float(mixer.advantage(q, state, forced).detach().abs().max()) == 0.0
    torch.testing.assert_close(mixer(q, state, forced), mixer.value(q, state, forced))


def test_proxies_join_the_sum_with_a_weight_of_their_own():
    q_all, state = random_rows(2)
    mixer = build("qplex_a")
    q, extras = chosen(q_all, torch.randint(0, A, (5, N)))
    executing = torch.tensor([True, False, False]).expand(5, N)
    p = torch.randn(5, N).double().masked_fill(~executing, 0.0)
    extras = extras._replace(executing=executing, q_proxy=p)
    w, b = mixer.transformation(state)
    with_proxy = mixer(q, state, extras)
    without = mixer(q, state, extras._replace(executing=torch.zeros_like(executing)))
    torch.testing.assert_close(with_proxy - without, (w[:, N] * p[:, 0] + b[:, N]).unsqueeze(1))
