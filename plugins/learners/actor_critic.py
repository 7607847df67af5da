"""What the actor-critic learners share: fresh episodes only, two optimisers, files, resuming.

Letters: B episodes, T transitions, N agents, A actions.
"""

import copy
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Mapping, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from plugins.agents.squeeze import Squeeze
from plugins.config.keys import ActorCriticKeys
from plugins.config.reading import read_keys
from plugins.config.on_policy import check_fresh_episodes
from plugins.learners.checks import require_finite
from plugins.learners.files import check_optimiser, check_parameters, read_model, write_model
from plugins.learners.moments import RunningMoments
from plugins.learners.optimisers import build_optimiser
from plugins.learners.sides import NOBODY
from plugins.learners.timeline import Timeline, read_timeline
from plugins.learners.value_learner import team_reward
from plugins.vsp.indices import Status, read_status

__all__ = ["ActorCriticLearner", "Played", "policy_terms"]

DIVERGED = "Training has diverged; lower lr, critic_lr or grad_norm_clip."
FILES = {"agent": "agent.th", "critic": "critic.th"}  # EPyMARL's names
OPTIMISER_FILES = {"agent": "agent_opt.th", "critic": "critic_opt.th"}


class Played(NamedTuple):
    """A batch and what its agents did in it."""

    batch: Any
    status: Status  # [B, T+1, N] bool each
    timeline: Timeline
    squeeze: Squeeze  # of the steps where agents look
    inputs: Tensor  # [B, K, N, I], of their networks, squeezed


class ActorCriticLearner(ABC):
    """Learns from each episode in one update only.

    The hosts' loops call `train` after every rollout, or several times, with what their replay buffer gives;
    as `batch_size` equals `buffer_size`, that is always the newest `batch_size` episodes. A call that comes
    before all of them are new since the last update changes nothing: the learner waits.

    Attributes:
        mac: the controller; its `agent` is the actor.
        critic: the live critic.
        optimisers: "agent" and "critic".
        training_steps: updates so far.
    """

    KEYS: type[ActorCriticKeys] = ActorCriticKeys
    keys: ActorCriticKeys

    def __init__(self, mac: Any, scheme: Mapping[str, Any], logger: Any, args: Any) -> None:
        """
        Args:
            mac: controller with `unroll_at` (plugins.controllers.policy_mac).
            scheme: of the replay buffer; the sizes come from it.
            logger: has `log_stat(name, value, t_env)`.
            args: the configuration as attributes, with `n_agents` and `n_actions`.

        Raises:
            ValueError: a key is not accepted, or the controller has no policies; one line.
        """
        config = vars(args)
        self.where = str(config["learner"])
        if not hasattr(mac, "unroll_at"):
            raise ValueError(
                f"{self.where}: mac={config['mac']!r} has no policies, expected 'policy_mac'. "
                "Set mac=policy_mac."
            )
        self.keys = read_keys(self.KEYS, config, self.where)
        check_fresh_episodes(config, self.where)
        self.mac, self.logger = mac, logger
        self.n_agents, self.n_actions = int(args.n_agents), int(args.n_actions)
        self.obs_dim = int(np.prod(scheme["obs"]["vshape"]))
        self.critic = self._build_critic(args)
        self.optimisers: dict[str, Optimizer] = {
            name: build_optimiser(self.keys.optimiser, list(module.parameters()), rate, config, self.where)
            for name, module, rate in (
                ("agent", mac.agent, self.keys.lr), ("critic", self.critic, self.keys.critic_lr)
            )
        }  # fmt: skip
        self.params = [*mac.parameters(), *self.critic.parameters()]
        self.return_moments = RunningMoments()
        self.training_steps = 0
        self.last_episode: int | None = None  # `episode_num` of the last update
        self.log_stats_t = -self.keys.learner_log_interval - 1

    def train(self, batch: Any, t_env: int, episode_num: int) -> None:
        """One update from whole episodes, if all of them are new since the last one.

        Args:
            batch: obs, avail_actions, actions, reward, terminated, filled, each [B, T+1, ...].
            t_env: environment steps so far, for the log.
            episode_num: episodes played before this batch's last rollout.

        Raises:
            NonFiniteError: a NaN or an infinity in reward, obs, loss or gradient.
            ValueError: reward columns differ, or nobody decided.
        """
        if self.last_episode is not None and episode_num - self.last_episode < self.keys.batch_size:
            return
        statistics = self.update(self.read(batch), episode_num)
        self.last_episode = episode_num
        self.training_steps += 1
        if t_env - self.log_stats_t >= self.keys.learner_log_interval:
            for name, value in statistics.items():
                self.logger.log_stat(name, value, t_env)
            self.log_stats_t = t_env

    def read(self, batch: Any) -> Played:
        """What the agents did.

        Raises:
            NonFiniteError: a NaN or an infinity in reward or obs.
            ValueError: reward columns differ, or nobody decided; one line.
        """
        require_finite(
            self.where, "Look at the environment that returned it.", reward=batch["reward"], obs=batch["obs"]
        )
        status = read_status(batch["avail_actions"], batch["filled"])
        dtype = self.mac.hidden_states.dtype
        timeline = read_timeline(
            status, batch["filled"], batch["terminated"][:, :-1],
            team_reward(batch["reward"][:, :-1], self.where).to(dtype), self.keys.gamma,
            padded=self.keys.padded, drop_open=self.keys.open_actions == "drop",
        )  # fmt: skip
        if not bool(timeline.learns.any()):
            raise ValueError(NOBODY.format(where=self.where, shape=tuple(batch["filled"].shape)))
        squeeze = Squeeze(timeline.looks)
        deciding = torch.ones_like(status.deciding) if self.keys.padded else status.deciding
        return Played(batch, status, timeline, squeeze, self.mac.unroll_inputs(batch, deciding, squeeze))

    @abstractmethod
    def update(self, played: Played, episode_num: int) -> dict[str, float]:
        """Move the networks; gives what is logged."""

    @abstractmethod
    def _build_critic(self, args: Any) -> nn.Module:
        """The critic, with new weights."""

    def _descend(self, name: str, loss: Tensor) -> float:
        """One step of an optimiser; the gradient's norm before clipping.

        Raises:
            NonFiniteError: the loss or a gradient is not finite; this optimiser has not moved anything.
        """
        require_finite(self.where, DIVERGED, **{f"{name}_loss": loss})
        optimiser, params = self.optimisers[name], list(self._modules()[name].parameters())
        optimiser.zero_grad()
        loss.backward()
        most = self.keys.grad_norm_clip
        norm = nn.utils.clip_grad_norm_(params, float("inf") if most is None else most)
        require_finite(self.where, DIVERGED, **{f"{name}_gradient_norm": norm})
        optimiser.step()
        return float(norm)

    def _modules(self) -> dict[str, nn.Module]:
        """Networks by name; those of FILES are saved as models, all of them are resumed."""
        return {"agent": self.mac.agent, "critic": self.critic}

    def _after_load(self) -> None:
        """Models were read: let target networks follow."""

    # devices, files

    def cuda(self) -> None:
        """Move everything to the current CUDA device."""
        self.mac.cuda()
        for module in self._modules().values():
            module.cuda()

    def save_models(self, path: str | Path) -> None:
        """Write agent.th, critic.th, agent_opt.th and critic_opt.th into the folder `path`."""
        for name, file in FILES.items():
            write_model(Path(path) / file, self._modules()[name].state_dict())
        for name, file in OPTIMISER_FILES.items():
            write_model(Path(path) / file, self.optimisers[name].state_dict())

    def load_models(self, path: str | Path) -> None:
        """Read what `save_models` wrote.

        Raises:
            ValueError: a file is missing, damaged or of another run; one line, and nothing has changed.
        """
        folder, states, memories = Path(path), {}, {}
        for name, file in FILES.items():
            states[name] = read_model(str(folder / file), f"the {name}'s parameters")
            check_parameters(str(folder / file), states[name], self._modules()[name])
        for name, file in OPTIMISER_FILES.items():
            memories[name] = read_model(str(folder / file), "the optimiser's state")
            check_optimiser(str(folder / file), memories[name], self.optimisers[name])
        for name, state in states.items():
            self._modules()[name].load_state_dict(state)
        for name, memory in memories.items():
            self.optimisers[name].load_state_dict(memory)
        self._after_load()

    def resume_state(self) -> dict[str, Any]:
        """All that an update depends on: parameters, optimisers, counters, running statistics."""
        return copy.deepcopy({
            **{name: module.state_dict() for name, module in self._modules().items()},
            **{f"{name}_optimiser": each.state_dict() for name, each in self.optimisers.items()},
            "training_steps": self.training_steps,
            "last_episode": self.last_episode,
            "log_stats_t": self.log_stats_t,
            "return_moments": self.return_moments.resume_state(),
        })

    def load_resume_state(self, state: Mapping[str, Any]) -> None:
        """Go on from `resume_state`.

        Raises:
            ValueError: the state is of another algorithm, task or size; one line, and nothing has changed.
        """
        for name, module in self._modules().items():
            check_parameters(f"{self.where}: resumed {name}", state[name], module)
        for name, optimiser in self.optimisers.items():
            check_optimiser(f"{self.where}: resumed {name}", state[f"{name}_optimiser"], optimiser)
        for name, module in self._modules().items():
            module.load_state_dict(state[name])
        for name, optimiser in self.optimisers.items():
            optimiser.load_state_dict(copy.deepcopy(state[f"{name}_optimiser"]))
        self.training_steps = state["training_steps"]
        self.last_episode = state["last_episode"]
        self.log_stats_t = state["log_stats_t"]
        self.return_moments.load_resume_state(state["return_moments"])


def policy_terms(log_pi: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
    """Of policies [P, A] (-inf at unavailable actions): log pi of `actions` [P] int64, and entropies, [P] each."""
    possible = log_pi.isfinite()
    summands = log_pi.exp() * log_pi.masked_fill(~possible, 0.0)
    return log_pi.gather(1, actions.unsqueeze(1)).squeeze(1), -summands.sum(1)
