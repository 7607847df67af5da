"""Checks that stop training before it is spoilt."""

import torch
from torch import Tensor


class NonFiniteError(ValueError):
    """A NaN or an infinity where only numbers can be learnt from."""


def all_finite(tensor: Tensor) -> bool:
    """Whether no entry is NaN or infinite; one pass unless something looks wrong."""
    if bool(torch.isfinite(tensor.sum())):
        return True  # NaN and infinities survive a sum
    return bool(torch.isfinite(tensor).all())  # finite numbers whose sum overflows


def require_finite(where: str, what_to_do: str, **tensors: Tensor) -> None:
    """Refuse the first tensor that holds a NaN or an infinity.

    Raises:
        NonFiniteError: naming the tensor, the entry and its value; one line.
    """
    for name, tensor in tensors.items():
        if not all_finite(tensor):
            index = [int(i) for i in (~torch.isfinite(tensor)).nonzero()[0]]
            value = tensor.detach()[tuple(index)].item()
            raise NonFiniteError(
                f"{where}: {name} holds {value} at index {index} of shape {list(tensor.shape)}, "
                f"expected finite numbers. {what_to_do}"
            )
