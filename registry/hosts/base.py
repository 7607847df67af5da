"""What the launcher asks of a host, and what is the same for all of them.

A host is an EPyMARL: registries, an `EpisodeBatch`, configuration files and `run`. Its adapter fills the
registries with our environment, runner, controllers and learners and absorbs the host's shapes, so that
plugins need not ask where they are.
"""

import logging
import sys
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Mapping

from registry.catalog import load, make
from registry.recorder import Recorder

ENV = "async"  # the name of our environment in every host's table
STANDINS = Path(__file__).parent / "standins"


@dataclass
class Parts:
    """A host's tables and its `EpisodeBatch`, after it was imported."""

    envs: dict[str, Any]
    runners: dict[str, Any]
    controllers: dict[str, Any]
    learners: dict[str, Any]
    agents: dict[str, Any]
    episode_batch: Any
    ours: dict[str, set[str]] = field(default_factory=dict)  # table -> names that we added


class Interrupted(KeyboardInterrupt):
    """A signal ended the run in good order; sacred books it as INTERRUPTED."""

    STATUS = "INTERRUPTED"

    def __init__(self, signum: int, text: str = ""):
        super().__init__(text or f"interrupted by signal {signum}")
        self.exit_status = 128 + signum


class Host(ABC):
    """One host. Building it imports nothing of the host; `parts` does, once."""

    name: str
    config_dir: Path  # holds default.yaml, algs/ and envs/
    extra_config: Mapping[str, Any] = {}  # keys that our parts read and this host's default.yaml lacks
    is_ours = False  # whether it does updates_per_episode, checkpoints and the live line

    def __init__(self) -> None:
        self._parts: Parts | None = None
        self.recorder: Recorder | None = None

    def parts(self) -> Parts:
        """The host's tables with ours in them; the first call imports the host."""
        if self._parts is None:
            self._parts = self._load()
        return self._parts

    @abstractmethod
    def _load(self) -> Parts:
        """Import the host and fill its tables."""

    @abstractmethod
    def run(self, run: Any, config: dict[str, Any], log: logging.Logger, resume: Any = None) -> None:
        """Train as `config` says, writing to `self.recorder`; raises what went wrong."""

    def console_logger(self) -> logging.Logger:
        """The logger that sacred and the host print with."""
        logger = logging.getLogger()
        logger.handlers = []
        handler = logging.StreamHandler()
        line = "[%(levelname)s %(asctime)s] %(name)s %(message)s"
        handler.setFormatter(logging.Formatter(line, "%H:%M:%S"))
        logger.addHandler(handler)
        logger.setLevel("INFO")
        return logger

    def check(self, config: Mapping[str, Any], options: Mapping[str, Any]) -> None:
        """Refuse what this host cannot do. Raises ValueError, one line."""

    def check_memory(self, config: Mapping[str, Any], env_info: Mapping[str, int]) -> None:
        """Refuse a run that needs more memory than there is; a host that cannot tell accepts all."""


def offer_standins() -> None:
    """Let a host import our stand-ins for the modules that it names and that are not here."""
    if str(STANDINS) not in sys.path:
        sys.path.append(str(STANDINS))


def add(table: dict[str, Any], ours: Mapping[str, Any], shadow: bool = False) -> set[str]:
    """Put `ours` into a host's table; a name that the host has is left alone unless `shadow`."""
    added = {name for name in ours if shadow or name not in table}
    table.update({name: ours[name] for name in added})
    return added


def learners() -> dict[str, Callable[..., Any]]:
    """Every learner of ours as the factory that a host calls."""
    from plugins.learners import LEARNERS

    return {name: _Lazy(entry) for name, entry in LEARNERS.items()}


def controllers(shape: Callable[[type], type] | None = None) -> dict[str, Callable[..., Any]]:
    """Every controller of ours; `shape` makes the class that fits the host."""
    from plugins.controllers import CONTROLLERS

    return {name: _Lazy(entry, shape) for name, entry in CONTROLLERS.items()}


def runners(host: Host, shape: Callable[[type], type] | None = None) -> dict[str, Callable[..., Any]]:
    """Every runner of ours, with the host's `EpisodeBatch`, our catalog and the run's recorder handed in."""
    from plugins.runners import RUNNERS

    def factory(entry: str) -> Callable[..., Any]:
        build = _Lazy(entry, shape)

        def runner(args: Any, logger: Any, **given: Any) -> Any:
            handed = {
                "episode_batch": host.parts().episode_batch,
                "make_simulator": make,
                "recorder": host.recorder,
            }
            return build(args, logger, **{**handed, **given})

        return runner

    return {name: factory(entry) for name, entry in RUNNERS.items()}


class _Lazy:
    """Calls the class that "module:attribute" names, imported on the first call and shaped for the host."""

    def __init__(self, entry: str, shape: Callable[[type], type] | None = None):
        self.entry = entry
        self._shape = shape
        self._built: type | None = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._built is None:
            cls = load(self.entry)
            self._built = self._shape(cls) if self._shape else cls
        return self._built(*args, **kwargs)
