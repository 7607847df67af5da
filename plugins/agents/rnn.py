"""The recurrent agent of the PyMARL family; its parameters carry the host's names.

Letters: R rows (one agent of one episode each), I input features, H hidden size, A actions.
"""

import torch
from torch import nn

from plugins.agents import fused_gru
from plugins.agents.inputs import AgentInputs
from plugins.agents.packing import Packing


class RnnAgent(nn.Module):
    """Linear, ReLU, GRU cell, Linear. With `use_rnn=False` the cell is a Linear and a ReLU.

    Args:
        input_dim: I, features of one agent's input: obs, then last action, then agent id.
        hidden_dim: H.
        n_actions: A.
        use_rnn: False for a network without memory.
        n_agents: N; every agent is told it, this one serves any number.
    """

    def __init__(self, input_dim: int, hidden_dim: int, n_actions: int, use_rnn: bool, n_agents: int):
        super().__init__()
        self.hidden_dim = hidden_dim
        self.use_rnn = use_rnn
        self.fc1 = nn.Linear(input_dim, hidden_dim)
        self.rnn = nn.GRUCell(hidden_dim, hidden_dim) if use_rnn else nn.Linear(hidden_dim, hidden_dim)
        self.fc2 = nn.Linear(hidden_dim, n_actions)

    @property
    def output_layers(self) -> list[nn.Linear]:
        """The layer that gives utilities, logits or values."""
        return [self.fc2]

    def init_hidden(self) -> torch.Tensor:
        """[1, H] zeros of the parameters' type and device: the state before the first step."""
        return self.fc1.weight.new_zeros(1, self.hidden_dim)

    def forward(self, inputs: torch.Tensor, hidden: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """One step.

        Args:
            inputs: [R, I].
            hidden: [R, H] or any shape that holds as many numbers; not read when `use_rnn` is False.

        Returns:
            utilities [R, A] and the new hidden state [R, H].
        """
        x = torch.relu(self.fc1(inputs))
        if self.use_rnn:
            h = self.rnn(x, hidden.reshape(-1, self.hidden_dim))
        else:
            h = torch.relu(self.rnn(x))
        return self.fc2(h), h

    def unroll(
        self, inputs: AgentInputs, packing: Packing, with_hidden: bool
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Whole episodes from a zero hidden state, as `forward` step by step would.

        Args:
            inputs: what the agents see in the batch's cells (a cell is one step of one episode).
            packing: which cells to compute.
            with_hidden: whether the hidden states are wanted, too.

        Returns:
            utilities [cells, N * A] and hidden states [cells, N * H] or None; 0 in cells not computed.
        """
        if self.use_rnn:
            return fused_gru.unroll(packing, inputs, with_hidden, self._ordered_parameters())
        return self._unroll_without_memory(inputs, packing, with_hidden)

    def _ordered_parameters(self) -> tuple[torch.Tensor, ...]:
        named = dict(self.named_parameters())
        return tuple(named[name] for name in fused_gru.PARAMETERS)

    def _unroll_without_memory(
        self, inputs: AgentInputs, packing: Packing, with_hidden: bool
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        obs = inputs.obs()
        x = torch.relu(
            torch.addmm(self.fc1.bias, inputs.one_hots, self.fc1.weight[:, inputs.obs_dim :].t())
            + obs @ self.fc1.weight[:, : inputs.obs_dim].t()
        )
        h = torch.relu(self.rnn(x))
        q = self._to_cells(self.fc2(h), inputs, packing)
        return q, self._to_cells(h, inputs, packing) if with_hidden else None

    @staticmethod
    def _to_cells(rows: torch.Tensor, inputs: AgentInputs, packing: Packing) -> torch.Tensor:
        """[cells, N * F] from packed rows [P, F]."""
        values = rows.view(len(packing.cells), -1)
        return values.new_zeros(inputs.n_cells, values.shape[1]).index_copy(0, packing.cells, values)
