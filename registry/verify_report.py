"""What `python -m registry verify` keeps: the rows and everything they depend on, as JSON."""

import datetime
import json
import math
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Mapping

from registry.provenance import source_state
from registry.verify_request import Request

SCHEMA = 1  # of the JSON file
LOCAL_KEYS = ("local_results_path", "checkpoint_path")  # of a configuration; they say nothing about a result
MODEL_FILES = ("agent.th", "mixer.th", "opt.th", "mixer_opt.th")  # the last where the mixer has an optimiser of its own


@dataclass(frozen=True)
class Weights:
    """Where the networks come from."""

    run: Path | None  # None: fresh
    folder: Path | None  # models/<step>, models/best or checkpoints/<step>
    settings: dict[str, Any]  # the configuration
    step: int | None = None  # environment steps that they were trained for; None: fresh


def describe(request: Request, weights: Weights) -> dict[str, Any]:
    """Everything about a verification but its rows, ready for JSON."""
    import numpy as np
    import torch

    from plugins.vsp.verify.verification import STREAM

    settings = {name: value for name, value in weights.settings.items() if name not in LOCAL_KEYS}
    is_cuda = request.device == "cuda"
    return {
        "schema": SCHEMA,
        "key": request.key,
        "options": request.options,
        "algorithm": settings["name"],
        "weights": described_weights(weights),
        "episodes": request.episodes,
        "seed": request.seed,
        "episode_seeds": f"episode_seed({request.seed}, {STREAM!r}, 0 … {request.episodes - 1})",
        "device": torch.cuda.get_device_name() if is_cuda else "cpu",
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
            "cuda": torch.version.cuda if is_cuda else None,
        },
        "source": source_state(),
        "written": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "settings": settings,
    }


def described_weights(weights: Weights) -> dict[str, Any]:
    """Which networks: their place in the run, and the SHA-256 of their files."""
    from epymarl_lite.utils.files import sha256_of

    if weights.run is None or weights.folder is None:
        return {"fresh": True}
    run_folder = weights.run
    path = Path(*run_folder.parts[-3:]) / weights.folder.relative_to(run_folder)  # <algorithm>/<task>/<id>/…
    names = MODEL_FILES if weights.folder.parent.name == "models" else ("state.pt",)
    hashes = {name: sha256_of(weights.folder / name) for name in names if (weights.folder / name).is_file()}
    return {"fresh": False, "path": path.as_posix(), "step": weights.step, "sha256": hashes}


def write_report(path: Path, report: Mapping[str, Any]) -> None:
    """Write `report` as JSON, whole or not at all; numbers that are not finite become texts.

    Raises:
        OSError: the disk refused twice.
    """
    from epymarl_lite.utils.files import write_file

    def plain(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: plain(below) for key, below in value.items()}
        if isinstance(value, (list, tuple)):
            return [plain(below) for below in value]
        if isinstance(value, float) and not math.isfinite(value):
            return str(value)
        return value

    content = json.dumps(plain(report), indent=1, allow_nan=False, ensure_ascii=False)
    write_file(path, content.encode("utf-8") + b"\n")


def is_violated(report: Mapping[str, Any]) -> bool:
    """Whether any check of a report is violated."""
    from plugins.vsp.verify.rows import VIOLATED

    return any(row["verdict"] == VIOLATED for row in report["rows"])


def digest(report: Mapping[str, Any]) -> str:
    """One line that sums a report up: how many checks hold, were not exercised, are violated."""
    from plugins.vsp.verify.rows import HOLDS, NOT_EXERCISED, VIOLATED

    count = {verdict: sum(row["verdict"] == verdict for row in report["rows"]) for verdict in (
        HOLDS, NOT_EXERCISED, VIOLATED
    )}  # fmt: skip
    where = "fresh networks" if report["weights"]["fresh"] else report["weights"]["path"]
    counts = ", ".join(f"{count[verdict]} {verdict}" for verdict in count)
    return f"{report['algorithm']} on {report['key']} ({where}, {report['device']}): {counts}."
