"""The host *pymarlzooplus*: PyMARLzoo+ 1.1.0, a descendant of EPyMARL on PyPI."""

import importlib
import importlib.util
import logging
from pathlib import Path
from typing import Any

from plugins.envs import AsyncEnv
from registry.catalog import make
from registry.hosts import base, shapes

NOT_INSTALLED = (
    "EPYMARL_HOST=pymarlzooplus: the package is not installed. "
    "Install it (pip install pymarlzooplus==1.1.0), or set EPYMARL_HOST=embedded."
)
IMPORT_FAILED = (
    "EPYMARL_HOST=pymarlzooplus: the package cannot be imported ({error}). "
    "Install what it needs, or set EPYMARL_HOST=embedded."
)
UNOBSERVED = "pymarlzooplus: this host reads sacred's folder and cannot run unobserved. Leave out -u."


class ZooEnv(AsyncEnv):
    """Our environment in PyMARLzoo+'s shape: `step` returns three values, and there is something to print."""

    def step(self, actions: Any) -> Any:
        """(reward, terminated, info); the step limit sets both terminated and info["episode_limit"]."""
        _, reward, terminated, truncated, info = super().step(actions)
        return reward, bool(terminated or truncated), info

    def get_print_info(self) -> None:
        """Nothing to print at the start of a run."""
        return None


def make_env(**kwargs: Any) -> ZooEnv:
    """Our environment in PyMARLzoo+'s shape (pickled by name for workers)."""
    return ZooEnv(make, **kwargs)


def _zoo_controller(cls: type) -> type:
    """A controller whose `select_actions` returns (actions, extra)."""

    class ZooController(cls):
        learner: Any = None

        def select_actions(self, *args: Any, **kwargs: Any) -> Any:
            return super().select_actions(*args, **kwargs), {}

    ZooController.__name__ = ZooController.__qualname__ = cls.__name__
    return ZooController


def _zoo_runner(cls: type) -> type:
    """A runner that accepts an explorer and returns (batch, returns)."""

    class ZooRunner(cls):
        def setup(self, scheme: Any, groups: Any, preprocess: Any, mac: Any, explorer: Any = None) -> None:
            super().setup(scheme=scheme, groups=groups, preprocess=preprocess, mac=mac)

        def run(self, test_mode: bool = False) -> Any:
            batch = super().run(test_mode=test_mode)
            return batch, batch["reward"].sum(dim=(1, 2)).tolist()

    ZooRunner.__name__ = ZooRunner.__qualname__ = cls.__name__
    return shapes.with_final_test(ZooRunner)


class Pymarlzooplus(base.Host):
    """PyMARLzoo+ with our parts in its tables."""

    name = "pymarlzooplus"
    # read by our parts, missing in this host's default.yaml (it has common rewards only)
    extra_config = {"common_reward": True, "reward_scalarisation": "sum"}

    def __init__(self) -> None:
        super().__init__()
        found = importlib.util.find_spec("pymarlzooplus")
        if found is None or not found.submodule_search_locations:
            raise ValueError(NOT_INSTALLED)
        self.config_dir = Path(list(found.submodule_search_locations)[0]) / "config"

    def console_logger(self) -> logging.Logger:
        """A root logger with a rich handler: the host draws its tables on that handler's console."""
        from rich.logging import RichHandler

        logger = logging.getLogger()
        logger.handlers = [RichHandler(show_path=False, enable_link_path=False)]
        logger.handlers[0].setFormatter(logging.Formatter("%(message)s"))
        logger.setLevel("INFO")
        return logger

    def check(self, config: Any, options: Any) -> None:
        if options.get("--unobserved"):
            raise ValueError(UNOBSERVED)

    def _load(self) -> base.Parts:
        base.offer_standins()
        try:
            parts = base.Parts(
                envs=importlib.import_module("pymarlzooplus.envs").REGISTRY,
                runners=importlib.import_module("pymarlzooplus.runners").REGISTRY,
                controllers=importlib.import_module("pymarlzooplus.controllers").REGISTRY,
                learners=importlib.import_module("pymarlzooplus.learners").REGISTRY,
                agents=importlib.import_module("pymarlzooplus.modules.agents").REGISTRY,
                episode_batch=importlib.import_module("pymarlzooplus.components.episode_buffer").EpisodeBatch,
            )
        except ImportError as error:
            raise ValueError(IMPORT_FAILED.format(error=error)) from error
        for name in ("episode", "parallel"):
            parts.runners[name] = shapes.with_final_test(parts.runners[name])
        parts.ours = {
            "envs": base.add(parts.envs, {base.ENV: make_env}, shadow=True),
            "runners": base.add(parts.runners, base.runners(self, _zoo_runner)),
            "controllers": base.add(parts.controllers, base.controllers(_zoo_controller)),
            "learners": base.add(parts.learners, base.learners()),
        }
        return parts

    def run(self, run: Any, config: dict[str, Any], log: logging.Logger, resume: Any = None) -> None:
        self.parts()
        module = importlib.import_module("pymarlzooplus.run")
        folder = shapes.folder_for(self.recorder, config)
        asked = config["test_nepisode"]  # the host rounds it to whole rollouts

        def prepare(args: Any) -> None:
            if args.runner in self.parts().ours["runners"]:
                args.test_nepisode = asked

        def plot(*args: Any, **kwargs: Any) -> None:
            try:
                draw(*args, **kwargs)
            except Exception as error:  # a picture that fails must not fail the run
                log.warning("pymarlzooplus: its plots were not drawn (%s).", error)

        draw = module.plot_single_experiment_results
        with shapes.replaced(
            module,
            Logger=shapes.recording_logger(module.Logger, self.recorder, folder / "tb"),
            run_sequential=shapes.entering(module.run_sequential, prepare, self.name, folder),
            plot_single_experiment_results=plot,
        ):
            module.run(run, config, log)
