"""An agent-centric critic: every agent's own history is encoded in its own time, and one value joins them.

    e_i  = what a shared recurrent encoder made of agent i's history when it last looked
    V    = w^T mean_i attention(e_1 ... e_N)_i + b

The encoder sees the agent's input and the time, as sin t and cos t, for steps between two looks differ.

Source: after Jung et al., ACAC (ICML 2025), LGAI-Research/acac 26b94d9; sizes and the shared encoder are ours.

Letters: B episodes, T1 stored steps, N agents, K own steps, I input features, H hidden size.
"""

import torch
from torch import Tensor, nn

from plugins.agents.rnn import RnnAgent
from plugins.agents.squeeze import Squeeze, unroll_rows

__all__ = ["AgentCentricCritic"]

TIME_DIM = 2


class AgentCentricCritic(nn.Module):
    """
    Args:
        input_dim: I, features of one agent's input without the time.
        hidden_dim: H, of the encoder and the attention.
        n_heads: of the attention; divides H.
        n_agents: N.
    """

    def __init__(self, input_dim: int, hidden_dim: int, n_heads: int, n_agents: int):
        super().__init__()
        self.encoder = RnnAgent(input_dim + TIME_DIM, hidden_dim, hidden_dim, True, n_agents)
        self.attention = nn.MultiheadAttention(hidden_dim, n_heads, batch_first=True)
        self.value = nn.Linear(hidden_dim, 1)

    def encode(self, inputs: Tensor, squeeze: Squeeze) -> Tensor:
        """Squeezed inputs [B, K, N, I] -> encodings [B, T1, N, H] where the agents look, 0 elsewhere."""
        steps = squeeze.steps.to(inputs.dtype).unsqueeze(3)
        time = torch.cat([steps.sin(), steps.cos()], 3).masked_fill(~squeeze.valid.unsqueeze(3), 0)
        return squeeze.put(unroll_rows(self.encoder, torch.cat([inputs, time], 3), squeeze.lengths))

    def forward(self, encodings: Tensor) -> Tensor:
        """Latest encodings [R, N, H] -> values [R]."""
        joined, _ = self.attention(encodings, encodings, encodings, need_weights=False)
        return self.value(joined.mean(1)).squeeze(1)
