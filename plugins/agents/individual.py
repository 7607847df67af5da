"""NA2Q's agent: a shared recurrent network whose utilities have a part of each agent's own.

    q_i = W h_i + b + W_i h_i + b_i,   h_i from a Linear, ReLU and a GRU cell shared by all

Agents are told apart by W_i, so the id is no input (obs_agent_id: False).

Source: Liu et al., NA2Q, arXiv:2304.13383; zichuan-liu/NA2Q adc10b4.

Letters: R rows, N agents, H hidden size, A actions.
"""

import torch
from torch import nn

from plugins.agents.inputs import AgentInputs
from plugins.agents.packing import Packing
from plugins.agents.rnn import RnnAgent


class IndividualRnnAgent(RnnAgent):
    """RnnAgent plus one more Linear for each agent.

    Parameters: RnnAgent's, `own_weight` [N, H, A] and `own_bias` [N, A].
    """

    def __init__(self, input_dim: int, hidden_dim: int, n_actions: int, use_rnn: bool, n_agents: int):
        super().__init__(input_dim, hidden_dim, n_actions, use_rnn, n_agents)
        bound = hidden_dim**-0.5  # torch's own default for a Linear layer
        self.own_weight = nn.Parameter(torch.empty(n_agents, hidden_dim, n_actions).uniform_(-bound, bound))
        self.own_bias = nn.Parameter(torch.empty(n_agents, n_actions).uniform_(-bound, bound))

    def forward(self, inputs: torch.Tensor, hidden: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """As RnnAgent's; rows are episodes of N agents each."""
        q, h = super().forward(inputs, hidden)
        return q + self._own(h).reshape(q.shape), h

    def unroll(
        self, inputs: AgentInputs, packing: Packing, with_hidden: bool
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """As RnnAgent's: the fused unroll, then every agent's own part for all computed cells at once."""
        q, hidden = super().unroll(inputs, packing, with_hidden=True)
        assert hidden is not None
        own = self._own(hidden.index_select(0, packing.cells)).flatten(1)
        return q.index_add(0, packing.cells, own), hidden if with_hidden else None

    def _own(self, h: torch.Tensor) -> torch.Tensor:
        """[R * N, H], or as many numbers, -> [R, N, A]."""
        by_agent = h.reshape(-1, *self.own_weight.shape[:2]).transpose(0, 1)
        return torch.baddbmm(self.own_bias.unsqueeze(1), by_agent, self.own_weight).transpose(0, 1)
