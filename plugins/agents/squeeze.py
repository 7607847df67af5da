"""Cut each agent's own steps out of the timeline, and put what was computed for them back.

An agent whose recurrent state is replaced at its own decisions only, h <- D h' + (1 - D) h, has the same
states as one that lives through those steps alone; the second form is as long as its longest row.

Letters: B episodes, T1 stored steps, N agents, K own steps of the agent that has most, F features.
"""

import torch
from torch import Tensor, nn

from plugins.agents.inputs import AgentInputs
from plugins.agents.packing import pack
from plugins.agents.rnn import RnnAgent

__all__ = ["Squeeze", "unroll_rows"]


class Squeeze:
    """Which steps are whose.

    Args:
        looks: [B, T1, N] bool; the steps to keep.

    Attributes:
        steps: [B, K, N] int64; the kept steps in order, then any others.
        valid: [B, K, N] bool; whether `steps` names a kept one.
        lengths: [B, N] int64; kept steps.
    """

    def __init__(self, looks: Tensor):
        self._n_steps = looks.shape[1]
        self.lengths = looks.sum(1)
        longest = max(1, int(self.lengths.max()))
        # a stable order by "is not kept" leaves the kept steps in front, in their order
        self.steps = torch.sort((~looks).to(torch.uint8), dim=1, stable=True).indices[:, :longest]
        self.valid = looks.gather(1, self.steps)

    def take(self, values: Tensor) -> Tensor:
        """[B, T1, N, F] on the timeline -> [B, K, N, F], 0 behind an agent's last own step."""
        index = self.steps.unsqueeze(3).expand(*self.steps.shape, values.shape[3])
        return values.gather(1, index).masked_fill(~self.valid.unsqueeze(3), 0)

    def put(self, values: Tensor) -> Tensor:
        """[B, K, N, F] -> [B, T1, N, F], 0 at all other steps."""
        kept = values.masked_fill(~self.valid.unsqueeze(3), 0)
        n_episodes, _, n_agents, n_features = values.shape
        timeline = values.new_zeros(n_episodes, self._n_steps, n_agents, n_features)
        return timeline.scatter(1, self.steps.unsqueeze(3).expand_as(kept), kept)


def unroll_rows(agent: nn.Module, inputs: Tensor, lengths: Tensor) -> Tensor:
    """One shared network over squeezed rows, from a zero hidden state, in one fused call.

    Args:
        agent: an RnnAgent.
        inputs: [B, K, N, I].
        lengths: [B, N] int64, at most K.

    Returns:
        [B, K, N, F]; 0 behind an agent's last own step.
    """
    assert isinstance(agent, RnnAgent)
    n_episodes, longest, n_agents, n_inputs = inputs.shape
    rows = inputs.transpose(1, 2).reshape(n_episodes * n_agents, longest, 1, n_inputs)
    packing = pack(lengths.reshape(-1), longest, 1)
    given = AgentInputs(rows, None, 0, False, inputs.dtype, packing)
    values, _ = agent.unroll(given, packing, with_hidden=False)
    return values.view(n_episodes, n_agents, longest, -1).transpose(1, 2)
