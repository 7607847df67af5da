"""What an agent's network gets to see: obs, one-hot last action, one-hot agent id.

Letters: B episodes, T1 stored steps, N agents, O obs features, E one-hot features.
"""

import torch

from plugins.agents.packing import Chunk, Packing


class AgentInputs:
    """The inputs of a stored batch, in a packing's order.

    Args:
        obs: [B, T1, N, O].
        actions: [B, T1, N, 1] int64, or None if the last action is no input.
        n_actions: A.
        uses_agent_id: whether the agent's id is an input.
        dtype: of the network.
        packing: which rows are wanted; P of them.

    Attributes:
        one_hots: [P, E]: last action (zeros at an episode's first step), then agent id; E may be 0.
    """

    def __init__(
        self,
        obs: torch.Tensor,
        actions: torch.Tensor | None,
        n_actions: int,
        uses_agent_id: bool,
        dtype: torch.dtype,
        packing: Packing,
    ):
        n_episodes, n_steps, n_agents, self.obs_dim = obs.shape
        self.n_cells = n_episodes * n_steps
        self._n_agents = n_agents
        self._cells = packing.cells
        self._obs = obs.reshape(self.n_cells, -1)
        self._dtype = dtype
        action_width = 0 if actions is None else n_actions
        one_hots = obs.new_zeros(
            len(packing.cells), n_agents, action_width + n_agents * uses_agent_id, dtype=dtype
        )
        if uses_agent_id:
            one_hots[:, :, action_width:].diagonal(dim1=1, dim2=2).fill_(1.0)
        if actions is not None:
            started = slice(packing.start_rows // n_agents, None)  # from the second step on there is a past
            last = actions.reshape(self.n_cells, -1).index_select(0, packing.cells[started] - 1)
            one_hots[started].scatter_(2, last.unsqueeze(-1), 1.0)
        self.one_hots = one_hots.view(packing.n_rows, -1)

    def obs(self, first_row: int = 0, last_row: int | None = None) -> torch.Tensor:
        """Observations [rows, O] of the packed rows first_row … last_row-1, whole cells."""
        last_row = len(self.one_hots) if last_row is None else last_row
        cells = self._cells[first_row // self._n_agents : last_row // self._n_agents]
        return self._obs.index_select(0, cells).view(last_row - first_row, self.obs_dim).to(self._dtype)

    def chunk(self, chunk: Chunk) -> tuple[torch.Tensor, torch.Tensor]:
        """obs [rows, O] and one-hots [rows, E] of a chunk."""
        obs = self.obs(chunk.first_row, chunk.last_row)
        return obs, self.one_hots[chunk.first_row : chunk.last_row]
