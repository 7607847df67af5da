"""Recorded values of reference implementations, from MIXER_PARITY or the small set in tests/data."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.counted import count

FOLDER = Path(os.environ.get("MIXER_PARITY") or Path(__file__).parent.parent / "data" / "mixer_parity")
TOLERANCE = 1e-9  # absolute, float64
PATTERNS = {  # of the others: KIND_n*.npz
    "td_lambda": "td_lambda_*.npz",
    "na2q_vae": "na2q_vae_h*.npz",
    "mac_returns": "mac_returns_*.npz",
}


class Case:
    """One recorded file: `case["in.state"]` is a float64 (or integer, or bool) tensor."""

    def __init__(self, path: Path):
        self.path = path
        self._arrays = np.load(path)
        self.meta = json.loads(str(self._arrays["meta"]))

    def __getitem__(self, name):
        array = self._arrays[name]
        if array.dtype.kind == "f":
            array = array.astype(np.float64)
        return torch.from_numpy(np.array(array))

    def names(self, prefix):
        return [name.removeprefix(prefix) for name in self._arrays.files if name.startswith(prefix)]

    def state_dict(self, prefix="param."):
        return {name: self[prefix + name] for name in self.names(prefix)}


def case_paths(kind):
    """Files of one kind, at least one.

    Raises:
        RuntimeError: the folder holds none, so a parity test would compare nothing.
    """
    paths = sorted(FOLDER.glob(PATTERNS.get(kind, f"{kind}_n*.npz")))
    if not paths:
        raise RuntimeError(
            f"{FOLDER}: holds no {kind}_*.npz, expected at least one recorded case. "
            "Set MIXER_PARITY to a folder that does, or unset it to use tests/data/mixer_parity."
        )
    return paths


def over(kind):
    """Decorator: one test for each file of a kind, named after it and handed in as `case`."""
    paths = case_paths(kind)
    return pytest.mark.parametrize("case", [Case(path) for path in paths], ids=[path.stem for path in paths])


def assert_recorded(case, name, ours):
    """`ours` equals the recorded array, absolutely to 1e-9."""
    expected = case[name].reshape(ours.shape)
    torch.testing.assert_close(
        ours.detach(), expected, rtol=0, atol=TOLERANCE, msg=lambda text: f"{name}: {text}"
    )
    apart = float((ours.detach().double() - expected.double()).abs().max()) if expected.numel() else 0.0
    count("parity", f"{case.path.name}/{name}/{apart:.1e}")


def assert_gradient_norms(case, named_parameters, prefix="gradnorm."):
    """Every parameter's gradient has the recorded norm; none may be missing on either side."""
    ours = {
        name: torch.zeros(()).double() if p.grad is None else p.grad.norm() for name, p in named_parameters
    }
    assert sorted(case.names(prefix)) == sorted(ours)
    for name, norm in ours.items():
        assert_recorded(case, prefix + name, norm)
