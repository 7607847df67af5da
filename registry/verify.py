"""`python -m registry verify`: find the task and the networks, let plugins.vsp.verify look, keep what it saw."""

import logging
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Callable, Mapping

from plugins.vsp.environment import VSP
from registry import catalog, checks
from registry import config as configuration
from registry.hosts import select
from registry.hosts.base import Host
from registry.resume import read_config
from registry.verify_report import Weights, describe
from registry.verify_request import Request

NOT_OURS = "{where}: learner={learner!r} is not one of ours, whose proxies could be looked at. Known: {known}."
NO_MIXER = (
    "{where}: learner={learner!r} learns policies without a mixer or proxies, so there is nothing to verify. "
    "Verify an algorithm that has a mixer: python -m registry algorithms lists them."
)
HAS_PROXIES = (
    "{where}: env_args.vsp=True gives the controller proxies to act for, expected a controller of the agents "
    "alone. Take a run without it."
)
NO_SUCH_FOLDER = "{path}: there is no such folder. Name a run's folder, or one of its models or checkpoints."
NO_RUN = "{path}: no run lies there or above it (no config.json). Name the folder that was printed at its start."
NO_MODELS = (
    "{path}: neither models nor checkpoints lie there. Train with save_model=True or a smaller checkpoint_interval."
)
OTHER_TASK = "{path}: this run is of the task {given}, expected {expected}. Write --key {given}."
OTHER_RUN = "{path}: the checkpoint is of {name}={given!r}, its run of {expected!r}. It was put there from elsewhere."

_log = logging.getLogger(__name__)


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
    from plugins.learners import ACTOR_CRITICS, LEARNERS

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
    if settings["learner"] in ACTOR_CRITICS:
        raise ValueError(NO_MIXER.format(where=where, learner=settings["learner"]))
    if settings["env_args"].get("vsp"):
        raise ValueError(HAS_PROXIES.format(where=where))
    check_config(settings)
    checks.check_names(host, settings)
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
    """Folders of saved networks that `path` names: itself, or the run's, newest first, checkpoints before models.

    `models/best` is among them only where `path` names it.
    """
    from epymarl_lite.best import FOLDER as BEST
    from epymarl_lite.checkpoint import saved_steps

    path = path.absolute()
    if path.name.isdigit() and path.parent.name in ("models", "checkpoints"):
        return [path]
    if path.name == BEST and path.parent.name == "models":
        return [path]
    rooms = [path] if path.name in ("models", "checkpoints") else [path / "checkpoints", path / "models"]
    found = [room / str(step) for room in rooms for step in saved_steps(room)]
    return sorted(found, key=lambda folder: int(folder.name), reverse=True)


def build_learner(host: Host, request: Request, weights: Weights) -> tuple[Any, Weights]:
    """The learner with its controller and mixer, as training builds them, and where its networks came from.

    Raises:
        ValueError: no saved networks, none that is whole, or of other sizes; one line.
    """
    from epymarl_lite.best import FOLDER as BEST
    from epymarl_lite.best import read_best
    from epymarl_lite.run import layout
    from plugins.envs import build_simulator, env_info
    from plugins.vsp.verify.subject import Quiet

    args = SimpleNamespace(**weights.settings, device=request.device)
    simulator = build_simulator(catalog.make, args.env_args, batch_size=1)
    scheme, groups, _ = layout(args, env_info(simulator))
    simulator.close()
    parts = host.parts()
    mac = parts.controllers[args.mac](scheme, groups, args)
    learner = parts.learners[args.learner](mac, scheme, Quiet(), args)
    if request.device == "cuda":
        learner.cuda()
    if request.checkpoint is None:
        return learner, weights
    folders = saved_weights(request.checkpoint)
    best = find_run(request.checkpoint) / "models" / BEST
    if not folders and best.is_dir():
        folders = [best]
    if not folders:
        raise ValueError(NO_MODELS.format(path=request.checkpoint))
    refused: list[str] = []
    for folder in folders:
        try:
            step = int(folder.name) if folder.name.isdigit() else read_best(folder)[0]
            load_weights(learner, folder, weights.settings)
        except ValueError as error:
            refused.append(" ".join(str(error).split()))
            _log.warning("%s", refused[-1])
            continue
        return learner, Weights(weights.run, folder, weights.settings, step)
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
