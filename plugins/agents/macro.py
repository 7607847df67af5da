"""The networks of MAC-IAICC: one for each agent, nothing shared.

    Linear, leaky ReLU, Linear, leaky ReLU, GRU, Linear, leaky ReLU, Linear      (slope 0.01)

Linear weights begin Xavier-uniform with zero biases.

Source: Xiao, Tan, Amato, arXiv:2209.10113; yuchen-x/MacroMARL f5899cd, whose parameter names these are.

Letters: R rows, B episodes, K steps, N agents, I input features, H hidden size, A actions.
"""

from typing import Iterable, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

__all__ = ["IndividualActors", "IndividualCritics", "MacroNet"]


class MacroNet(nn.Module):
    """One network.

    Args:
        input_dim: I.
        width: of the two layers before the GRU.
        hidden_dim: H, of the GRU and the layer behind it.
        n_outputs: numbers given.
    """

    def __init__(self, input_dim: int, width: int, hidden_dim: int, n_outputs: int):
        super().__init__()
        self.fc1 = nn.Linear(input_dim, width)
        self.fc2 = nn.Linear(width, width)
        self.gru = nn.GRU(width, hidden_dim, batch_first=True)
        self.fc3 = nn.Linear(hidden_dim, hidden_dim)
        self.fc4 = nn.Linear(hidden_dim, n_outputs)
        for layer in (self.fc1, self.fc2, self.fc3, self.fc4):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def step(self, inputs: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """inputs [R, I], hidden [R, H] -> outputs [R, F], hidden [R, H]."""
        w_ih, w_hh, b_ih, b_hh = self.gru.all_weights[0]
        hidden = torch.gru_cell(self._before(inputs), hidden, w_ih, w_hh, b_ih, b_hh)
        return self._behind(hidden), hidden

    def forward(self, inputs: Tensor) -> Tensor:
        """Whole sequences from a zero hidden state, [B, K, I] -> [B, K, F]."""
        return self._behind(self.gru(self._before(inputs))[0])

    def _before(self, inputs: Tensor) -> Tensor:
        return leaky_relu(self.fc2(leaky_relu(self.fc1(inputs))))

    def _behind(self, hidden: Tensor) -> Tensor:
        return self.fc4(leaky_relu(self.fc3(hidden)))


class IndividualActors(nn.Module):
    """N policies; agent i's rows go through network i.

    Args:
        input_dim: I, features of one agent's input.
        hidden_dim: width of every layer.
        n_actions: A.
        use_rnn: must be True, the reference has no other.
        n_agents: N.

    Raises:
        ValueError: use_rnn is False.
    """

    def __init__(self, input_dim: int, hidden_dim: int, n_actions: int, use_rnn: bool, n_agents: int):
        super().__init__()
        if not use_rnn:
            raise ValueError(
                "agent=individual_actors: use_rnn=False is not accepted, expected True. Set use_rnn=True."
            )
        self.hidden_dim = hidden_dim
        self.nets = nn.ModuleList(
            [MacroNet(input_dim, hidden_dim, hidden_dim, n_actions) for _ in range(n_agents)]
        )

    @property
    def output_layers(self) -> list[nn.Linear]:
        """The layers that give logits, one for each agent."""
        return [net.fc4 for net in cast(Iterable[MacroNet], self.nets)]

    def init_hidden(self) -> Tensor:
        """[1, H] zeros of the parameters' type and device: the state before the first step."""
        return next(self.parameters()).new_zeros(1, self.hidden_dim)

    def forward(self, inputs: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """One step; rows are episodes of N agents each.

        Args:
            inputs: [R, I].
            hidden: [R, H] or any shape that holds as many numbers.

        Returns:
            logits [R, A] and the new hidden state [R, H].
        """
        by_agent = inputs.view(-1, len(self.nets), inputs.shape[1])
        memory = hidden.reshape(*by_agent.shape[:2], self.hidden_dim)
        nets = cast(Iterable[MacroNet], self.nets)
        steps = [net.step(by_agent[:, i], memory[:, i]) for i, net in enumerate(nets)]
        logits, states = (torch.stack(each, 1).flatten(0, 1) for each in zip(*steps))
        return logits, states

    def unroll_rows(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        """Squeezed rows [B, K, N, I] of `lengths` [B, N] -> logits [B, K, N, A]; see plugins.agents.squeeze.

        Rows behind an agent's last own step hold numbers of no meaning.
        """
        return torch.stack([net(inputs[:, :, i]) for i, net in enumerate(self.nets)], 2)


class IndividualCritics(nn.Module):
    """N critics of the joint history, agent i's own value each.

    Args:
        input_dim: J, features of the joint input.
        width: of the two layers before the GRU.
        hidden_dim: H, of the GRU and the layer behind it.
        n_agents: N.
    """

    def __init__(self, input_dim: int, width: int, hidden_dim: int, n_agents: int):
        super().__init__()
        self.nets = nn.ModuleList(MacroNet(input_dim, width, hidden_dim, 1) for _ in range(n_agents))

    def forward(self, inputs: Tensor) -> Tensor:
        """Sequences of joint events from a zero hidden state, [B, K, J] -> values [B, K, N]."""
        return torch.cat([net(inputs) for net in self.nets], 2)
