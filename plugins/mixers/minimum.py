"""Q_c^min of MVD: the constant that makes every proxy's factor non-negative.

    C <- max(C, 0, -min{ p, p_target over executing slots, steps 0..T })

Source: Liang, Wu, Wang, Cai, arXiv:2408.03692v2, Eq. 8. Tracking the minimum and adding it, as the text
reads literally, makes factors more negative; the identity behind Eq. 8 holds for any constant, and
non-negativity needs one of at least -min.
"""

import math

import torch
from torch import Tensor, nn

from async_envs.core.errors import unknown_name

TRACKERS = ("running", "batch", "ema", "per_agent")


class MinimumTracker(nn.Module):
    """Holds C as the buffer `value`, [1] or, per agent, [N]; 0 at the start, without gradient.

    running: never decreases. batch: this batch's alone. ema: decay * C + (1 - decay) * this batch's;
    factors below zero are then clamped. per_agent: running, one for each proxy.
    """

    value: Tensor

    def __init__(self, kind: str, n_agents: int, decay: float) -> None:
        super().__init__()
        if kind not in TRACKERS:
            raise ValueError(unknown_name("mvd", "mvd_c_tracker", kind, TRACKERS))
        self.kind = kind
        self.decay = decay
        self.register_buffer("value", torch.zeros(n_agents if kind == "per_agent" else 1))

    @torch.no_grad()
    def observe(self, q_proxy: Tensor, q_proxy_target: Tensor, executing: Tensor) -> None:
        """Take in one batch.

        Args:
            q_proxy, q_proxy_target: [B, T, N]; live and target utilities, read only where `executing`.
            executing: [B, T, N] bool; False after an episode's end.
        """
        lowest = torch.minimum(q_proxy.detach(), q_proxy_target).masked_fill(~executing, math.inf)
        lowest = lowest.flatten(0, 1).amin(dim=0)
        if self.kind != "per_agent":
            lowest = lowest.amin(dim=0, keepdim=True)
        needed = (-lowest).clamp(min=0.0)  # nobody executing: -inf becomes 0
        if self.kind == "batch":
            self.value.copy_(needed)
        elif self.kind == "ema":
            self.value.lerp_(needed.to(self.value.dtype), 1.0 - self.decay)
        else:
            torch.maximum(self.value, needed, out=self.value)
