"""MAC-IAICC: independent actors, each with a centralised critic of its own; n actors, n critics, no sharing.

    G_k = sum_{j=k}^{e-1} gamma^{t_j - t_k} R_j + gamma^{t_e - t_k} V'_i(t_e),   e = min(k + n, end)
    L_V = sum_i mean_k (G_k - V_i(k))^2
    L   = -sum_i mean_k w_k log pi_epsilon(a_k) (G_k - V_i(k)),   V_i after the critic's step, no gradient

Every critic sees the joint history: its GRU is stepped at joint events (a step where at least one agent
decides) on the latest macro-observation of every agent, and its value is read where its own agent decides.
V' is the target critic; w = 1, or gamma^(index of the action's last step) with `discount_by_end`.

Source: Xiao, Tan, Amato, arXiv:2209.10113; yuchen-x/MacroMARL f5899cd. Ours differs as `open_actions`,
`mask_unavailable` and `discount_by_end` say, whose other values are the reference's.

Letters: B episodes, T transitions, N agents, A actions, O obs features, K joint events.
"""

import copy
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from plugins.agents.macro import IndividualCritics
from plugins.agents.squeeze import Squeeze
from plugins.config.keys import MacIaiccKeys
from plugins.controllers.policy_mac import last_decided, one_hot
from plugins.learners.actor_critic import ActorCriticLearner, Played, policy_terms
from plugins.learners.timeline import n_step_returns
from plugins.vsp.indices import decision_steps, gather_steps

__all__ = ["JointEvents", "MacIaiccLearner"]


class JointEvents(NamedTuple):
    """The steps at which the critics are stepped, and what they see there."""

    squeeze: Squeeze  # of [B, T+1, 1]
    inputs: Tensor  # [B, K, J]


class MacIaiccLearner(ActorCriticLearner):
    """One step down the critics' loss, then one down the actors'."""

    KEYS = MacIaiccKeys
    keys: MacIaiccKeys

    def __init__(self, mac: Any, scheme: Any, logger: Any, args: Any) -> None:
        super().__init__(mac, scheme, logger, args)
        self.target_critic = copy.deepcopy(self.critic)
        self.last_target_update_episode = 0

    def _build_critic(self, args: Any) -> nn.Module:
        joint_dim = self.n_agents * (self.obs_dim + self.n_actions * self.keys.obs_last_action)
        return IndividualCritics(
            joint_dim, self.keys.critic_width, self.keys.critic_hidden_dim, self.n_agents
        )

    def update(self, played: Played, episode_num: int) -> dict[str, float]:
        """Critics, then actors, then the target critics if it is their turn."""
        events = self.joint_events(played)
        with torch.no_grad():
            target = self.values(self.target_critic, events)
        returns = n_step_returns(played.timeline, target, self.keys.gamma, self.keys.q_nstep)
        critic_loss = self.critic_loss(played, events, returns)
        critic_norm = self._descend("critic", critic_loss)
        with torch.no_grad():
            advantage = returns - self.values(self.critic, events)[:, :-1]
        actor_loss, entropy = self.actor_loss(played, advantage)
        actor_norm = self._descend("agent", actor_loss)
        self._move_target(episode_num)
        learns = played.timeline.learns
        return {
            "actor_loss": float(actor_loss.detach()),
            "critic_loss": float(critic_loss.detach()),
            "actor_grad_norm": actor_norm,
            "critic_grad_norm": critic_norm,
            "decisions": float(learns.sum()),
            "entropy": float(entropy),
            "return_target_mean": float(returns[learns].mean()),
            "advantage_mean": float(advantage[learns].mean()),
        }

    def joint_events(self, played: Played) -> JointEvents:
        """What the critics see, and when.

        `held`: of each agent, what it saw when it last looked; `fresh`: what it sees now.
        """
        batch, timeline = played.batch, played.timeline
        dtype = self.mac.hidden_states.dtype
        seen = batch["obs"].to(dtype)
        if self.keys.observations == "held":
            seen = gather_steps(seen, decision_steps(timeline.looks))
        if self.keys.obs_last_action:
            deciding = torch.ones_like(played.status.deciding) if self.keys.padded else played.status.deciding
            last = last_decided(batch["actions"][..., 0], deciding)
            seen = torch.cat([seen, one_hot(last, self.n_actions, dtype)], 3)
        squeeze = Squeeze(timeline.looks.any(2, keepdim=True))
        return JointEvents(squeeze, squeeze.take(seen.flatten(2).unsqueeze(2)).squeeze(2))

    @staticmethod
    def values(critic: nn.Module, events: JointEvents) -> Tensor:
        """[B, T+1, N]; 0 where there is no joint event."""
        return events.squeeze.put(critic(events.inputs).unsqueeze(2)).squeeze(2)

    def critic_loss(self, played: Played, events: JointEvents, returns: Tensor) -> Tensor:
        """Sum over agents of the mean over own decisions of (G - V_i)^2."""
        error = (returns - self.values(self.critic, events)[:, :-1]).square()
        return sum_of_means(error, played.timeline.learns)

    def actor_loss(self, played: Played, advantage: Tensor) -> tuple[Tensor, Tensor]:
        """The loss, and the mean entropy over decisions, without gradient.

        Args:
            played: of the batch.
            advantage: [B, T, N], without gradient.
        """
        timeline, batch = played.timeline, played.batch
        learns = timeline.learns
        logits = self.mac.unroll_at(played.inputs, played.squeeze)[:, :-1][learns]
        avail = batch["avail_actions"][:, :-1][learns]
        log_pi = self.mac.action_selector.log_policy(logits, avail)
        taken, entropy = policy_terms(log_pi, batch["actions"][:, :-1, :, 0][learns])
        weight = torch.ones_like(advantage)
        if self.keys.discount_by_end:
            steps = torch.arange(advantage.shape[1], device=advantage.device).view(1, -1, 1)
            weight = torch.pow(self.keys.gamma, (steps + timeline.duration - 1).clamp(min=0).to(weight.dtype))
        gain = weight[learns] * (taken * advantage[learns] + self.keys.entropy_coef * entropy)
        summands = torch.zeros_like(advantage).masked_scatter(learns, -gain)
        return sum_of_means(summands, learns), entropy.detach().mean()

    def _move_target(self, episode_num: int) -> None:
        interval_or_tau = self.keys.target_update_interval_or_tau
        if interval_or_tau <= 1:
            factor = interval_or_tau
        elif episode_num - self.last_target_update_episode >= interval_or_tau:
            factor, self.last_target_update_episode = 1.0, episode_num
        else:
            return
        with torch.no_grad():
            for target, live in zip(self.target_critic.parameters(), self.critic.parameters()):
                target.lerp_(live, factor)

    def _modules(self) -> dict[str, nn.Module]:
        return {**super()._modules(), "target_critic": self.target_critic}

    def _after_load(self) -> None:
        self.target_critic.load_state_dict(self.critic.state_dict())

    def resume_state(self) -> dict[str, Any]:
        """As ActorCriticLearner's, and when the target critics were last copied."""
        return {**super().resume_state(), "last_target_update_episode": self.last_target_update_episode}

    def load_resume_state(self, state: Any) -> None:
        """Go on from `resume_state`."""
        super().load_resume_state(state)
        self.last_target_update_episode = state["last_target_update_episode"]


def sum_of_means(values: Tensor, mask: Tensor) -> Tensor:
    """Sum over agents of the mean of values [B, T, N] where mask is True; an agent without any adds 0."""
    per_agent = (values * mask).sum((0, 1)) / mask.sum((0, 1)).clamp(min=1)
    return per_agent.sum()
