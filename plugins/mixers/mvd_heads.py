"""How MVD joins the values of its heads: x [R, H], state [R, S] -> q_tot [R, 1].

Letters: R rows, H heads, M hidden units. All but Boltzmann are non-decreasing in every x_h, which keeps
q_tot monotone in the utilities of deciding agents.

Source: Liang, Wu, Wang, Cai, arXiv:2408.03692v2, section 5.3. The paper feeds the heads to a Softmax or to
an MLP with ReLU; a softmax-weighted mean is not monotone, so `s` is the log-mean-exp, the monotone function
whose gradient is the softmax. `m` is QMIX's tail on head values, with ReLU.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from async_envs.core.errors import unknown_name
from plugins.mixers.base import mlp

FORMS = ("d", "s", "m", "gate", "relu_heads", "state_weights")
ACTIVATIONS = ("relu", "leaky_relu")


class Heads(nn.Module):
    """Base: joins heads, and says which rows are cut off from the loss."""

    def forward(self, x: Tensor, state: Tensor) -> Tensor:
        """[R, H], [R, S] -> [R, 1]."""
        raise NotImplementedError

    def dead(self, x: Tensor, state: Tensor) -> Tensor:
        """[R] bool; True where no unit passes a gradient to any head."""
        return torch.zeros(x.shape[0], dtype=torch.bool, device=x.device)


class Direct(Heads):
    """d: the only head itself."""

    def forward(self, x: Tensor, state: Tensor) -> Tensor:
        return x[:, :1]


class LogMeanExp(Heads):
    """s: log(mean_h exp x_h)."""

    def forward(self, x: Tensor, state: Tensor) -> Tensor:
        return x.logsumexp(dim=1, keepdim=True) - math.log(x.shape[1])


class Boltzmann(Heads):
    """sum_h softmax(x)_h x_h: NOT monotone (at x = (0, 3) the slope in x_1 is -0.088)."""

    def forward(self, x: Tensor, state: Tensor) -> Tensor:
        return (x.softmax(dim=1) * x).sum(dim=1, keepdim=True)


class Gate(Heads):
    """sum_h softmax(Mlp(s))_h x_h: weights from the state alone, hence monotone."""

    def __init__(self, state_dim: int, n_heads: int, hypernet_embed: int) -> None:
        super().__init__()
        self.gate = mlp(state_dim, hypernet_embed, n_heads)

    def forward(self, x: Tensor, state: Tensor) -> Tensor:
        return (self.gate(state).softmax(dim=1) * x).sum(dim=1, keepdim=True)


class ReluMlp(Heads):
    """m: z = act(x @ |W_1(s)| + b_1(s));  q_tot = z . |w_2(s)| + V(s)."""

    def __init__(
        self, state_dim: int, n_heads: int, width: int, hypernet_embed: int, value_embed: int, activation: str
    ) -> None:
        super().__init__()
        self.activation = activation
        self.w_1 = mlp(state_dim, hypernet_embed, n_heads * width)
        self.b_1 = nn.Linear(state_dim, width)
        self.w_2 = mlp(state_dim, hypernet_embed, width)
        self.value = mlp(state_dim, value_embed, 1)

    def forward(self, x: Tensor, state: Tensor) -> Tensor:
        units = activate(self._before(x, state), self.activation)
        return (units * self.w_2(state).abs()).sum(dim=1, keepdim=True) + self.value(state)

    def dead(self, x: Tensor, state: Tensor) -> Tensor:
        if self.activation != "relu":
            return super().dead(x, state)
        return (self._before(x, state) <= 0).all(dim=1)

    def _before(self, x: Tensor, state: Tensor) -> Tensor:
        w_1 = self.w_1(state).abs().view(x.shape[0], x.shape[1], -1)
        return (x.unsqueeze(2) * w_1).sum(dim=1) + self.b_1(state)


class WeightedHeads(Heads):
    """q_tot = sum_h |w(s)|_h act(x_h) + V(s); activation None gives Qatten's weighting (state_weights)."""

    def __init__(
        self, state_dim: int, n_heads: int, hypernet_embed: int, value_embed: int, activation: str | None
    ) -> None:
        super().__init__()
        self.activation = activation
        self.weight = mlp(state_dim, hypernet_embed, n_heads)
        self.value = mlp(state_dim, value_embed, 1)

    def forward(self, x: Tensor, state: Tensor) -> Tensor:
        units = x if self.activation is None else activate(x, self.activation)
        return (units * self.weight(state).abs()).sum(dim=1, keepdim=True) + self.value(state)

    def dead(self, x: Tensor, state: Tensor) -> Tensor:
        return (x <= 0).all(dim=1) if self.activation == "relu" else super().dead(x, state)


def activate(x: Tensor, activation: str) -> Tensor:
    """ReLU, or leaky ReLU with slope 0.01."""
    return F.relu(x) if activation == "relu" else F.leaky_relu(x)


def build_heads(
    form: str,
    state_dim: int,
    n_heads: int,
    width: int,
    hypernet_embed: int,
    value_embed: int,
    activation: str,
) -> Heads:
    """The heads called `form`.

    Raises:
        ValueError: no form of that name; boltzmann, which is not MVD, is refused.
    """
    if form == "boltzmann":
        raise ValueError(
            "mvd: mvd_form='boltzmann' is not monotone in the deciding agents' utilities and so is "
            "not MVD, expected "
            f"one of {', '.join(FORMS)}. Use mvd_form=s, or mixer=boltzmann_heads with a name of your own."
        )
    if form == "d":
        return Direct()
    if form == "s":
        return LogMeanExp()
    if form == "gate":
        return Gate(state_dim, n_heads, hypernet_embed)
    if form == "m":
        return ReluMlp(state_dim, n_heads, width, hypernet_embed, value_embed, activation)
    if form in ("relu_heads", "state_weights"):
        used = activation if form == "relu_heads" else None
        return WeightedHeads(state_dim, n_heads, hypernet_embed, value_embed, used)
    raise ValueError(unknown_name("mvd", "mvd_form", form, FORMS))
