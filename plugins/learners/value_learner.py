"""The learner of every mixed value function: VDN, QMIX, Qatten, QPLEX, NA2Q, their (A)s, SHAQ and MVD.

Letters: B episodes, T transitions, N agents, A actions, R played transitions of the batch, packed.
"""

import copy
from pathlib import Path
from typing import Any, Mapping, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from plugins.config.keys import ValueLearnerKeys
from plugins.config.mixer_keys import read_proxy_history
from plugins.config.reading import read_keys
from plugins.learners.checks import all_finite, require_finite
from plugins.learners.draws import Draws
from plugins.learners.files import check_parameters, read_model, write_model
from plugins.learners.moments import RunningMoments
from plugins.learners.optimisers import AGENT, FILES, Optimisers
from plugins.learners.sides import (
    Rows,
    Sides,
    Unrolled,
    endless_extras,
    flat_steps,
    pack_side,
    played_rows,
    read_fields,
    unroll,
)
from plugins.learners.targets import greedy_actions, one_step_targets, squared_error, take, td_lambda_targets
from plugins.mixers import Sizes, build_mixer, mixer_spec
from plugins.vsp.histories import HISTORIES
from plugins.vsp.indices import decision_steps, read_status


class Update(NamedTuple):
    """One update's quantities."""

    loss: Tensor  # scalar; mean squared TD error over the R rows, plus the mixer's own losses
    own_losses: dict[str, Tensor]  # those, by name; scalars
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

    at_joint_events = False  # True: only steps at which somebody decides are learned from

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
        state_dim, obs_dim = (_size(scheme[name]["vshape"]) for name in ("state", "obs"))
        sizes = Sizes(args.n_agents, state_dim, obs_dim, config.get("n_actions"))
        self.mac, self.target_mac = mac, copy.deepcopy(mac)
        self.mixer = build_mixer(self.keys.mixer, sizes, config)
        self.target_mixer = self.mixer.make_target()
        has_proxies = mixer_spec(self.keys.mixer).vsp
        history = read_proxy_history(config, self.keys.mixer, has_proxies, self.where)
        self.proxy_history = None if history is None else HISTORIES[history]
        self.optimisers = Optimisers(mac.parameters(), self.mixer.parameters(), config, self.where)
        self.params = self.optimisers.params
        self.optimiser = self.optimisers.by_name[AGENT]
        self.draws = Draws(config["seed"])
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
        grad_norms = self._step(update.loss)
        self.training_steps += 1
        self._move_targets(episode_num)
        if t_env - self.log_stats_t >= self.keys.learner_log_interval:
            self._log(update, grad_norms, t_env)
            self.log_stats_t = t_env

    def compute(self, batch: Any) -> Update:
        """The loss of a batch and what it is made of; only running statistics and random draws move."""
        require_finite(
            self.where, "Look at the environment that returned it.",
            reward=batch["reward"], obs=batch["obs"], state=batch["state"],
        )  # fmt: skip
        live = unroll(self.mac, batch, self.mixer.needs)
        with torch.no_grad():
            other = unroll(self.target_mac, batch, self.target_mixer.needs)
        sides = self._gather(batch, live, other)
        q_tot = self.mixer(*sides.live)
        with torch.no_grad():
            target = self._targets(batch, sides)
        seen = sides.live.extras
        if self.mixer.losses_over_padding:
            seen = endless_extras(self.mac, batch, self.mixer, self.draws)
        own_losses = self.mixer.auxiliary_losses(seen)
        loss = sum(own_losses.values(), squared_error(q_tot, target))
        if not all_finite(loss):
            require_finite(
                self.where, "Training has diverged; lower lr or grad_norm_clip.",
                live_utilities=live.q_all, target_utilities=other.q_all,
                target=target, q_tot=q_tot, loss=loss,
            )  # fmt: skip
        return Update(loss, own_losses, q_tot, target, sides)

    def _gather(self, batch: Any, live: Unrolled, target: Unrolled) -> Sides:
        """What each mixer is handed."""
        where = self._rows(batch)
        rows, next_rows = flat_steps(where.mask, self.where), flat_steps(where.closing, self.where) + 1
        taken = batch["actions"]
        greedy = greedy_actions((live if self.keys.double_q else target).q_all, batch["avail_actions"])
        q_taken, q_next = take(live.q_all, taken), take(target.q_all, greedy)
        live_given = self.draws.fields(self.mixer, batch["filled"], q_taken)
        target_given = self.draws.fields(self.target_mixer, batch["filled"], q_taken)
        decision_t = None
        if self.proxy_history is not None:
            status = read_status(batch["avail_actions"], batch["filled"])
            decision_t = decision_steps(status.deciding)
            proxies = self.proxy_history(batch, status, decision_t)
            shared = {"deciding": status.deciding, "executing": status.executing}
            live_given |= shared | {"q_proxy": proxies(self.mac, q_taken)}
            with torch.no_grad():
                # of actions taken, on both sides; index 0 stays, as a proxy at step 1 can go back to it
                target_given |= shared | {"q_proxy": proxies(self.target_mac, take(target.q_all, taken))}
            self.mixer.observe_proxies(live_given["q_proxy"], target_given["q_proxy"], status.executing)
            self.target_mixer.share_buffers(self.mixer)
        fields = read_fields(self.mixer.needs, batch, live, taken, live_given, decision_t)
        next_fields = read_fields(self.target_mixer.needs, batch, target, greedy, target_given, decision_t)
        return Sides(
            pack_side(q_taken, batch["state"], fields, rows),
            pack_side(q_next, batch["state"], next_fields, next_rows),
            *where,
        )

    def _rows(self, batch: Any) -> Rows:
        """The steps that are learned from, and those that they are bootstrapped from."""
        mask, _ = played_rows(batch, self.where)
        return Rows(mask, mask, mask)

    def _targets(self, batch: Any, sides: Sides) -> Tensor:
        """What q_tot regresses to, [R, 1]."""
        q_next = self.target_mixer(*sides.target)
        if self.keys.standardise_returns:
            q_next = self.return_moments.restore(q_next)
        reward = self._reward(batch).to(q_next.dtype)
        terminated = batch["terminated"][:, :-1, :1].to(q_next.dtype)
        if self.keys.standardise_rewards:
            self.reward_moments.update(reward[sides.played])
            reward = self.reward_moments.standardise(reward)
        target = self._returns(reward, terminated, q_next, sides)
        if self.keys.standardise_returns:
            self.return_moments.update(target)
            target = self.return_moments.standardise(target)
        return target.unsqueeze(1)

    def _returns(self, reward: Tensor, terminated: Tensor, q_next: Tensor, sides: Sides) -> Tensor:
        """From reward and terminated [B, T, 1] and the target rows' values [R, 1], [R]."""
        mask, gamma, td_lambda = sides.mask, self.keys.gamma, self.keys.td_lambda
        if td_lambda is None:
            return one_step_targets(reward[mask], terminated[mask], q_next.squeeze(1), gamma)
        unpacked = torch.zeros_like(reward).masked_scatter(mask, q_next)
        return td_lambda_targets(reward, terminated, mask.to(reward.dtype), unpacked, gamma, td_lambda)[mask]

    def _reward(self, batch: Any) -> Tensor:
        """What each transition pays the team, [B, T, 1]."""
        return team_reward(batch["reward"][:, :-1], self.where)

    def _step(self, loss: Tensor) -> dict[str, float]:
        """One step of the optimisers; the gradients' norms before clipping."""
        return self.optimisers.step(loss)

    def _move_targets(self, episode_num: int) -> None:
        interval_or_tau = self.keys.target_update_interval_or_tau
        if interval_or_tau <= 1:
            _follow(self.target_mac.agent, self.mac.agent, interval_or_tau)
            _follow(self.target_mixer, self.mixer, interval_or_tau)
        elif episode_num - self.last_target_update_episode >= interval_or_tau:
            self._copy_to_targets()
            self.last_target_update_episode = episode_num

    def _copy_to_targets(self) -> None:
        self.target_mac.load_state(self.mac)
        _follow(self.target_mixer, self.mixer, 1.0)
        self.target_mixer.share_buffers(self.mixer)

    def _log(self, update: Update, grad_norms: dict[str, float], t_env: int) -> None:
        """Means over the played steps of the batch; team values, not divided by the number of agents."""
        values = {
            "loss": float(update.loss.detach()),
            **grad_norms,
            **{name: float(value.detach()) for name, value in update.own_losses.items()},
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
        """Write agent.th, mixer.th and opt.th into the folder `path`; mixer_opt.th if there is one."""
        self.mac.save_models(path)
        write_model(Path(path) / "mixer.th", self.mixer.state_dict())
        for name, state in self.optimisers.state_dicts().items():
            write_model(Path(path) / FILES[name], state)

    def load_models(self, path: str | Path) -> None:
        """Read what `save_models` wrote; the target networks become copies of it.

        Raises:
            ValueError: a file is missing, damaged or of another run; one line, and nothing has changed.
        """
        folder = Path(path)
        modules = {"agent": self.mac.agent, "mixer": self.mixer}
        states = {}
        for name, module in modules.items():
            states[name] = read_model(str(folder / f"{name}.th"), f"the {name}'s parameters")
            check_parameters(str(folder / f"{name}.th"), states[name], module)
        for name in self.optimisers.by_name:
            path_of_state = str(folder / FILES[name])
            states[name] = read_model(path_of_state, "the optimiser's state")
            self.optimisers.check(name, path_of_state, states[name])
        for name, module in modules.items():
            module.load_state_dict(states[name])
        self.optimisers.load(states)
        self._copy_to_targets()

    def resume_state(self) -> dict[str, Any]:
        """All that an update depends on: both sides' parameters, optimiser, counters, running statistics."""
        return copy.deepcopy({
            "agent": self.mac.agent.state_dict(),
            "target_agent": self.target_mac.agent.state_dict(),
            "mixer": self.mixer.state_dict(),
            "target_mixer": self.target_mixer.state_dict(),
            **self.optimisers.state_dicts(),
            "draws": self.draws.resume_state(),
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
        for name in self.optimisers.by_name:
            self.optimisers.check(name, f"{self.where}: resumed {name}", state[name])
        for name, module in modules.items():
            module.load_state_dict(state[name])
        self.optimisers.load(copy.deepcopy(dict(state)))
        if "draws" in state:  # runs begun before it was kept have mixers that draw nothing
            self.draws.load_resume_state(state["draws"])
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


def _follow(target: nn.Module, live: nn.Module, factor: float) -> None:
    """Move the target's parameters by `factor` towards those of the same name; it may have fewer."""
    towards = dict(live.named_parameters())
    with torch.no_grad():
        for name, parameter in target.named_parameters():
            parameter.lerp_(towards[name], factor)


def _size(vshape: int | tuple[int, ...]) -> int:
    return int(np.prod(vshape))
