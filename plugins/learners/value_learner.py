"""The learner of every mixed value function: VDN, QMIX, Qatten, their (A) variants and MVD.

Letters: B episodes, T transitions, N agents, A actions, R played transitions of the batch, packed.
"""

import copy
from pathlib import Path
from typing import Any, Mapping, NamedTuple

import numpy as np
import torch
from torch import Tensor

from plugins.config.keys import ValueLearnerKeys, read_keys, read_proxy_history
from plugins.learners.checks import all_finite, require_finite
from plugins.learners.files import check_optimiser, check_parameters, read_model, write_model
from plugins.learners.moments import RunningMoments
from plugins.learners.targets import (
    greedy_actions,
    one_step_targets,
    squared_error,
    step_mask,
    take,
    td_lambda_targets,
)
from plugins.mixers import Sizes, build_mixer, mixer_spec
from plugins.mixers.base import Extras
from plugins.vsp.histories import HISTORIES
from plugins.vsp.indices import decision_steps, gather_steps, read_status


class Side(NamedTuple):
    """What one of the two mixers is handed: R rows of step t (live) or of step t + 1 (target)."""

    q: Tensor  # [R, N]
    state: Tensor  # [R, S]
    extras: Extras


class Sides(NamedTuple):
    """Both mixers' inputs, and where the rows lie in the batch."""

    live: Side
    target: Side
    mask: Tensor  # [B, T, 1] bool; its True entries are the R rows, in order


class Update(NamedTuple):
    """One update's quantities."""

    loss: Tensor  # scalar; mean squared TD error over the R rows
    q_tot: Tensor  # [R, 1]
    target: Tensor  # [R, 1], without gradient
    sides: Sides


class ValueLearner:
    """Unroll, gather, mix, target, step, log; steps past an episode's end are never mixed.

    Proxies are read with the parameters of today, for the live and the target network; the constant C of
    MVD is updated before mixing and shared by both mixers. The target networks are copied every
    `target_update_interval_or_tau` *episodes* (PyMARL's count; EPyMARL counts calls), or moved softly by
    that factor at every update if it is at most 1.

    Source: Algorithm 1 of arXiv:2408.03692v2, with gamma (1 - terminated), which it omits; double-Q as
    EPyMARL's.
    """

    def __init__(self, mac: Any, scheme: Mapping[str, Any], logger: Any, args: Any) -> None:
        """
        Args:
            mac: controller with `unroll`, `agent`, `parameters`, `load_state`
                (plugins.controllers.async_mac).
            scheme: of the replay buffer; the sizes come from it.
            logger: has `log_stat(name, value, t_env)`.
            args: the configuration as attributes, with `n_agents`.

        Raises:
            ValueError: a key or a size is not accepted, or the controller cannot unroll; one line.
        """
        config = vars(args)
        self.where = str(config["learner"])
        if not hasattr(mac, "unroll"):
            raise ValueError(
                f"{self.where}: mac={config['mac']!r} cannot unroll whole episodes, expected "
                "'async_mac'. Set mac=async_mac."
            )
        self.keys = read_keys(ValueLearnerKeys, config, self.where)
        sizes = Sizes(args.n_agents, _size(scheme["state"]["vshape"]), _size(scheme["obs"]["vshape"]))
        self.mac, self.target_mac = mac, copy.deepcopy(mac)
        self.mixer = build_mixer(self.keys.mixer, sizes, config)
        self.target_mixer = copy.deepcopy(self.mixer)
        has_proxies = mixer_spec(self.keys.mixer).vsp
        history = read_proxy_history(config, self.keys.mixer, has_proxies, self.where)
        self.proxy_history = None if history is None else HISTORIES[history]
        self.params = [*mac.parameters(), *self.mixer.parameters()]
        self.optimiser = torch.optim.Adam(self.params, lr=self.keys.lr)
        self.logger = logger
        self.reward_moments = RunningMoments()
        self.return_moments = RunningMoments()
        self.training_steps = 0
        self.last_target_update_episode = 0
        self.log_stats_t = -self.keys.learner_log_interval - 1

    def train(self, batch: Any, t_env: int, episode_num: int) -> None:
        """One update from whole episodes.

        Args:
            batch: obs, state, avail_actions, actions, reward, terminated, filled, each [B, T+1, ...].
            t_env: environment steps so far, for the log.
            episode_num: episodes so far, for the target networks.

        Raises:
            NonFiniteError: a NaN or an infinity in reward, obs, state, loss or gradient; nothing has moved.
            ValueError: reward columns differ, or no step was played.
        """
        update = self.compute(batch)
        grad_norm = self._step(update.loss)
        self.training_steps += 1
        self._move_targets(episode_num)
        if t_env - self.log_stats_t >= self.keys.learner_log_interval:
            self._log(update, grad_norm, t_env)
            self.log_stats_t = t_env

    def compute(self, batch: Any) -> Update:
        """The loss of a batch and what it is made of; only running statistics move."""
        require_finite(
            self.where, "Look at the environment that returned it.",
            reward=batch["reward"], obs=batch["obs"], state=batch["state"],
        )  # fmt: skip
        q_all = self.mac.unroll(batch)
        with torch.no_grad():
            target_q_all = self.target_mac.unroll(batch)
        sides = self._gather(batch, q_all, target_q_all)
        q_tot = self.mixer(*sides.live)
        with torch.no_grad():
            target = self._targets(batch, sides)
        loss = squared_error(q_tot, target)
        if not all_finite(loss):
            require_finite(
                self.where, "Training has diverged; lower lr or grad_norm_clip.",
                live_utilities=q_all, target_utilities=target_q_all, target=target, q_tot=q_tot, loss=loss,
            )  # fmt: skip
        return Update(loss, q_tot, target, sides)

    def _gather(self, batch: Any, q_all: Tensor, target_q_all: Tensor) -> Sides:
        """What each mixer is handed, from the utilities [B, T+1, N, A] of both networks."""
        avail, state, obs = batch["avail_actions"], batch["state"], batch["obs"]
        mask = step_mask(batch["filled"], batch["terminated"][:, :-1])
        rows = torch.cat([mask, torch.zeros_like(mask[:, :1])], dim=1).flatten().nonzero().squeeze(1)
        if len(rows) == 0:
            raise ValueError(
                f"{self.where}: no step of this batch was played, expected at least one. Check `filled`."
            )

        q_taken = take(q_all, batch["actions"])
        chooser = q_all if self.keys.double_q else target_q_all
        q_next = take(target_q_all, greedy_actions(chooser, avail))

        needs = self.mixer.needs
        live: dict[str, Tensor] = {"obs": obs} if "obs" in needs else {}
        target = dict(live)
        if self.proxy_history is not None:
            status = read_status(avail, batch["filled"])
            decision_t = decision_steps(status.deciding)
            # index 0 stays: a proxy at step 1 can go back to it. Utilities of actions taken, on both sides
            target_taken = take(target_q_all, batch["actions"])
            shared = {"deciding": status.deciding, "executing": status.executing}
            if "obs_decision" in needs:
                shared["obs_decision"] = gather_steps(obs, decision_t)
            proxies = self.proxy_history(batch, status, decision_t)
            live |= shared | {"q_proxy": proxies(self.mac, q_taken)}
            with torch.no_grad():
                target |= shared | {"q_proxy": proxies(self.target_mac, target_taken)}
            self.mixer.observe_proxies(live["q_proxy"], target["q_proxy"], status.executing)
            self.target_mixer.share_buffers(self.mixer)
        return Sides(
            _pack_side(q_taken, state, live, needs, rows),
            _pack_side(q_next, state, target, needs, rows + 1),
            mask,
        )

    def _targets(self, batch: Any, sides: Sides) -> Tensor:
        """What q_tot regresses to, [R, 1]."""
        mask = sides.mask
        q_next = self.target_mixer(*sides.target)
        if self.keys.standardise_returns:
            q_next = self.return_moments.restore(q_next)
        reward = team_reward(batch["reward"][:, :-1], self.where).to(q_next.dtype)
        terminated = batch["terminated"][:, :-1, :1].to(q_next.dtype)
        if self.keys.standardise_rewards:
            self.reward_moments.update(reward[mask])
            reward = self.reward_moments.standardise(reward)
        gamma, td_lambda = self.keys.gamma, self.keys.td_lambda
        if td_lambda is None:
            target = one_step_targets(reward[mask], terminated[mask], q_next.squeeze(1), gamma)
        else:
            unpacked = torch.zeros_like(reward).masked_scatter(mask, q_next)
            played = mask.to(reward.dtype)
            target = td_lambda_targets(reward, terminated, played, unpacked, gamma, td_lambda)[mask]
        if self.keys.standardise_returns:
            self.return_moments.update(target)
            target = self.return_moments.standardise(target)
        return target.unsqueeze(1)

    def _step(self, loss: Tensor) -> float:
        """One step of the optimiser; the gradient's norm before clipping, over agent and mixer together."""
        self.optimiser.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.params, self.keys.grad_norm_clip)
        require_finite(self.where, "Training has diverged; lower lr.", gradient_norm=norm)
        self.optimiser.step()
        return float(norm)

    def _move_targets(self, episode_num: int) -> None:
        interval_or_tau = self.keys.target_update_interval_or_tau
        if interval_or_tau <= 1:
            with torch.no_grad():
                targets = [*self.target_mac.parameters(), *self.target_mixer.parameters()]
                for target, live in zip(targets, self.params, strict=True):
                    target.lerp_(live, interval_or_tau)
        elif episode_num - self.last_target_update_episode >= interval_or_tau:
            self._copy_to_targets()
            self.last_target_update_episode = episode_num

    def _copy_to_targets(self) -> None:
        self.target_mac.load_state(self.mac)
        self.target_mixer.load_state_dict(self.mixer.state_dict())

    def _log(self, update: Update, grad_norm: float, t_env: int) -> None:
        """Means over the played steps of the batch; team values, not divided by the number of agents."""
        values = {
            "loss": float(update.loss.detach()),
            "grad_norm": grad_norm,
            "td_error_abs": float((update.q_tot.detach() - update.target).abs().mean()),
            "q_taken_mean": float(update.q_tot.detach().mean()),
            "target_mean": float(update.target.mean()),
            **self.mixer.statistics(*update.sides.live),
        }
        for name, value in values.items():
            self.logger.log_stat(name, value, t_env)

    # devices, files

    def cuda(self) -> None:
        """Move everything to the current CUDA device."""
        self.mac.cuda()
        self.target_mac.cuda()
        self.mixer.cuda()
        self.target_mixer.cuda()

    def save_models(self, path: str | Path) -> None:
        """Write agent.th, mixer.th and opt.th into the folder `path`."""
        self.mac.save_models(path)
        write_model(Path(path) / "mixer.th", self.mixer.state_dict())
        write_model(Path(path) / "opt.th", self.optimiser.state_dict())

    def load_models(self, path: str | Path) -> None:
        """Read what `save_models` wrote; the target networks become copies of it.

        Raises:
            ValueError: a file is missing, damaged or of another run; one line, and nothing has changed.
        """
        folder = Path(path)
        files = [str(folder / name) for name in ("agent.th", "mixer.th", "opt.th")]
        agent = read_model(files[0], "the agent's parameters")
        check_parameters(files[0], agent, self.mac.agent)
        mixer = read_model(files[1], "the mixer's parameters")
        check_parameters(files[1], mixer, self.mixer)
        optimiser = read_model(files[2], "the optimiser's state")
        check_optimiser(files[2], optimiser, self.optimiser)
        self.mac.agent.load_state_dict(agent)
        self.mixer.load_state_dict(mixer)
        self.optimiser.load_state_dict(optimiser)
        self._copy_to_targets()

    def resume_state(self) -> dict[str, Any]:
        """All that an update depends on: both sides' parameters, optimiser, counters, running statistics."""
        return copy.deepcopy({
            "agent": self.mac.agent.state_dict(),
            "target_agent": self.target_mac.agent.state_dict(),
            "mixer": self.mixer.state_dict(),
            "target_mixer": self.target_mixer.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "training_steps": self.training_steps,
            "last_target_update_episode": self.last_target_update_episode,
            "log_stats_t": self.log_stats_t,
            "reward_moments": self.reward_moments.resume_state(),
            "return_moments": self.return_moments.resume_state(),
        })

    def load_resume_state(self, state: Mapping[str, Any]) -> None:
        """Go on from `resume_state`.

        Raises:
            ValueError: the state is of another algorithm, task or size; one line.
        """
        modules = {
            "agent": self.mac.agent,
            "target_agent": self.target_mac.agent,
            "mixer": self.mixer,
            "target_mixer": self.target_mixer,
        }
        for name, module in modules.items():
            check_parameters(f"{self.where}: resumed {name}", state[name], module)
        check_optimiser(f"{self.where}: resumed optimiser", state["optimiser"], self.optimiser)
        for name, module in modules.items():
            module.load_state_dict(state[name])
        self.optimiser.load_state_dict(copy.deepcopy(state["optimiser"]))
        self.training_steps = state["training_steps"]
        self.last_target_update_episode = state["last_target_update_episode"]
        self.log_stats_t = state["log_stats_t"]
        self.reward_moments.load_resume_state(state["reward_moments"])
        self.return_moments.load_resume_state(state["return_moments"])


def team_reward(reward: Tensor, where: str) -> Tensor:
    """The team's reward [B, T, 1] from [B, T, 1], or from [B, T, N] with equal columns.

    Raises:
        ValueError: the columns differ, so there is no common reward.
    """
    if reward.shape[2] > 1 and bool((reward != reward[..., :1]).any()):
        raise ValueError(
            f"{where}: reward has {reward.shape[2]} columns that differ, expected one value for the team. "
            "Set common_reward=True."
        )
    return reward[..., :1]


def _pack(values: Tensor, rows: Tensor) -> Tensor:
    """values [B, T+1, ...] at flat step indices [R] -> [R, ...]."""
    return values.flatten(0, 1).index_select(0, rows)


def _pack_side(
    q: Tensor, state: Tensor, fields: Mapping[str, Tensor], needs: frozenset[str], rows: Tensor
) -> Side:
    extras = Extras(**{name: _pack(fields[name], rows) for name in needs})
    return Side(_pack(q, rows), _pack(state, rows), extras)


def _size(vshape: int | tuple[int, ...]) -> int:
    return int(np.prod(vshape))
