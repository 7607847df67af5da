"""Weights that networks begin with."""

from typing import Sequence

from torch import nn

__all__ = ["orthogonal"]

OUT_GAIN = 0.01  # policies begin near uniform, values near 0


def orthogonal(network: nn.Module, outputs: Sequence[nn.Linear]) -> None:
    """Every Linear gets orthogonal weights, of gain 0.01 in `outputs` and 1 elsewhere, and zero biases.

    Recurrent cells keep torch's own weights.

    Source: hijkzzz/pymarl2 8ccac7c.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Linear):
            nn.init.orthogonal_(layer.weight, OUT_GAIN if any(layer is each for each in outputs) else 1.0)
            nn.init.zeros_(layer.bias)
