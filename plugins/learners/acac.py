"""PPO with an agent-centric critic, in the manner of ACAC: one value of all agents' latest histories.

    delta_k = R_k + gamma^D_k V_{k+1} - V_k,      A_k = delta_k + gamma^D_k lambda A_{k+1}

over *joint* events k (steps where at least one agent decides); an agent that decides at k learns from A_k by
IPPO's surrogate, whose policies are mixed with epsilon of the uniform one, as they were when playing.

Source: after Jung et al., ACAC (ICML 2025), LGAI-Research/acac 26b94d9. Ours: actors and encoders are shared
and told the agent's id and last action, returns are standardised in PopArt's place, advantages are normalised,
the live critic bootstraps, the last event keeps its value, nobody is told the time or has layer normalisation.

Letters: B episodes, T transitions, N agents, R joint events.
"""

from typing import Any

import torch
from torch import Tensor, nn

from plugins.agents.agent_centric import AgentCentricCritic
from plugins.config.keys import AcacKeys
from plugins.learners.actor_critic import Played
from plugins.learners.ippo import IppoLearner
from plugins.learners.timeline import Timeline, read_timeline
from plugins.learners.value_learner import team_reward
from plugins.vsp.indices import Status, decision_steps, gather_steps

__all__ = ["AcacLearner"]


class AcacLearner(IppoLearner):
    """IPPO's surrogate on joint advantages."""

    KEYS = AcacKeys
    keys: AcacKeys
    critic: AgentCentricCritic

    def _build_critic(self, args: Any) -> nn.Module:
        return AgentCentricCritic(self._input_dim(), self.keys.hidden_dim, self.keys.critic_heads, self.n_agents)

    def critic_timeline(self, played: Played) -> Timeline:
        """Of the team: it decides where any agent does; its actions are never dropped. [B, T, 1] each."""
        batch, status = played.batch, played.status
        somebody = status.deciding.any(2, keepdim=True)
        nobody = torch.zeros_like(somebody)
        reward = team_reward(batch["reward"][:, :-1], self.where).to(self.mac.hidden_states.dtype)
        return read_timeline(
            Status(somebody, nobody, nobody), batch["filled"], batch["terminated"][:, :-1], reward,
            self.keys.gamma, padded=self.keys.padded, drop_open=False,
        )  # fmt: skip

    def values(self, played: Played) -> Tensor:
        """V at joint events in the critic's units, [B, T+1, 1]; 0 elsewhere."""
        looks = played.timeline.looks
        encodings = self.critic.encode(played.inputs, played.squeeze)
        latest = gather_steps(encodings, decision_steps(looks))
        events = looks.any(2)
        values = torch.zeros_like(encodings[:, :, 0, 0])
        return values.masked_scatter(events, self.critic(latest[events])).unsqueeze(2)
