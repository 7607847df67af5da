"""Writing model files, and reading those that may be missing, cut short or somebody else's."""

import io
import os
from pathlib import Path
from typing import Any, Mapping

import torch
from torch import nn
from torch.optim import Optimizer


def write_model(path: Path, state: Mapping[str, Any]) -> None:
    """Save `state` for `read_model`.

    Raises:
        OSError: with the system's own reason, which torch's file writer would hide (a full disk).
    """
    content = io.BytesIO()
    torch.save(state, content)
    path.write_bytes(content.getvalue())


def read_model(path: str, holds: str) -> dict[str, Any]:
    """The dictionary saved in `path`.

    Args:
        path: the file.
        holds: what it should hold, for the error line.

    Raises:
        ValueError: missing or unreadable; one line naming the file.
    """
    if not os.path.isfile(path):
        raise ValueError(f"{path}: not found, expected {holds}. Check checkpoint_path and load_step.")
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a bad file
        raise ValueError(
            f"{path}: cannot be read ({type(error).__name__}), expected {holds} saved by torch. "
            "The file is damaged or not a checkpoint; take another one."
        ) from error
    if not isinstance(loaded, dict):
        raise ValueError(
            f"{path}: holds a {type(loaded).__name__}, expected {holds}. Take another checkpoint."
        )
    return loaded


def check_parameters(path: str, state: Mapping[str, Any], module: nn.Module) -> None:
    """Refuse parameters that are not those of `module`.

    Raises:
        ValueError: naming the file and the first difference; one line.
    """
    expected = module.state_dict()
    for name in [*expected, *state]:
        if name not in state:
            problem = f"lacks {name!r}"
        elif name not in expected:
            problem = f"holds {name!r}, which this run has not"
        elif not isinstance(state[name], torch.Tensor) or state[name].shape != expected[name].shape:
            problem = f"holds {name!r} of shape {_shape(state[name])}, expected {_shape(expected[name])}"
        else:
            continue
        raise ValueError(
            f"{path}: {problem}. The checkpoint is of another algorithm, task or size; use the "
            "configuration it was saved with."
        )


def check_optimiser(path: str, state: Mapping[str, Any], optimiser: Optimizer) -> None:
    """Refuse an optimiser's state whose parameters have other shapes.

    Raises:
        ValueError: naming the file; one line.
    """
    params = [param for group in optimiser.param_groups for param in group["params"]]
    saved, groups = state.get("state"), state.get("param_groups")
    fits = isinstance(saved, dict) and isinstance(groups, list)
    if fits:
        assert isinstance(saved, dict) and isinstance(groups, list)
        sizes = [len(group["params"]) for group in groups]
        fits = sizes == [len(group["params"]) for group in optimiser.param_groups]
        fits = fits and all(
            isinstance(index, int) and index < len(params) and _is_memory_of(params[index], entry)
            for index, entry in saved.items()
        )
    if not fits:
        raise ValueError(
            f"{path}: not the state of an optimiser over these {len(params)} parameters, expected "
            "agent and mixer "
            "as this run has them. Use the configuration it was saved with."
        )


def _is_memory_of(param: torch.Tensor, entry: Mapping[str, Any]) -> bool:
    """Whether an optimiser's averages (all tensors but the count of steps) are as large as the parameter."""
    return all(value.shape == param.shape for name, value in entry.items() if name != "step")


def _shape(value: Any) -> list[int] | str:
    return list(value.shape) if isinstance(value, torch.Tensor) else type(value).__name__
