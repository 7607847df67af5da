"""The mathematics of MVD's interaction between deciding agents and proxies, as functions.

Letters: R rows, H heads, N agents, C_m sets of m agents out of N in the order of `itertools.combinations`,
K order. All weights are non-negative here.

    W_i  = a_i + sum_{m=1..K-1} sum_{|J|=m} c_iJ prod_{j in J} g_j,    g_j = E_j (p_j + C) * pair_scale
    core = b + sum_i (D_i W_i + (E_i + I_i) a_i) u_i + sum_j a'_j E_j p_j

Source: Liang, Wu, Wang, Cai, arXiv:2408.03692v2, equations 6 and 8. As printed Eq. 8 has i_c in the product
where its derivation has the proxy i'_c; ours has the proxy, and for K >= 3 every factor is shifted and
scaled.
"""

from itertools import combinations
from math import comb

import torch
from torch import Tensor

__all__ = [
    "agent_sets",
    "count_active_sets",
    "elementary_symmetric",
    "low_rank_interaction",
    "set_interaction",
    "set_products",
    "shifted_proxies",
]


def shifted_proxies(q_proxy: Tensor, executing: Tensor, q_c_min: Tensor, pair_scale: float) -> Tensor:
    """g = E (p + C) * pair_scale, never negative, exactly 0 in masked slots.

    Args:
        q_proxy: [R, N].
        executing: [R, N] bool.
        q_c_min: [1] or [N], at least 0; C.
        pair_scale: 0.5 in the paper.

    Returns:
        [R, N]. The gradient is `pair_scale` also at p = -C, the very sample that set C.
    """
    # clamp passes the gradient at equality, relu would not
    return ((q_proxy + q_c_min).clamp(min=0.0) * pair_scale).masked_fill(~executing, 0.0)


def agent_sets(n_agents: int, size: int) -> Tensor:
    """[C_m, m] int64; every set of `size` agents, in the order of `combinations`."""
    return torch.tensor(list(combinations(range(n_agents), size)), dtype=torch.int64).view(-1, size)


def set_products(g: Tensor, sets: Tensor) -> Tensor:
    """prod_{j in J} g_j for every set J.

    Args:
        g: [R, N].
        sets: [C_m, m] int64.

    Returns:
        [R, C_m].
    """
    if sets.shape[1] == 1:
        return g
    product = g.index_select(1, sets[:, 0])
    for column in range(1, sets.shape[1]):
        product = product * g.index_select(1, sets[:, column])
    return product


def set_interaction(weights: Tensor, products: Tensor) -> Tensor:
    """sum_J c_iJ prod_{j in J} g_j.

    Args:
        weights: [R, H, N, C_m], non-negative.
        products: [R, C_m].

    Returns:
        [R, H, N].
    """
    return (weights * products[:, None, None, :]).sum(dim=3)


def elementary_symmetric(y: Tensor, order: int) -> Tensor:
    """e_m(y_1, ..., y_N) = sum over sets of `order` members of their product, in O(N * order).

    Args:
        y: [..., N, rank].
        order: m, at least 1.

    Returns:
        [..., rank].
    """
    sums = [torch.ones_like(y[..., 0, :])] + [torch.zeros_like(y[..., 0, :]) for _ in range(order)]
    for j in range(y.shape[-2]):
        for m in range(order, 0, -1):
            sums[m] = sums[m] + y[..., j, :] * sums[m - 1]
    return sums[order]


def low_rank_interaction(alpha: Tensor, beta: Tensor, g: Tensor, order: int) -> Tensor:
    """sum_{|J|=m} c_iJ prod g_j with c_iJ = sum_r alpha_ir prod_{j in J} beta_jr.

    Args:
        alpha, beta: [R, H, N, rank], non-negative.
        g: [R, N].
        order: m.

    Returns:
        [R, H, N].
    """
    sums = elementary_symmetric(beta * g[:, None, :, None], order)
    return (alpha * sums.unsqueeze(2)).sum(dim=3)


def count_active_sets(executing: Tensor, size: int) -> Tensor:
    """[R, 1]; how many sets of `size` active proxies there are, at least 1 (a divisor)."""
    counts = [max(comb(n, size), 1) for n in range(executing.shape[1] + 1)]
    table = torch.tensor(counts, device=executing.device)
    return table[executing.sum(dim=1, keepdim=True)]
