"""Plays toy episodes with EPyMARL's own runners; started by test_envs.py as a process of its own.

    python -m tests.plugins.play_upstream CHECKOUT

EPyMARL's packages have names such as `envs` and `utils`, which must not reach other tests.
"""

import functools
import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import torch

from plugins.envs import AsyncEnv
from tests.plugins.acting import Log, make_toy, settings


class FirstAvailable:
    """A controller that takes the lowest available action; EPyMARL's interface."""

    action_selector = SimpleNamespace(epsilon=0.0)

    def init_hidden(self, batch_size: int) -> None:
        """Nothing to forget."""

    def select_actions(
        self, ep_batch: Any, t_ep: int, t_env: int, bs: Any = slice(None), test_mode: bool = False
    ) -> torch.Tensor:
        """[len(bs), N] int64."""
        return ep_batch["avail_actions"][bs, t_ep].argmax(-1)


def play(runner_class: Any, batch_size: int, transform: Any) -> dict[str, Any]:
    """One rollout, as plain lists."""
    args = settings(env="toy", batch_size_run=batch_size, runner_log_interval=1)
    args.env_args = {"key": "async:toy-3", "seed": 7, "episode_limit": 6, "goal": None}
    log = Log()
    runner = runner_class(args, log)
    info = runner.get_env_info()
    scheme = {
        "state": {"vshape": info["state_shape"]},
        "obs": {"vshape": info["obs_shape"], "group": "agents"},
        "actions": {"vshape": (1,), "group": "agents", "dtype": torch.long},
        "avail_actions": {"vshape": (info["n_actions"],), "group": "agents", "dtype": torch.int},
        "reward": {"vshape": (1,)},
        "terminated": {"vshape": (1,), "dtype": torch.uint8},
    }
    preprocess = {"actions": ("actions_onehot", [transform(out_dim=info["n_actions"])])}
    runner.setup(scheme, {"agents": info["n_agents"]}, preprocess, FirstAvailable())
    batch = runner.run()
    runner.close_env()
    return {
        "filled": batch["filled"].sum(1).flatten().tolist(),
        "terminated": batch["terminated"].sum().item(),
        "logged": sorted(log.stats),
        "luck": batch["obs"][:, 0, :, 4].tolist(),
    }


def main(checkout: str) -> None:
    """Prints one JSON line."""
    stand_in = ModuleType("smaclite")  # imported by EPyMARL's envs whether needed or not
    sys.modules.update({"smaclite": stand_in, "smaclite.env": stand_in})
    sys.path.insert(0, str(Path(checkout) / "src"))
    from components.transforms import OneHot
    from envs import REGISTRY
    from runners import REGISTRY as runners

    REGISTRY["toy"] = functools.partial(AsyncEnv, make_toy)
    sys.stdout.write(
        json.dumps(
            {
                "episode": play(runners["episode"], 1, OneHot),
                "parallel": play(runners["parallel"], 3, OneHot),
            }
        )
    )


if __name__ == "__main__":
    main(sys.argv[1])
