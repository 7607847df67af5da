"""The controller of ICES: beside the agents' network, an exploration policy with a hidden state of its own.

Letters: B episodes, T1 stored steps, N agents, A actions, O obs features, S state features, H hidden size;
b episodes acting now.
"""

from pathlib import Path
from typing import Any, Mapping, Sequence

import numpy as np
import torch

from plugins.agents.inputs import AgentInputs
from plugins.agents.packing import Packing
from plugins.agents.rnn import RnnAgent
from plugins.config.keys import IcesActingKeys
from plugins.config.reading import read_keys
from plugins.controllers.action_selectors import MixtureSelector
from plugins.controllers.async_mac import NO_ACTION, AsyncMAC
from plugins.learners.files import check_parameters, read_model, write_model


class IcesMAC(AsyncMAC):
    """AsyncMAC that now and then follows an exploration policy while training; tests are greedy.

    The policy sees what the agents see and the state, and is a network like theirs. An agent that executes or
    is inactive has one action available, which both choose: exploration happens at decisions.

    Attributes:
        explorer: network of the exploration policy; its outputs are logits.
        explorer_input_dim: features of one agent's input to it.
        explorer_hidden: [B, N, H], of the episodes now acting.
        acts_on_state: tells the vector runner to hand `act` the state.

    Source: Li, Zhang, Tang, Zhang, ICES, ICML 2024; LXXXXR/ICES 2fcc473.
    """

    acts_on_state = True
    action_selector: MixtureSelector

    def __init__(self, scheme: Mapping[str, Any], groups: Mapping[str, int], args: Any):
        self._state_dim = int(np.prod(scheme["state"]["vshape"]))
        self._explorer_buffer = torch.zeros(0, args.n_agents, 0)
        super().__init__(scheme, groups, args)
        self.explorer = RnnAgent(
            input_dim=self.explorer_input_dim,
            hidden_dim=args.hidden_dim,
            n_actions=self.n_actions,
            use_rnn=args.use_rnn,
            n_agents=self.n_agents,
        )

    def _make_selector(self, args: Any) -> MixtureSelector:
        keys = read_keys(IcesActingKeys, vars(args), "ices_mac")
        return MixtureSelector(
            beta_start=keys.ices_beta_start,
            beta_finish=keys.ices_beta_finish,
            t_max=keys.t_max,
            **self._epsilon_settings(args),
        )

    @property
    def explorer_input_dim(self) -> int:
        """Features of one agent's input to the exploration policy: the agent's own, and the state."""
        return self._input_dim + self._state_dim

    # acting

    def init_hidden(self, batch_size: int, seeds: Sequence[int] | None = None) -> None:
        """Zero hidden states, of agents and explorer, for `batch_size` episodes that begin. See AsyncMAC."""
        super().init_hidden(batch_size, seeds)
        self.explorer_hidden = torch.zeros_like(self.hidden_states)
        if len(self._explorer_buffer) != batch_size or self._explorer_buffer.dtype != self.hidden_states.dtype:
            self._explorer_buffer = self._new_acting_buffer(
                batch_size, self.explorer_input_dim, self.hidden_states.dtype
            )

    def select_actions(
        self,
        ep_batch: Any,
        t_ep: int,
        t_env: int,
        bs: Any = slice(None),
        test_mode: bool = False,
    ) -> torch.Tensor:
        """As AsyncMAC's; in training the hidden states of the explorer move one step on, too."""
        if test_mode:
            return super().select_actions(ep_batch, t_ep, t_env, bs, test_mode)
        with torch.no_grad():
            q = self.forward(ep_batch, t_ep)[bs]
            seen = self._with_state(ep_batch["obs"][:, t_ep], ep_batch["state"][:, t_ep])
            if t_ep == 0:
                last_actions = ep_batch["actions"].new_full((*seen.shape[:2],), NO_ACTION)
            else:
                last_actions = ep_batch["actions"][:, t_ep - 1, :, 0]
            logits, self.explorer_hidden = self.explorer_step(seen, last_actions, self.explorer_hidden)
        avail = ep_batch["avail_actions"][:, t_ep][bs]
        actions = self.action_selector.select_with_policy(
            q.cpu().numpy(), logits[bs].cpu().numpy(), avail.cpu().numpy(), t_env
        )
        return torch.as_tensor(actions, device=q.device)

    def explorer_step(
        self, seen: torch.Tensor, last_actions: torch.Tensor, hidden: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """One step of the exploration policy from any hidden state; the controller's own states stay.

        Args:
            seen: [b, N, O + S], obs and state.
            last_actions: [b, N] int64; -1 before the first step.
            hidden: [b, N, H], of the network's type.

        Returns:
            logits [b, N, A] and the new hidden state [b, N, H].
        """
        logits, new_hidden = self.explorer(self._inputs(seen.to(hidden.dtype), last_actions), hidden)
        return logits.view(*seen.shape[:2], -1), new_hidden.view(*seen.shape[:2], -1)

    def act(
        self,
        obs: np.ndarray,
        avail: np.ndarray,
        last_actions: np.ndarray,
        rows: np.ndarray,
        t_env: int,
        test_mode: bool,
        state: np.ndarray | None = None,
    ) -> np.ndarray:
        """As AsyncMAC's, with the state [b, S]; without it, and in tests, the explorer is not asked."""
        if test_mode or state is None:
            return super().act(obs, avail, last_actions, rows, t_env, test_mode)
        inputs = self._acting_inputs(obs, last_actions, self._acting_buffer)
        q, self.hidden_states = self._advance(self.agent, inputs, self.hidden_states, rows)
        seen = np.concatenate([obs, np.broadcast_to(state[:, None], (*obs.shape[:2], state.shape[1]))], -1)
        inputs = self._acting_inputs(seen, last_actions, self._explorer_buffer)
        logits, self.explorer_hidden = self._advance(self.explorer, inputs, self.explorer_hidden, rows)
        return self.action_selector.select_with_policy(q, logits, avail, t_env)

    # learning

    def explorer_inputs(self, batch: Any) -> tuple[AgentInputs, Packing]:
        """What the exploration policy sees in a stored batch, for `unroll` of a network like the agents'."""
        return self._stored_inputs(batch, self._with_state(batch["obs"], batch["state"]))

    def _with_state(self, obs: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
        """[..., N, O] and [..., S] -> [..., N, O + S]."""
        return torch.cat([obs, state.unsqueeze(-2).expand(*obs.shape[:-1], -1)], -1)

    # state

    def load_state(self, other: AsyncMAC) -> None:
        """Take over another controller's networks."""
        super().load_state(other)
        assert isinstance(other, IcesMAC)
        self.explorer.load_state_dict(other.explorer.state_dict())

    def cuda(self) -> None:
        """Move both networks to the current CUDA device."""
        super().cuda()
        self.explorer.cuda()

    def save_models(self, path: str | Path) -> None:
        """Write `agent.th` and `explorer.th` into the folder `path`."""
        super().save_models(path)
        write_model(Path(path) / "explorer.th", self.explorer.state_dict())

    def load_models(self, path: str | Path) -> None:
        """Read what `save_models` wrote.

        Raises:
            ValueError: missing, damaged or of another run; one line, and nothing has changed.
        """
        file = str(Path(path) / "explorer.th")
        state = read_model(file, "the exploration policy's parameters")
        check_parameters(file, state, self.explorer)
        super().load_models(path)
        self.explorer.load_state_dict(state)
