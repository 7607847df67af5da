"""The paper's equations in plain Python, for any type of number, and a mixer whose weights are chosen.

Letters: N agents, S states, H heads.
"""

from itertools import combinations
from math import prod
from typing import Any, Sequence

import numpy as np
import torch
from torch import nn

from plugins.mixers.base import Extras
from plugins.mixers.mvd import MVDMixer
from tests.plugins.tiny import make_mvd

Weights = dict[tuple[int, ...], Any]  # (deciding agent, proxy, ...): weight of their product
SHIFT = 1024.0  # of form m's unit: a power of two, so that adding and removing it costs few bits


def eq_5(
    k_0: Any,
    k_real: Sequence[Any],
    k_proxy: Sequence[Any],
    k_sets: Weights,
    u: Sequence[Any],
    p: Sequence[Any],
    status: str,
) -> Any:
    """Equations 5 and 6: a sum over agents and active proxies, and products.

    Args:
        k_0, k_real [N], k_proxy [N]: first-order weights, of any sign.
        k_sets: weights of the products; pairs are Eq. 5, longer keys Eq. 6.
        u, p: [N] utilities of agents and of proxies.
        status: one letter for each agent: d(eciding), e(xecuting) or i(nactive).
    """
    proxies = {j for j, letter in enumerate(status) if letter == "e"}
    total = k_0 + sum(k * q for k, q in zip(k_real, u)) + sum(k_proxy[j] * p[j] for j in proxies)
    for (i, *js), weight in k_sets.items():
        if status[i] == "d" and proxies.issuperset(js):
            total = total + weight * u[i] * prod(p[j] for j in js)
    return total


def eq_14(
    k_0: Any,
    k_real: Sequence[Any],
    k_proxy: Sequence[Any],
    k_sets: Weights,
    u: Sequence[Any],
    p: Sequence[Any],
    status: str,
    c: Any,
) -> Any:
    """Equation 14 as printed, for any constant c: b + W Q_d with factors (Q_j + c) / 2."""
    deciding = [i for i, letter in enumerate(status) if letter == "d"]
    proxies = [j for j, letter in enumerate(status) if letter == "e"]
    rest = [i for i in range(len(status)) if i not in deciding]
    total = k_0 + sum(k_proxy[j] * p[j] for j in proxies) + sum(k_real[i] * u[i] for i in rest)
    for i in deciding:
        slope = k_real[i] - sum(k_sets[i, j] * c for j in proxies)
        slope = slope + sum(2 * k_sets[i, j] * ((p[j] + c) / 2) for j in proxies)
        total = total + slope * u[i]
    return total


def tabulate(net: nn.Sequential, rows: torch.Tensor) -> None:
    """Let Linear, ReLU, Linear give `rows` [S, n_outputs] at the S one-hot states."""
    first, last = net[0], net[2]
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.zero_()
        first.weight[: len(rows), : len(rows)] = torch.eye(len(rows))
        last.weight[:, : len(rows)] = rows.T


def given_mixer(
    form: str,
    k_0: torch.Tensor,
    k_real: torch.Tensor,
    k_proxy: torch.Tensor,
    f_pair: torch.Tensor,
    c: float = 0.0,
    **changes: Any,
) -> MVDMixer:
    """The real mixer, set to chosen weights of Eq. 8 at each of S one-hot states.

    Every head gets these weights. Form s then gives that head's value; form m passes it through one unit,
    kept above zero by SHIFT.

    Args:
        form: d, s or m.
        k_0: [S] float64.
        k_real, k_proxy: [S, N].
        f_pair: [S, N, N]; |f_ij| of deciding agent i and proxy j.
        c: Q_c^min.
    """
    n_states, n_agents = k_real.shape
    mixer = make_mvd(n_agents, n_states, form=form, order=2, **changes)
    heads = mixer.n_heads
    first = torch.stack([k_real, k_proxy], dim=1).reshape(n_states, -1)
    tabulate(mixer.first, first.repeat(1, heads))
    tabulate(mixer.interactions[0], f_pair.reshape(n_states, -1).repeat(1, heads))
    tabulate(mixer.bias, k_0.reshape(-1, 1).repeat(1, heads))
    mixer.minimum.value.fill_(c)
    if form == "m":
        tail: Any = mixer.heads
        width = tail.b_1.out_features
        only = torch.zeros(n_states, heads * width)
        only[:, 0] = 1.0  # first head to first unit
        tabulate(tail.w_1, only)
        tabulate(tail.w_2, only[:, :width])
        tabulate(tail.value, torch.full((n_states, 1), -SHIFT))
        with torch.no_grad():
            tail.b_1.weight.zero_()
            tail.b_1.bias.fill_(SHIFT)
    return mixer


def mixed(mixer: MVDMixer, state: int, u: Sequence[float], p: Sequence[float], status: str) -> float:
    """q_tot at one one-hot state, of utilities u, p [N] and a letter (d, e, i) for each agent."""
    extras = Extras(
        q_proxy=torch.from_numpy(np.array([p], dtype=np.float64)),
        deciding=torch.tensor([[letter == "d" for letter in status]]),
        executing=torch.tensor([[letter == "e" for letter in status]]),
    )
    shown = torch.zeros(1, mixer.state_dim, dtype=torch.float64)
    shown[0, state] = 1.0
    with torch.no_grad():
        return float(mixer(torch.from_numpy(np.array([u], dtype=np.float64)), shown, extras))


def proxy_sets(n_agents: int, order: int) -> list[tuple[int, ...]]:
    """Keys of Weights up to products of `order` utilities."""
    return [
        (i, *js)
        for i in range(n_agents)
        for size in range(1, order)
        for js in combinations([j for j in range(n_agents) if j != i], size)
    ]
