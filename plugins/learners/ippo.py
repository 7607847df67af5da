"""Independent PPO for actions that last: every agent learns from its own decisions only.

    delta_k = R_k + gamma^D_k V_{k+1} - V_k,      A_k = delta_k + gamma^D_k lambda A_{k+1}
    L = -mean min(rho_k A_k, clip(rho_k, 1 - c, 1 + c) A_k) - e H_k,      L_V = mean (A_k + V_k - V(k))^2

gamma counts steps, lambda counts decisions; means run over decisions, over which A is normalised. `padded`
learns from every step instead, forced ones included, whose ratio is 1, so that only the critic sees them.

Sources: de Witt et al., arXiv:2011.09533; sizes and rates of hijkzzz/pymarl2 8ccac7c.

Letters: B episodes, T transitions, N agents, A actions, P decisions, R values learned.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from plugins.agents.initialisation import orthogonal
from plugins.agents.rnn import RnnAgent
from plugins.agents.squeeze import unroll_rows
from plugins.config.keys import IppoKeys
from plugins.learners.actor_critic import ActorCriticLearner, Played, policy_terms
from plugins.learners.timeline import Timeline, gae

__all__ = ["IppoLearner", "Losses", "Targets"]

TINY = 1e-8  # added to the deviation that advantages are divided by


class Targets(NamedTuple):
    """What all epochs of an update share; the P decisions in the order of `learns`."""

    advantage: Tensor  # [P], normalised
    log_pi: Tensor  # [P], of the actions taken, before the first epoch
    values_at: Tensor  # [B, T, 1 or N] bool; where the critic learns
    value: Tensor  # [R], what it regresses to there, in its own units


class Losses(NamedTuple):
    """Of one epoch."""

    actor: Tensor  # scalar
    critic: Tensor  # scalar
    statistics: dict[str, Tensor]


class IppoLearner(ActorCriticLearner):
    """IPPO with memory through own decisions; actor and local critic are shared by all agents."""

    KEYS: type[IppoKeys] = IppoKeys
    keys: IppoKeys

    def _build_critic(self, args: Any) -> nn.Module:
        critic = RnnAgent(self._input_dim(), args.hidden_dim, 1, args.use_rnn, self.n_agents)
        if args.orthogonal_init:
            orthogonal(critic, critic.output_layers)
        return critic

    def _input_dim(self) -> int:
        """Features of what one agent's networks are handed."""
        one_hots = self.n_actions * self.keys.obs_last_action + self.n_agents * self.keys.obs_agent_id
        return self.obs_dim + one_hots

    def update(self, played: Played, episode_num: int) -> dict[str, float]:
        """`epochs` steps down both losses."""
        with torch.no_grad():
            targets = self.targets(played)
        for _ in range(self.keys.epochs):
            losses = self.losses(played, targets)
            actor_norm = self._descend("agent", losses.actor)
            critic_norm = self._descend("critic", losses.critic)
        return {
            "actor_loss": float(losses.actor.detach()),
            "critic_loss": float(losses.critic.detach()),
            "actor_grad_norm": actor_norm,
            "critic_grad_norm": critic_norm,
            "decisions": float(len(targets.advantage)),
            **{name: float(value) for name, value in losses.statistics.items()},
        }

    def targets(self, played: Played) -> Targets:
        """Advantages, returns and the policy that played; moves the running mean of returns."""
        timeline, learns = self.critic_timeline(played), played.timeline.learns
        values = self.values(played)
        if self.keys.standardise_returns:
            values = self.return_moments.restore(values) * timeline.looks
        advantages = gae(timeline, values, self.keys.gamma, self.keys.gae_lambda)
        returns = (advantages + values[:, :-1])[timeline.learns]
        if self.keys.standardise_returns:
            self.return_moments.update(returns)
            returns = self.return_moments.standardise(returns)
        own = advantages.expand_as(learns)[learns]
        normalised = (own - own.mean()) / (own.std(unbiased=False) + TINY)
        return Targets(normalised, policy_terms(*self.policies(played))[0], timeline.learns, returns)

    def critic_timeline(self, played: Played) -> Timeline:
        """Whose decisions the critic values: each agent's own."""
        return played.timeline

    def losses(self, played: Played, targets: Targets) -> Losses:
        """Both losses at today's parameters."""
        log_pi, entropy = policy_terms(*self.policies(played))
        ratio = (log_pi - targets.log_pi).exp()
        bounded = ratio.clamp(1.0 - self.keys.eps_clip, 1.0 + self.keys.eps_clip)
        gain = torch.minimum(ratio * targets.advantage, bounded * targets.advantage)
        values = self.values(played)[:, :-1][targets.values_at]
        with torch.no_grad():
            statistics = {
                "entropy": entropy.mean(),
                "clipped": (ratio != bounded).to(ratio.dtype).mean(),
                "value_target_mean": targets.value.mean(),
            }
        actor = -(gain + self.keys.entropy_coef * entropy).mean()
        return Losses(actor, (targets.value - values).square().mean(), statistics)

    def policies(self, played: Played) -> tuple[Tensor, Tensor]:
        """log pi [P, A] and the actions taken [P] int64."""
        learns = played.timeline.learns
        logits = self.mac.unroll_at(played.inputs, played.squeeze)[:, :-1][learns]
        avail = played.batch["avail_actions"][:, :-1][learns]
        actions = played.batch["actions"][:, :-1, :, 0][learns]
        return self.mac.action_selector.log_policy(logits, avail), actions

    def values(self, played: Played) -> Tensor:
        """V in the critic's units, [B, T+1, N]; 0 where nobody looks."""
        rows = unroll_rows(self.critic, played.inputs, played.squeeze.lengths)
        return played.squeeze.put(rows).squeeze(3)
