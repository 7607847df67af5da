"""What two hosts that we do not own need in common: a last test, and a logger that feeds the recorder."""

import logging
import math
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, Iterator

from async_envs.core.seeding import TEST, TRAIN
from registry.recorder import Recorder

WATCHED = ("loss", "grad_norm")  # a stat whose name ends so must stay finite

NOT_FINITE = "{name} is {value} at step {t_env}: training has diverged. Lower lr or grad_norm_clip."


def with_final_test(cls: type) -> type:
    """A runner like `cls` that tests once more at the end, where the host's loop stops without a last test.

    The host calls `close_env` when it has trained enough; a test that is older than the last training step is
    then played again, in as many rollouts as the host's own loop would take.
    """

    class Tested(cls):
        _tested_at = -1

        def run(self, test_mode: bool = False) -> Any:
            if hasattr(self, "env") and hasattr(self.env, "stream"):
                self.env.stream = TEST if test_mode else TRAIN
            if test_mode:
                self._tested_at = self.t_env
            return super().run(test_mode=test_mode)

        def close_env(self) -> None:
            args = self.args
            trained = self.t_env > args.t_max and not (args.evaluate or args.save_replay)
            if trained and self._tested_at < self.t_env:
                for _ in range(max(1, args.test_nepisode // self.batch_size)):
                    self.run(test_mode=True)
            super().close_env()

    Tested.__name__ = Tested.__qualname__ = cls.__name__
    return Tested


def recording_logger(cls: type, recorder: Recorder | None, tensorboard_dir: Path) -> type:
    """The host's `Logger`, which also feeds `recorder`, and TensorBoard through torch's own writer."""

    class RecordingLogger(cls):
        def setup_tb(self, directory_name: str) -> None:
            from torch.utils.tensorboard import SummaryWriter

            writer = SummaryWriter(str(tensorboard_dir))
            self.tb_logger = writer.add_scalar
            self.use_tb = True
            self.console_logger.info("TensorBoard: %s", tensorboard_dir)

        def log_stat(self, key: str, value: Any, t: int, to_sacred: bool = True) -> None:
            super().log_stat(key, value, t, to_sacred)
            if recorder is not None:
                recorder.metric(key, value, t)
            if key.endswith(WATCHED) and not math.isfinite(float(value)):
                raise ValueError(NOT_FINITE.format(name=key, value=float(value), t_env=t))

    return RecordingLogger


@contextmanager
def replaced(module: Any, **attributes: Any) -> Iterator[None]:
    """`module`'s attributes exchanged for the time of the block."""
    before = {name: getattr(module, name) for name in attributes}
    for name, value in attributes.items():
        setattr(module, name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(module, name, value)


def folder_for(recorder: Recorder | None, config: dict[str, Any]) -> Path:
    """The run's folder, or the results root where the run is unobserved."""
    return recorder.run_dir if recorder is not None else Path(config["local_results_path"]).absolute()


def entering(
    run_sequential: Callable[..., Any], prepare: Callable[[Any], None], host: str, folder: Path
) -> Callable[..., Any]:
    """The host's `run_sequential`, with `prepare(args)` called, and run and folder named, before it."""

    def run(args: Any, logger: Any) -> Any:
        prepare(args)
        task = args.env_args.get("key") or args.env_args.get("map_name") or args.env
        log = logging.getLogger(__name__)
        log.info("Run folder: %s", folder)
        log.info(
            "Beginning training: %s on %s, seed %d, host %s, %s steps",
            args.name, task, args.seed, host, f"{args.t_max:,}",
        )  # fmt: skip
        return run_sequential(args=args, logger=logger)

    return run
