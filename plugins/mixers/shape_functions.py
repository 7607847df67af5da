"""NA2Q's shape functions: one small monotone network for every set of slots.

Letters: R rows, M slots, G sets of one size o, V sets of all sizes (the terms).
"""

from itertools import combinations
from math import comb

import torch
import torch.nn.functional as F
from torch import Tensor, nn

HIDDEN = (8, 4)  # widths, as in the reference

__all__ = ["ShapeFunctions", "count_terms", "term_sets"]


def count_terms(n_slots: int, order: int) -> int:
    """V: sets of 1 to `order` slots."""
    return sum(comb(n_slots, size) for size in range(1, order + 1))


def term_sets(n_slots: int, order: int) -> list[tuple[int, ...]]:
    """The slots of every term: sizes 1 to `order`, each in the order of `combinations`."""
    return [each for size in range(1, order + 1) for each in combinations(range(n_slots), size)]


class ShapeFunctions(nn.Module):
    """f_J for all sets J of `size` slots: size -> 8 -> 4 -> 1, elu after the two hidden layers.

    Non-decreasing in every input: the forward pass uses the weights' absolute values (the reference
    overwrites them by those, which is the same function). Biases are free.

    Parameters: `weights.l` [G, outputs, inputs] and `biases.l` [G, outputs] of layer l = 0, 1, 2.
    """

    sets: Tensor

    def __init__(self, n_slots: int, size: int) -> None:
        super().__init__()
        sets = torch.tensor(list(combinations(range(n_slots), size)), dtype=torch.int64)
        self.register_buffer("sets", sets, persistent=False)  # [G, size]
        widths = (size, *HIDDEN, 1)
        self.weights = nn.ParameterList()
        self.biases = nn.ParameterList()
        for n_inputs, n_outputs in zip(widths, widths[1:]):
            bound = n_inputs**-0.5  # torch's own default for a Linear layer
            for parameters, shape in ((self.weights, (n_outputs, n_inputs)), (self.biases, (n_outputs,))):
                parameters.append(nn.Parameter(torch.empty(len(sets), *shape).uniform_(-bound, bound)))

    def forward(self, utilities: Tensor) -> Tensor:
        """[R, M] -> [R, G]."""
        x = utilities[:, self.sets].transpose(0, 1)  # [G, R, size]
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases)):
            if layer > 0:
                x = F.elu(x)
            size = torch.where(weight < 0, -weight, weight)  # abs, whose slope at 0 would be 0: stuck there
            x = torch.baddbmm(bias.unsqueeze(1), x, size.transpose(1, 2))
        return x.squeeze(2).t()
