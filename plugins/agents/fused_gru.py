"""The recurrent agent over whole episodes in one call, forwards and backwards.

    x_t = relu(W_1 in_t + b_1)
    r, z = sigmoid(W_i x_t + W_h h_{t-1} + b)          reset and update gate
    n = tanh(W_in x_t + b_in + r (W_hn h_{t-1} + b_hn))
    h_t = (1 - z) n + z h_{t-1},   q_t = W_2 h_t + b_2

as torch.nn.GRUCell. Autograd over a loop of cells would keep a dozen small tensors a step; here everything
that does not depend on h_{t-1} is computed for a chunk of steps at once, and the derivative of a step,

    d(n, r, z, hn)_t = k_t * dh_t,   dh_{t-1} = z dh_t + W_h^T d(r, z, hn)_t,

needs one product with factors k_t that the forward pass leaves behind while its gates are still in the cache.
Weight gradients are sums over chunks. The four gate columns stand in the order n, r, z, hn: the first three
belong to the input weights, the last three to the recurrent ones. The weights of n and hn are doubled inside,
since tanh(a) = 2 sigmoid(2a) - 1 and torch's sigmoid is several times as fast as its tanh (measured, CPU).

Letters: P packed rows and C cells (see packing.py), N agents, H hidden size, O obs features, E one-hot
features, A actions.
"""

from typing import Any

import torch

from plugins.agents.inputs import AgentInputs
from plugins.agents.packing import Chunk, Packing

PARAMETERS = (
    "fc1.weight", "fc1.bias",
    "rnn.weight_ih", "rnn.weight_hh", "rnn.bias_ih", "rnn.bias_hh",
    "fc2.weight", "fc2.bias",
)  # of the agent, in the order of `unroll`
USED_TWICE = "fused unroll: backward ran twice through one unroll. Call unroll again before the second one."


class _Weights:
    """The agent's parameters, laid out for the chunk loop."""

    def __init__(self, parameters: tuple[torch.Tensor, ...], obs_dim: int):
        w1, self.b1, w_ih, w_hh, b_ih, b_hh, self.w2, self.b2 = parameters
        h = self.hidden_dim = w_hh.shape[1]
        self.w_obs, self.w_one_hot = w1[:, :obs_dim], w1[:, obs_dim:]
        self.w_i = torch.cat([2 * w_ih[2 * h :], w_ih[: 2 * h]])  # [3H, H] for n, r, z
        self.w_h = torch.cat([w_hh[: 2 * h], 2 * w_hh[2 * h :]])  # [3H, H] for r, z, hn
        self.b = torch.cat([2 * b_ih[2 * h :], b_ih[: 2 * h] + b_hh[: 2 * h], 2 * b_hh[2 * h :]])  # [4H]


class _Kept:
    """What the backward pass needs of the forward pass; large, so buffers are used again."""

    _free: list["_Kept"] = []

    def __init__(self, n_rows: int, start_rows: int, like: torch.Tensor):
        h = like.shape[1]
        self.x = like.new_empty(n_rows, h)
        self.z = like.new_empty(n_rows, h)
        self.factors = like.new_empty(n_rows, 4 * h)
        self.hidden = like.new_empty(start_rows + n_rows, h)  # the first start_rows are zero: before step 0

    @classmethod
    def take(cls, packing: Packing, like: torch.Tensor) -> "_Kept":
        """Buffers of at least the packing's size; the caller's until `give_back`."""
        for place, kept in enumerate(cls._free):
            if kept.fits(packing, like):
                del cls._free[place]
                break
        else:
            cls._free.clear()
            kept = cls(packing.n_rows, packing.start_rows, like)
        kept.hidden[: packing.start_rows].zero_()
        return kept

    def give_back(self) -> None:
        """The buffers are free for the next unroll."""
        self._free.append(self)

    def fits(self, packing: Packing, like: torch.Tensor) -> bool:
        """Whether the buffers hold the packing, with `like`'s width, type and device."""
        return (
            len(self.x) >= packing.n_rows
            and len(self.hidden) >= packing.n_rows + packing.start_rows
            and self.x.shape[1] == like.shape[1]
            and self.x.dtype == like.dtype
            and self.x.device == like.device
        )


class FusedGru(torch.autograd.Function):
    """Differentiable unroll; see `unroll`."""

    @staticmethod
    def forward(
        ctx: Any, packing: Packing, inputs: AgentInputs, with_hidden: bool, *parameters: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The unroll, with what its derivative needs kept."""
        weights = _Weights(parameters, inputs.obs_dim)
        start = packing.start_rows
        kept = _Kept.take(packing, weights.w_h)
        q_all, hidden_all = _empty_outputs(packing, weights, inputs.n_cells, with_hidden)
        h_last = kept.hidden[:start]
        for chunk in packing.chunks:
            rows = slice(chunk.first_row, chunk.last_row)
            x, gates, z = kept.x[rows], kept.factors[rows], kept.z[rows]
            h = kept.hidden[start + chunk.first_row : start + chunk.last_row]
            cells = packing.chunk_cells(chunk)
            _input_gates(weights, *inputs.chunk(chunk), x, gates)
            h_last = _recurrence(weights, chunk, gates, h_last, h)
            _write(q_all, cells, torch.addmm(weights.b2, h, weights.w2.t()))
            if hidden_all is not None:
                _write(hidden_all, cells, h)
            _gates_to_factors(gates, _hidden_before(kept, packing, chunk), z)
        ctx.save_for_backward(*parameters)
        ctx.unrolled = packing, inputs, kept
        return q_all, hidden_all

    @staticmethod
    def backward(ctx: Any, grad_q: torch.Tensor | None, grad_hidden: torch.Tensor | None) -> tuple[Any, ...]:
        """Gradients of the eight parameters."""
        if ctx.unrolled is None:
            raise RuntimeError(USED_TWICE)
        packing, inputs, kept = ctx.unrolled
        ctx.unrolled = None
        weights = _Weights(ctx.saved_tensors, inputs.obs_dim)
        gradients = _Gradients(weights)
        carry = weights.w_h.new_zeros(0, weights.hidden_dim)
        start = packing.start_rows
        for chunk in reversed(packing.chunks):
            rows = slice(chunk.first_row, chunk.last_row)
            cells = packing.chunk_cells(chunk)
            h = kept.hidden[start + chunk.first_row : start + chunk.last_row]
            dh = _output_gradient(weights, gradients, cells, h, grad_q, grad_hidden)
            d_gates, carry = _backward_recurrence(weights, chunk, kept.factors[rows], kept.z[rows], dh, carry)
            gradients.add(
                weights, d_gates, kept.x[rows], _hidden_before(kept, packing, chunk), *inputs.chunk(chunk)
            )
        kept.give_back()
        return (None, None, None, *gradients.by_parameter(weights))


class _Gradients:
    """Sums over chunks, laid out as `_Weights`."""

    def __init__(self, weights: _Weights):
        self.w_obs = torch.zeros_like(weights.w_obs)
        self.w_one_hot = torch.zeros_like(weights.w_one_hot)
        self.b1 = torch.zeros_like(weights.b1)
        self.w_i = torch.zeros_like(weights.w_i)
        self.w_h = torch.zeros_like(weights.w_h)
        self.b = torch.zeros_like(weights.b)
        self.w2 = torch.zeros_like(weights.w2)
        self.b2 = torch.zeros_like(weights.b2)

    def add(
        self,
        weights: _Weights,
        d_gates: torch.Tensor,
        x: torch.Tensor,
        h_before: torch.Tensor,
        obs: torch.Tensor,
        one_hots: torch.Tensor,
    ) -> None:
        """One chunk's share, from d_gates [rows, 4H]."""
        size = weights.hidden_dim
        self.w_h.addmm_(d_gates[:, size:].t(), h_before)
        self.w_i.addmm_(d_gates[:, : 3 * size].t(), x)
        self.b += d_gates.sum(0)
        dx = torch.mm(d_gates[:, : 3 * size], weights.w_i).mul_(x > 0)
        self.w_obs.addmm_(dx.t(), obs)
        self.w_one_hot.addmm_(dx.t(), one_hots)
        self.b1 += dx.sum(0)

    def by_parameter(self, weights: _Weights) -> tuple[torch.Tensor, ...]:
        """w1, b1, w_ih, w_hh, b_ih, b_hh, w2, b2."""
        size = weights.hidden_dim
        n, rz, hn = 2 * self.b[:size], self.b[size : 3 * size], 2 * self.b[3 * size :]
        return (
            torch.cat([self.w_obs, self.w_one_hot], 1),
            self.b1,
            torch.cat([self.w_i[size:], 2 * self.w_i[:size]]),
            torch.cat([self.w_h[: 2 * size], 2 * self.w_h[2 * size :]]),
            torch.cat([rz, n]),
            torch.cat([rz, hn]),
            self.w2,
            self.b2,
        )


def unroll(
    packing: Packing, inputs: AgentInputs, with_hidden: bool, parameters: tuple[torch.Tensor, ...]
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Utilities of whole episodes from a zero hidden state.

    Args:
        packing: which cells are computed.
        inputs: what the agents see there.
        with_hidden: whether the hidden states are wanted, too.
        parameters: w1 [H, O+E], b1 [H], w_ih [3H, H], w_hh [3H, H], b_ih [3H], b_hh [3H], w2 [A, H], b2 [A];
            the agent's PARAMETERS.

    Returns:
        q [B * T1, N * A] and hidden [B * T1, N * H] or None; 0 in cells that are not packed.
    """
    if torch.is_grad_enabled() and any(parameter.requires_grad for parameter in parameters):
        return FusedGru.apply(packing, inputs, with_hidden, *parameters)
    return _unroll_without_gradient(packing, inputs, with_hidden, parameters)


@torch.no_grad()
def _unroll_without_gradient(
    packing: Packing, inputs: AgentInputs, with_hidden: bool, parameters: tuple[torch.Tensor, ...]
) -> tuple[torch.Tensor, torch.Tensor | None]:
    weights = _Weights(parameters, inputs.obs_dim)
    size = weights.hidden_dim
    q_all, hidden_all = _empty_outputs(packing, weights, inputs.n_cells, with_hidden)
    most_rows = max((chunk.n_rows for chunk in packing.chunks), default=0)
    x_buffer = weights.w_h.new_empty(most_rows, size)
    gates_buffer = weights.w_h.new_empty(most_rows, 4 * size)
    h_buffer = weights.w_h.new_empty(most_rows, size)
    h_last = weights.w_h.new_zeros(packing.start_rows, size)
    for chunk in packing.chunks:
        x, gates, h = x_buffer[: chunk.n_rows], gates_buffer[: chunk.n_rows], h_buffer[: chunk.n_rows]
        cells = packing.chunk_cells(chunk)
        _input_gates(weights, *inputs.chunk(chunk), x, gates)
        h_last = _recurrence(weights, chunk, gates, h_last, h).clone()
        _write(q_all, cells, torch.addmm(weights.b2, h, weights.w2.t()))
        if hidden_all is not None:
            _write(hidden_all, cells, h)
    return q_all, hidden_all


def _empty_outputs(
    packing: Packing, weights: _Weights, n_cells: int, with_hidden: bool
) -> tuple[torch.Tensor, torch.Tensor | None]:
    like, n_agents = weights.w_h, packing.n_agents
    q_all = like.new_zeros(n_cells, n_agents * len(weights.b2))
    return q_all, like.new_zeros(n_cells, n_agents * weights.hidden_dim) if with_hidden else None


def _write(cells_out: torch.Tensor, cells: torch.Tensor, rows: torch.Tensor) -> None:
    """Put rows [rows, F] at their cells. Writes: cells_out [n_cells, N * F]."""
    cells_out.index_copy_(0, cells, rows.view(len(cells), -1))


def _input_gates(
    weights: _Weights, obs: torch.Tensor, one_hots: torch.Tensor, x: torch.Tensor, gates: torch.Tensor
) -> None:
    """All of a chunk that does not depend on the hidden state. Writes: x [rows, H], gates [rows, 4H]."""
    size = weights.hidden_dim
    torch.addmm(weights.b1, one_hots, weights.w_one_hot.t(), out=x)
    x.addmm_(obs, weights.w_obs.t()).relu_()
    torch.addmm(weights.b[: 3 * size], x, weights.w_i.t(), out=gates[:, : 3 * size])
    gates[:, 3 * size :] = weights.b[3 * size :]


def _recurrence(
    weights: _Weights, chunk: Chunk, gates: torch.Tensor, h_last: torch.Tensor, h: torch.Tensor
) -> torch.Tensor:
    """The steps of a chunk. Writes: gates (activated n, r, z; hn) and h [rows, H]. Returns: h's last step."""
    size = weights.hidden_dim
    w_h = weights.w_h.t()
    minus_one = weights.w_h.new_full((), -1.0)
    sizes = chunk.step_rows
    for recurrent, rz, n, r, z, hn, h_t in zip(
        gates[:, size:].split(sizes),
        gates[:, size : 3 * size].split(sizes),
        gates[:, :size].split(sizes),
        gates[:, size : 2 * size].split(sizes),
        gates[:, 2 * size : 3 * size].split(sizes),
        gates[:, 3 * size :].split(sizes),
        h.split(sizes),
    ):
        h_before = h_last[: len(h_t)]
        recurrent.addmm_(h_before, w_h)
        rz.sigmoid_()
        n.addcmul_(r, hn).sigmoid_()
        torch.add(minus_one, n, alpha=2, out=n)
        h_last = torch.lerp(n, h_before, z, out=h_t)
    return h_last


def _gates_to_factors(gates: torch.Tensor, h_before: torch.Tensor, z: torch.Tensor) -> None:
    """Turn gates into the factors k of the module's docstring. Writes: gates [rows, 4H], z [rows, H]."""
    size = z.shape[1]
    n, r, z_gate, hn = gates.split(size, 1)
    z.copy_(z_gate)
    slope = torch.addcmul(z, z, z, value=-1)
    torch.mul(torch.sub(h_before, n), slope, out=z_gate)  # dh / dz
    half = torch.sub(0.5, z, alpha=0.5)
    torch.addcmul(half, half * n, n, value=-1, out=n)  # dh / dn, (1 - z) (1 - n^2) / 2 as weights are doubled
    torch.addcmul(r, r, r, value=-1, out=slope)
    slope.mul_(hn)
    torch.mul(n, r, out=hn)
    torch.mul(n, slope, out=r)


def _hidden_before(kept: _Kept, packing: Packing, chunk: Chunk) -> torch.Tensor:
    """[rows, H]: the hidden states that the chunk's rows started from."""
    if chunk.is_even:
        first = packing.start_rows + chunk.first_row - chunk.step_rows[0]
        return kept.hidden[first : first + chunk.n_rows]
    return kept.hidden.index_select(0, packing.previous_rows[chunk.first_row : chunk.last_row])


def _output_gradient(
    weights: _Weights,
    gradients: _Gradients,
    cells: torch.Tensor,
    h: torch.Tensor,
    grad_q: torch.Tensor | None,
    grad_hidden: torch.Tensor | None,
) -> torch.Tensor:
    """dh [rows, H] of a chunk, without what later steps add. Adds to: the last layer's gradients."""
    dh = torch.zeros_like(h) if grad_hidden is None else grad_hidden.index_select(0, cells).view_as(h)
    if grad_q is not None:
        dq = grad_q.index_select(0, cells).view(len(h), -1)
        gradients.w2.addmm_(dq.t(), h)
        gradients.b2 += dq.sum(0)
        dh.addmm_(dq, weights.w2)
    return dh


def _backward_recurrence(
    weights: _Weights,
    chunk: Chunk,
    factors: torch.Tensor,
    z: torch.Tensor,
    dh: torch.Tensor,
    carry: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The steps of a chunk, last one first.

    Args:
        factors: [rows, 4H], k of the module's docstring.
        z: [rows, H].
        dh: [rows, H], the chunk's own output gradients.
        carry: [rows of the following step, H], what the chunk after it hands to this one's last step.

    Returns:
        d_gates [rows, 4H] and what this chunk hands to the one before.
    """
    size = weights.hidden_dim
    sizes = chunk.step_rows
    d_gates = torch.empty_like(factors)
    steps = zip(
        factors.view(-1, 4, size).split(sizes),
        d_gates.view(-1, 4, size).split(sizes),
        d_gates[:, size:].split(sizes),
        z.split(sizes),
        dh.split(sizes),
    )
    for factors_t, d_gates_t, d_recurrent, z_t, dh_t in reversed(list(steps)):
        dh_t[: len(carry)].add_(carry)
        torch.mul(factors_t, dh_t.unsqueeze(1), out=d_gates_t)
        carry = torch.mul(dh_t, z_t).addmm_(d_recurrent, weights.w_h)
    return d_gates, carry
