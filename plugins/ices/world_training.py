"""Training the world model of ICES: its samples, its random numbers, its optimisers.

Letters: B episodes, T transitions, R transitions of a sample, N agents, S state features, Z latent features.
"""

from typing import Any, Mapping, NamedTuple

import torch
from torch import Tensor
from torch.optim import Adam

from async_envs.core.seeding import episode_seed
from plugins.config.keys import IcesKeys
from plugins.ices.world import VIEWS, WorldModel, hide
from plugins.learners.checks import require_finite
from plugins.learners.sides import played_rows

BASELINE_EPS = 1e-5  # of the baselines' Adam, LXXXXR/ICES 2fcc473
ELBO_BETAS = (0.95, 0.999)  # of the other networks' Adam, there
VARIANCE_FLOOR = 0.01  # of a feature's change, there; still features would be divided by 0


class Transitions(NamedTuple):
    """R steps of any episodes."""

    state: Tensor  # [R, S]
    actions: Tensor  # [R, N] int64
    delta: Tensor  # [R, S]; next state minus state


class ChangeMoments:
    """Mean and variance of every feature's change over all transitions seen, by Chan et al.'s formula.

    The reference forgets, by a factor of 0.99999 an episode; ours does not.
    """

    def __init__(self, state_dim: int) -> None:
        self.count = 0
        self.mean = torch.zeros(state_dim, dtype=torch.float64)
        self.squares = torch.zeros(state_dim, dtype=torch.float64)

    def update(self, delta: Tensor) -> None:
        """Take in [R, S]."""
        values = delta.detach().to(self.mean.device, torch.float64)
        n, mean = len(values), values.mean(0)
        total, apart = self.count + n, mean - self.mean
        self.squares = self.squares + (values - mean).square().sum(0) + apart.square() * (self.count * n / total)
        self.mean = self.mean + apart * (n / total)
        self.count = total

    def standardise(self, delta: Tensor) -> Tensor:
        """(delta - mean) / sqrt(variance), the variance at least VARIANCE_FLOOR."""
        deviation = (self.squares / max(self.count, 1)).clamp(min=VARIANCE_FLOOR).sqrt()
        return (delta - self.mean.to(delta)) / deviation.to(delta)

    def resume_state(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {"count": self.count, "mean": self.mean.clone(), "squares": self.squares.clone()}

    def load_resume_state(self, state: Mapping[str, Any]) -> None:
        """Go on from `resume_state`."""
        self.count, self.mean, self.squares = state["count"], state["mean"].clone(), state["squares"].clone()


class WorldTraining:
    """One step of a view at a time: baseline by mean squared error, then the ELBO of the rest.

    Transitions, hidden agents and noise come from one generator on the CPU, which a checkpoint carries, so
    that devices agree and nothing else is moved. Each view has its own two optimisers; the decoder, which the
    views share, is in both of the ELBO's.

    Attributes:
        model: the networks.
        optimisers: name -> Adam.
    """

    def __init__(self, model: WorldModel, keys: IcesKeys, state_dim: int, seed: int, where: str) -> None:
        self.model, self.keys, self.where = model, keys, where
        self.moments = ChangeMoments(state_dim)
        self._generator = torch.Generator().manual_seed(int(episode_seed(seed, "world", 0)))
        self.optimisers: dict[str, Adam] = {}
        for view in VIEWS:
            self.optimisers[f"baseline_{view}"] = Adam(
                model.trained_by(view, "baseline"), lr=keys.ices_baseline_lr, eps=BASELINE_EPS
            )
            self.optimisers[f"elbo_{view}"] = Adam(
                model.trained_by(view, "elbo"), lr=keys.ices_world_lr, betas=ELBO_BETAS
            )

    def step(self, view: str, batch: Any, t_env: int) -> dict[str, float]:
        """Train one view on transitions drawn from the batch.

        Args:
            view: of VIEWS.
            batch: state, actions, filled, terminated, each [B, T+1, ...].
            t_env: environment steps so far; the ELBO's rate falls with them.

        Returns:
            the losses, by their name in the log.

        Raises:
            NonFiniteError: a loss is NaN or infinite; what it would have moved has not.
            ValueError: no step was played.
        """
        sample = self.draw(batch)
        if self.keys.ices_normalise_change:
            self.moments.update(sample.delta)
            sample = sample._replace(delta=self.moments.standardise(sample.delta))
        actions = sample.actions
        if view == "local":
            actions = hide(actions, self._random_agents(actions))
        sample = sample._replace(actions=actions)
        error = self.baseline_loss(view, sample)
        self._descend(f"baseline_{view}", error, self.keys.ices_baseline_lr)
        # the prior is given the guess of the baseline that has just moved, as in the reference
        lack = self.elbo_loss(view, sample, self._noise(sample))
        self._descend(f"elbo_{view}", lack, self.rate(t_env))
        return {f"world_baseline_{view}": float(error.detach()), f"world_elbo_{view}": -float(lack.detach())}

    def rate(self, t_env: int) -> float:
        """The ELBO's learning rate: falls exponentially, to `ices_world_decay` of itself over t_max steps."""
        return self.keys.ices_world_lr * self.keys.ices_world_decay ** (t_env / self.keys.t_max)

    def draw(self, batch: Any) -> Transitions:
        """`ices_world_transitions` different played transitions of the batch, or all if there are fewer."""
        _, rows = played_rows(batch, self.where)
        wanted = self.keys.ices_world_transitions
        if wanted is not None and wanted < len(rows):
            rows = rows[torch.randperm(len(rows), generator=self._generator)[:wanted].to(rows.device)]
        state = batch["state"].flatten(0, 1)
        now = state.index_select(0, rows).to(self._dtype)
        later = state.index_select(0, rows + 1).to(self._dtype)
        return Transitions(now, batch["actions"].flatten(0, 1)[rows].squeeze(-1), later - now)

    def baseline_loss(self, view: str, sample: Transitions) -> Tensor:
        """Mean squared error of the first guess, over transitions and features."""
        return (self.model.baseline(view, sample.state, sample.actions) - sample.delta).square().mean()

    def elbo_loss(self, view: str, sample: Transitions, noise: Tensor) -> Tensor:
        """Minus the evidence lower bound, mean over transitions."""
        return -self.model.elbo(view, sample.state, sample.actions, sample.delta, noise).mean()

    def _random_agents(self, actions: Tensor) -> Tensor:
        agents = torch.randint(actions.shape[1], (len(actions),), generator=self._generator)
        return agents.to(actions.device)

    def _noise(self, sample: Transitions) -> Tensor:
        shape = (len(sample.state), self.model.latent_dim)
        return torch.randn(shape, generator=self._generator).to(sample.state)

    def _descend(self, name: str, loss: Tensor, lr: float) -> None:
        require_finite(
            self.where, "Training has diverged; lower ices_world_lr or ices_baseline_lr.", **{f"loss of {name}": loss}
        )  # fmt: skip
        optimiser = self.optimisers[name]
        optimiser.zero_grad()
        loss.backward()
        (group,) = optimiser.param_groups
        if name.startswith("elbo"):
            torch.nn.utils.clip_grad_value_(group["params"], self.keys.ices_world_clip)
        else:
            torch.nn.utils.clip_grad_norm_(group["params"], self.keys.ices_grad_norm_clip)
        group["lr"] = lr
        optimiser.step()

    @property
    def _dtype(self) -> torch.dtype:
        return next(self.model.parameters()).dtype

    def resume_state(self) -> dict[str, Any]:
        """What a step depends on besides networks and optimisers."""
        return {"moments": self.moments.resume_state(), "generator": self._generator.get_state()}

    def load_resume_state(self, state: Mapping[str, Any]) -> None:
        """Go on from `resume_state`."""
        self.moments.load_resume_state(state["moments"])
        self._generator.set_state(state["generator"])
