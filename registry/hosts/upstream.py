"""The host *upstream*: an EPyMARL checkout named by EPYMARL_HOME. Nothing is written into it."""

import importlib
import importlib.util
import logging
import os
import sys
from pathlib import Path
from typing import Any, Mapping

from plugins.envs import AsyncEnv
from registry.catalog import make
from registry.hosts import base, shapes

NEEDED = (
    "src/main.py",
    "src/run.py",
    "src/config/default.yaml",
    "src/envs/__init__.py",
    "src/runners/__init__.py",
)

NO_HOME = "EPYMARL_HOST=upstream: EPYMARL_HOME is not set. Set it to the folder of an EPyMARL checkout."
NOT_EPYMARL = "{home}: not an EPyMARL checkout ({missing} is missing). Name the folder that holds src/."
OTHER_HOME = "{home}: the module {module!r} was imported from {found} before. Start a fresh Python."
IMPORT_FAILED = (
    "{home}: the checkout cannot be imported ({error}). "
    "Install what it needs (its requirements.txt), or set EPYMARL_HOST=embedded."
)


def make_env(**kwargs: Any) -> AsyncEnv:
    """Our environment in EPyMARL's shape (pickled by name for workers)."""
    return AsyncEnv(make, **kwargs)


def check_home(home: str | os.PathLike[str] | None) -> Path:
    """The checkout's folder.

    Raises:
        ValueError: not given, or a file that every checkout has is missing; one line.
    """
    if not home:
        raise ValueError(NO_HOME)
    path = Path(home).expanduser().absolute()
    for needed in NEEDED:
        if not (path / needed).is_file():
            raise ValueError(NOT_EPYMARL.format(home=home, missing=needed))
    return path


class Upstream(base.Host):
    """EPyMARL as its authors publish it (tested at commit cbc38c0)."""

    name = "upstream"

    def __init__(self, home: str | os.PathLike[str] | None = None):
        super().__init__()
        self.home = check_home(home or os.environ.get("EPYMARL_HOME"))
        self.config_dir = self.home / "src" / "config"

    def check(self, config: Mapping[str, Any], options: Mapping[str, Any]) -> None:
        if config["env"] == "smaclite" and importlib.util.find_spec("smaclite") is None:
            from registry.hosts.standins.smaclite import MISSING

            raise ValueError(MISSING)

    def _load(self) -> base.Parts:
        self._open()
        try:
            parts = base.Parts(
                envs=importlib.import_module("envs").REGISTRY,
                runners=importlib.import_module("runners").REGISTRY,
                controllers=importlib.import_module("controllers").REGISTRY,
                learners=importlib.import_module("learners").REGISTRY,
                agents=importlib.import_module("modules.agents").REGISTRY,
                episode_batch=importlib.import_module("components.episode_buffer").EpisodeBatch,
            )
        except ImportError as error:
            raise ValueError(IMPORT_FAILED.format(home=self.home, error=error)) from error
        for name in ("episode", "parallel"):
            if name in parts.runners:
                parts.runners[name] = shapes.with_final_test(parts.runners[name])
        parts.ours = {
            "envs": base.add(parts.envs, {base.ENV: make_env}, shadow=True),
            "runners": base.add(parts.runners, base.runners(self, shapes.with_final_test)),
            "controllers": base.add(parts.controllers, base.controllers()),
            "learners": base.add(parts.learners, base.learners()),
        }
        return parts

    def _open(self) -> None:
        """Put the checkout on the path, stand-ins behind everything, and leave no byte code in it."""
        sys.dont_write_bytecode = True
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"  # for workers
        source = str(self.home / "src")
        for module in ("envs", "runners", "run"):
            found = getattr(sys.modules.get(module), "__file__", None)
            if found and not found.startswith(source + os.sep):
                raise ValueError(OTHER_HOME.format(home=self.home, module=module, found=found))
        if source not in sys.path:
            sys.path.insert(0, source)
        base.offer_standins()

    def run(self, run: Any, config: dict[str, Any], log: logging.Logger, resume: Any = None) -> None:
        self.parts()
        module = importlib.import_module("run")
        folder = shapes.folder_for(self.recorder, config)
        asked = config["test_nepisode"]  # the host rounds it to whole rollouts

        def prepare(args: Any) -> None:
            args.local_results_path = str(folder)
            args.unique_token = ""  # models land in <run folder>/models/<step>
            if args.runner in self.parts().ours["runners"]:
                args.test_nepisode = asked

        with shapes.replaced(
            module,
            Logger=shapes.recording_logger(module.Logger, self.recorder, folder / "tb"),
            run_sequential=shapes.entering(module.run_sequential, prepare, self.name, folder),
        ):
            module.run(run, config, log)
