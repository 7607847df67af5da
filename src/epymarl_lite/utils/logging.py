"""Statistics of a run: to the console, to sacred, TensorBoard, W&B, and a durable recorder."""

import hashlib
import json
import logging
from collections import defaultdict
from typing import Any, Mapping

import numpy as np

_WINDOW = 5  # values that the summary averages


class Logger:
    """EPyMARL's logger.

    Args:
        console_logger: where lines for people go.
        recorder: has `metric(name, value, t_env)`; None records nothing.
    """

    def __init__(self, console_logger: logging.Logger, recorder: Any = None):
        self.console_logger = console_logger
        self.recorder = recorder
        self.use_tb = False
        self.use_wandb = False
        self.use_sacred = False
        self.use_hdf = False
        self.stats: defaultdict[str, list[tuple[int, float]]] = defaultdict(list)
        self._not_for_sacred: set[str] = set()

    def setup_tb(self, directory_name: str) -> None:
        """Write TensorBoard events into a folder."""
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(directory_name)
        self.use_tb = True
        self.console_logger.info("TensorBoard events: %s", directory_name)

    def setup_wandb(
        self, config: Mapping[str, Any], team_name: str | None, project_name: str | None, mode: str
    ) -> None:
        """Log to W&B; the group's name ends in a hash over the configuration without its seed.

        Raises:
            ValueError: team or project is missing, the mode is unknown, or wandb is not installed.
        """
        if team_name is None or project_name is None:
            raise ValueError("use_wandb: wandb_team and wandb_project are needed. Set both.")
        if mode not in ("offline", "online"):
            raise ValueError(f"wandb_mode={mode!r} is not accepted. Use 'offline' or 'online'.")
        try:
            import wandb
        except ImportError as error:
            raise ValueError("use_wandb: the package wandb is not installed. pip install wandb.") from error
        text = json.dumps(
            {key: value for key, value in config.items() if key != "seed"}, sort_keys=True, default=str
        )
        self.config_hash = hashlib.sha256(text.encode()).hexdigest()[-10:]
        task = config["env_args"].get("map_name") or config["env_args"].get("key")
        names = [config["name"], config["env"] + (f"_{task}" if task else ""), self.config_hash]
        self.wandb = wandb.init(
            entity=team_name, project=project_name, config=dict(config), group="_".join(names), mode=mode
        )
        self.use_wandb = True
        self._wandb_t = -1
        self._wandb_values: dict[str, float] = {}
        self.console_logger.info("W&B run: %s", self.wandb.id)

    def setup_sacred(self, sacred_run_dict: Any) -> None:
        """Write every statistic into the `info` of a sacred run, as `<name>` and `<name>_T`."""
        self._run_obj = sacred_run_dict
        self.sacred_info = sacred_run_dict.info
        self.use_sacred = True

    def log_stat(self, key: str, value: Any, t: int, to_sacred: bool = True) -> None:
        """Log one number.

        Args:
            key: the statistic's name; `test_` begins those of test episodes.
            value: a number, or an array or tensor that holds one.
            t: environment step.
            to_sacred: whether sacred gets it.
        """
        number, t = float(value), int(t)
        self.stats[key].append((t, number))
        if self.recorder is not None:
            self.recorder.metric(key, number, t)
        if self.use_tb:
            self._writer.add_scalar(key, number, t)
        if self.use_wandb:
            self._log_to_wandb(key, number, t)
        if not to_sacred:
            self._not_for_sacred.add(key)
        elif self.use_sacred:
            self._log_to_sacred(key, number, t)

    def print_recent_stats(self) -> None:
        """One table on the console: the mean of each statistic's last values."""
        t, episode = self.stats["episode"][-1]
        lines = [f"Recent Stats | t_env: {t:>10} | Episode: {int(episode):>8}"]
        names = sorted(name for name in self.stats if name != "episode")
        for first in range(0, len(names), 4):
            cells = []
            for name in names[first : first + 4]:
                window = 1 if name == "epsilon" else _WINDOW
                mean = np.mean([value for _, value in self.stats[name][-window:]])
                cells.append(f"{name + ':':<25}{mean:>8.4f}")
            lines.append("\t".join(cells))
        self.console_logger.info("\n".join(lines))

    def finish(self) -> None:
        """Hand over what is still held back."""
        if self.use_wandb:
            if self._wandb_values:
                self.wandb.log(self._wandb_values, step=self._wandb_t)
            self.wandb.finish()
        if self.use_tb:
            self._writer.close()

    def resume_state(self) -> dict[str, Any]:
        """Every statistic so far."""
        return {
            "stats": {
                key: [[t for t, _ in rows], [value for _, value in rows]] for key, rows in self.stats.items()
            },
            "not_for_sacred": sorted(self._not_for_sacred),
        }

    def load_resume_state(self, state: Mapping[str, Any]) -> None:
        """Take up the statistics of an earlier process.

        Sacred's run, which is new, gets them from the recorder when that is rewound, or, without one, here.
        """
        self._not_for_sacred = set(state["not_for_sacred"])
        for key, (steps, values) in state["stats"].items():
            self.stats[key] = list(zip(steps, values))
            if self.use_sacred and self.recorder is None and key not in self._not_for_sacred:
                for t, value in self.stats[key]:
                    self._log_to_sacred(key, value, t)

    def _log_to_sacred(self, key: str, value: float, t: int) -> None:
        self.sacred_info.setdefault(f"{key}_T", []).append(t)
        self.sacred_info.setdefault(key, []).append(value)
        self._run_obj.log_scalar(key, value, t)

    def _log_to_wandb(self, key: str, value: float, t: int) -> None:
        if self._wandb_t != t and self._wandb_values:
            self.wandb.log(self._wandb_values, step=self._wandb_t)
            self._wandb_values = {}
        self._wandb_t = t
        self._wandb_values[key] = value


def get_logger() -> logging.Logger:
    """The root logger, printing to stderr as EPyMARL's does."""
    logger = logging.getLogger()
    logger.handlers = []
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("[%(levelname)s %(asctime)s] %(name)s %(message)s", "%H:%M:%S"))
    logger.addHandler(handler)
    logger.setLevel("DEBUG")
    return logger
