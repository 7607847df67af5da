"""NA2Q's variational auto-encoder: from an agent's hidden state to a latent and to a mask over what it sees.

Letters: R rows, N agents, H hidden size, O obs features.

    z = mean(h) + exp(log_std(h)) * noise;   mask = sigmoid(decoder(z))
    losses: mean (mask obs - obs)^2,   -mean (1 + log std^2 - mean^2 - std^2) / 2,   mean |mask|

Source: Liu et al., NA2Q, arXiv:2304.13383; sizes and parameter names as in zichuan-liu/NA2Q adc10b4. There
the losses are means over padding too; ours see played steps only.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Latent(NamedTuple):
    """One encoding, [..., H] each."""

    z: Tensor
    mean: Tensor
    std: Tensor


class Semantics(nn.Module):
    """Parameters: `e1` H->W, `e2` W->W, `mean` and `log_std` W->H; `d1` H->W, `d2` W->W, `d3` W->O."""

    def __init__(self, hidden_dim: int, obs_dim: int, width: int) -> None:
        super().__init__()
        self.e1 = nn.Linear(hidden_dim, width)
        self.e2 = nn.Linear(width, width)
        self.mean = nn.Linear(width, hidden_dim)
        self.log_std = nn.Linear(width, hidden_dim)
        self.d1 = nn.Linear(hidden_dim, width)
        self.d2 = nn.Linear(width, width)
        self.d3 = nn.Linear(width, obs_dim)

    def encode(self, hidden: Tensor, noise: Tensor) -> Latent:
        """[..., H] and as much standard normal noise -> z, its mean and its standard deviation."""
        x = F.relu(self.e2(F.relu(self.e1(hidden))))
        mean, std = self.mean(x), self.log_std(x).exp()
        return Latent(mean + std * noise, mean, std)

    def mask(self, z: Tensor) -> Tensor:
        """[..., H] -> [..., O] in (0, 1)."""
        return self.d3(F.relu(self.d2(F.relu(self.d1(z))))).sigmoid()

    def losses(self, hidden: Tensor, obs: Tensor, noise: Tensor) -> dict[str, Tensor]:
        """The three losses as scalars, by name; gradients reach `hidden`."""
        latent = self.encode(hidden, noise)
        mask = self.mask(latent.z)
        log_variance = 2.0 * latent.std.log()
        return {
            "vae_reconstruction": (mask * obs - obs).square().mean(),
            "vae_kl": -0.5 * (1.0 + log_variance - latent.mean.square() - latent.std.square()).mean(),
            "vae_mask": mask.abs().mean(),
        }


def standard_normal(n_rows: int, n_agents: int, hidden_dim: int, generator: torch.Generator) -> Tensor:
    """[n_rows, N, H] from the generator."""
    return torch.randn(n_rows, n_agents, hidden_dim, generator=generator)
