"""`python -m registry verify`: find the task and the networks, let plugins.vsp.verify look, keep what it saw."""

import ast
import datetime
import json
import logging
import math
import os
import platform
import shutil
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Callable, Mapping, Sequence

from async_envs.core.options import Family
from plugins.vsp.environment import VSP
from registry import catalog
from registry import config as configuration
from registry.hosts import select
from registry.hosts.base import Host
from registry.resume import read_config

SCHEMA = 1  # of the JSON file
EPISODES = 32
ROOT = Path(__file__).resolve().parent.parent
LOCAL_KEYS = ("local_results_path", "checkpoint_path")  # of a configuration; they say nothing about a result
MODEL_FILES = ("agent.th", "mixer.th", "opt.th")

NO_KEY = "verify: --key is missing: which task? Write --key async:poac-1 (python -m registry keys lists all)."
ONE_OF_TWO = "verify: {given}, expected one of the two. Write --checkpoint DIR (a run) or --config NAME (fresh)."
BAD_NUMBER = "verify: {flag}={given!r} is not accepted, expected a whole number {bounds}."
BAD_DEVICE = "verify: --device={given!r} is not accepted, expected cpu or cuda."
NO_CUDA = "verify: --device=cuda was asked for and no CUDA device is there. Use --device=cpu."
BAD_OPTION = "{key}: {given!r} is not an option. Write NAME=VALUE, e.g. episode_limit=50."
NOT_OURS = "{where}: learner={learner!r} is not one of ours, whose proxies could be looked at. Known: {known}."
HAS_PROXIES = (
    "{where}: env_args.vsp=True gives the controller proxies to act for, expected a controller of the agents "
    "alone. Verify a run without it."
)
NO_SUCH_FOLDER = "{path}: there is no such folder. Name a run's folder, or one of its models or checkpoints."
NO_RUN = "{path}: no run lies there or above it (no config.json). Name the folder that was printed at its start."
NO_MODELS = (
    "{path}: neither models nor checkpoints lie there. Train with save_model=True or a smaller checkpoint_interval."
)
OTHER_TASK = "{path}: this run is of the task {given}, expected {expected}. Write --key {given}."
OTHER_RUN = "{path}: the checkpoint is of {name}={given!r}, its run of {expected!r}. It was put there from elsewhere."
NOT_WRITABLE = "verify: --out={path}: cannot be written ({why}). Name a file in a folder that is there."

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Request:
    """What was asked for, checked as far as that needs no run."""

    key: str  # canonical
    options: dict[str, Any]  # of the key, as given
    checkpoint: Path | None
    config: str | None  # one of the two is None
    device: str
    episodes: int
    seed: int
    out: Path | None


@dataclass(frozen=True)
class Weights:
    """Where the networks come from."""

    run: Path | None  # None: fresh
    folder: Path | None  # models/<step> or checkpoints/<step>
    settings: dict[str, Any]  # the configuration


def check_request(
    key: str | None,
    checkpoint: str | None,
    config: str | None,
    device: str,
    episodes: Any,
    seed: Any,
    out: str | None,
    options: Sequence[str],
) -> Request:
    """The words of the command line as a request.

    Raises:
        ValueError: what is wrong, in one line.
    """
    import torch

    if key is None:
        raise ValueError(NO_KEY)
    family, _ = catalog.parse_key(key)
    key = catalog.canonical_key(key)
    if (checkpoint is None) == (config is None):
        given = "neither --checkpoint nor --config" if config is None else "both --checkpoint and --config"
        raise ValueError(ONE_OF_TWO.format(given=f"{given} was given"))
    if device not in ("cpu", "cuda"):
        raise ValueError(BAD_DEVICE.format(given=device))
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError(NO_CUDA)
    return Request(
        key=key,
        options=parse_options(family, key, options),
        checkpoint=None if checkpoint is None else Path(checkpoint),
        config=config,
        device=device,
        episodes=whole_number("--episodes", episodes, 1, None),
        seed=whole_number("--seed", seed, 0, configuration.MAX_SEED),
        out=None if out is None else writable(Path(out)),
    )


def whole_number(flag: str, given: Any, low: int, high: int | None) -> int:
    """`given` as a number.

    Raises:
        ValueError: it is none, or out of bounds; one line.
    """
    try:
        number = int(str(given))
    except ValueError:
        number = low - 1
    if number < low or (high is not None and number > high):
        bounds = f"of at least {low}" if high is None else f"from {low} to {high}"
        raise ValueError(BAD_NUMBER.format(flag=flag, given=given, bounds=bounds))
    return number


def parse_options(family: Family, key: str, given: Sequence[str]) -> dict[str, Any]:
    """NAME=VALUE words as options of the key, checked by its family.

    Raises:
        ValueError: no such word or option, or a value that is not accepted; one line.
    """
    options: dict[str, Any] = {}
    for word in given:
        name, equals, value = word.partition("=")
        if not name or not equals:
            raise ValueError(BAD_OPTION.format(key=key, given=word))
        try:
            options[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            options[name] = value
    return family.check_options(key, options)


def writable(path: Path) -> Path:
    """`path`, if a file can be put there.

    Raises:
        ValueError: it cannot; one line.
    """
    folder = path.absolute().parent
    if path.is_dir():
        raise ValueError(NOT_WRITABLE.format(path=path, why="it is a folder"))
    if not folder.is_dir():
        raise ValueError(NOT_WRITABLE.format(path=path, why=f"{folder} is no folder"))
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ValueError(NOT_WRITABLE.format(path=path, why=f"no permission to write in {folder}"))
    return path


def run(request: Request, tell: Callable[[str], None] = lambda line: None) -> dict[str, Any]:
    """Verify as asked; returns what the JSON file is to hold (`write_report`).

    Raises:
        ValueError: a run, a checkpoint or a configuration that does not fit; one line.
    """
    import torch

    from plugins.envs import build_simulator
    from plugins.mixers import mixer_spec
    from plugins.vsp.verify.verification import verify

    host = select.choose("embedded")
    weights = find_weights(host, request)
    settings = weights.settings
    torch.set_num_threads(settings["threads"])
    torch.manual_seed(request.seed)
    learner, weights = build_learner(host, request, weights)
    rows = verify(
        lambda batch_size: build_simulator(catalog.make, settings["env_args"], batch_size),
        learner,
        episodes=request.episodes,
        seed=request.seed,
        epsilon_t_env=settings["epsilon_anneal_time"],
        promises_igm=mixer_spec(settings["mixer"]).promises_igm,
        proxied=VSP,
        tell=tell,
    )
    return {**describe(request, weights), "rows": [asdict(row) for row in rows]}


def find_weights(host: Host, request: Request) -> Weights:
    """The configuration, from the run or freshly assembled, for the task as asked.

    Raises:
        ValueError: no run, a run of another task, or a configuration that cannot be verified; one line.
    """
    from plugins.config.schema import check_config
    from plugins.learners import LEARNERS

    if request.checkpoint is None:
        run_folder, where = None, f"--config={request.config}"
        updates = {"env_args": {"key": request.key}, "seed": request.seed}
        settings = configuration.assemble(host, request.config, None, updates)
        configuration.merge(settings, updates)
    else:
        run_folder = find_run(request.checkpoint)
        where = str(run_folder)
        settings = read_config(run_folder)
        given = str((settings.get("env_args") or {}).get("key"))
        if not catalog.is_key(given) or catalog.canonical_key(given) != request.key:
            raise ValueError(OTHER_TASK.format(path=where, given=given, expected=request.key))
    settings["env_args"] = {
        **settings["env_args"], **request.options, "key": request.key, "seed": request.seed,
    }  # fmt: skip
    if settings["learner"] not in LEARNERS:
        raise ValueError(NOT_OURS.format(where=where, learner=settings["learner"], known=", ".join(LEARNERS)))
    if settings["env_args"].get("vsp"):
        raise ValueError(HAS_PROXIES.format(where=where))
    check_config(settings)
    configuration.check_names(host, settings)
    return Weights(run_folder, None, {**settings, "evaluation_epsilon": 0.0})


def find_run(path: Path) -> Path:
    """The run's folder that `path` is, or lies in.

    Raises:
        ValueError: there is none; one line.
    """
    if not path.is_dir():
        raise ValueError(NO_SUCH_FOLDER.format(path=path))
    absolute = path.absolute()
    for folder in (absolute, *absolute.parents[:2]):
        if (folder / "config.json").is_file():
            return folder
    raise ValueError(NO_RUN.format(path=path))


def saved_weights(path: Path) -> list[Path]:
    """Folders of saved networks that `path` names: itself, or the run's, newest first, checkpoints before models."""
    from epymarl_lite.checkpoint import saved_steps

    path = path.absolute()
    if path.name.isdigit() and path.parent.name in ("models", "checkpoints"):
        return [path]
    rooms = [path] if path.name in ("models", "checkpoints") else [path / "checkpoints", path / "models"]
    found = [room / str(step) for room in rooms for step in saved_steps(room)]
    return sorted(found, key=lambda folder: int(folder.name), reverse=True)


def build_learner(host: Host, request: Request, weights: Weights) -> tuple[Any, Weights]:
    """The learner with its controller and mixer, as training builds them, and where its networks came from.

    Raises:
        ValueError: no saved networks, none that is whole, or of other sizes; one line.
    """
    from epymarl_lite.run import layout
    from plugins.envs import build_simulator, close_simulator, env_info
    from plugins.vsp.verify.subject import Quiet

    args = SimpleNamespace(**weights.settings, device=request.device)
    simulator = build_simulator(catalog.make, args.env_args, batch_size=1)
    scheme, groups, _ = layout(args, env_info(simulator))
    close_simulator(simulator)
    parts = host.parts()
    mac = parts.controllers[args.mac](scheme, groups, args)
    learner = parts.learners[args.learner](mac, scheme, Quiet(), args)
    if request.device == "cuda":
        learner.cuda()
    if request.checkpoint is None:
        return learner, weights
    folders = saved_weights(request.checkpoint)
    if not folders:
        raise ValueError(NO_MODELS.format(path=request.checkpoint))
    refused: list[str] = []
    for folder in folders:
        try:
            load_weights(learner, folder, weights.settings)
        except ValueError as error:
            refused.append(" ".join(str(error).split()))
            _log.warning("%s", refused[-1])
            continue
        return learner, Weights(weights.run, folder, weights.settings)
    raise ValueError(refused[0])


def load_weights(learner: Any, folder: Path, settings: Mapping[str, Any]) -> None:
    """Put saved networks into `learner`.

    Raises:
        ValueError: damaged, incomplete, or of another task, algorithm or size; one line.
    """
    from epymarl_lite.checkpoint import read_checkpoint

    if folder.parent.name == "models":
        learner.load_models(folder)
        return
    state = read_checkpoint(folder).state
    of = state["of"]
    expected = {"task": str(settings["env_args"]["key"])}
    expected |= {name: str(settings[name]) for name in ("name", "mixer", "learner") if name in of}
    for name, value in expected.items():
        given = of.get(name)
        if name == "task" and catalog.is_key(given):
            given = catalog.canonical_key(given)
        if given != value:
            raise ValueError(OTHER_RUN.format(path=folder, name=name, given=given, expected=value))
    learner.load_resume_state(state["learner"])


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
    hashes = {name: sha256_of(weights.folder / name) for name in names}
    return {"fresh": False, "path": path.as_posix(), "step": int(weights.folder.name), "sha256": hashes}


def source_state() -> dict[str, Any]:
    """The commit of this source and whether files were changed since; nulls outside of a git checkout."""
    nothing = {"commit": None, "dirty": None}
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        return nothing
    asked = [
        subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=False)
        for words in (["rev-parse", "HEAD"], ["status", "--porcelain"])
    ]
    if any(answer.returncode for answer in asked):
        return nothing
    return {"commit": asked[0].stdout.strip(), "dirty": bool(asked[1].stdout.strip())}


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
