"""Networks of a bundle: safetensors, read without running anything, and looked at."""

import hashlib
from typing import Any

from benchmarks.leaderboard.bundle.limits import LIMITS, Limits
from benchmarks.leaderboard.bundle.refusal import Refused, harmless

__all__ = ["content_hash", "read_weights"]

NOT_SAFE = "{where}: this is not a safetensors file ({error})."
MANY = "{where}: {n} tensors, expected at most {most}."
KIND = "{where}: the tensor {name!r} is {given}, expected one of {known}."
NOT_FINITE = "{where}: the tensor {name!r} holds numbers that are not finite."
KINDS = ("torch.float32", "torch.float64", "torch.int64", "torch.bool")


def read_weights(data: bytes, where: str, limits: Limits = LIMITS) -> dict[str, Any]:
    """Tensors by name.

    Raises:
        Refused: no safetensors file, too many tensors, or NaN and infinities in them; one line.
    """
    from safetensors.torch import load

    try:
        tensors: dict[str, Any] = load(data)
    except Exception as error:  # the reader's own classes; whatever it says about foreign bytes is a refusal
        raise Refused(NOT_SAFE.format(where=where, error=harmless(error))) from None
    if not 0 < len(tensors) <= limits.tensors:
        raise Refused(MANY.format(where=where, n=len(tensors), most=limits.tensors))
    for name, tensor in tensors.items():
        if str(tensor.dtype) not in KINDS:
            raise Refused(KIND.format(where=where, name=harmless(name, 60), given=tensor.dtype, known=", ".join(KINDS)))
        if not bool(tensor.isfinite().all()):
            raise Refused(NOT_FINITE.format(where=where, name=harmless(name, 60)))
    return tensors


def content_hash(tensors: dict[str, Any]) -> str:
    """SHA-256 over shapes and numbers, whatever the tensors are called and however the file is laid out."""
    digest = hashlib.sha256()
    parts = sorted(
        (str(tuple(tensor.shape)), str(tensor.dtype), tensor.contiguous().numpy().tobytes())
        for tensor in tensors.values()
    )
    for shape, kind, data in parts:
        digest.update(f"{shape} {kind} {len(data)}".encode())
        digest.update(data)
    return digest.hexdigest()
