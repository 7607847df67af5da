"""The controller of every algorithm of ours: one network shared by all agents.

Letters: B episodes, T1 stored steps (the last observation included), N agents, A actions, O obs
features, H hidden size; b episodes acting now.
"""

from importlib import import_module
from pathlib import Path
from typing import Any, Iterator, Mapping, Sequence

import numpy as np
import torch

from async_envs.core.errors import unknown_name
from plugins.agents import AGENTS
from plugins.agents.inputs import AgentInputs
from plugins.agents.packing import Packing, pack
from plugins.controllers.action_selectors import EpsilonGreedy
from plugins.learners.files import write_model
from plugins.learners.files import check_parameters, read_model

NO_ACTION = -1  # the last action before the first step


class AsyncMAC:
    """EPyMARL's controller interface, plus `act` for a vector runner and `unroll` for a learner.

    An agent's input is obs, one-hot last action (`obs_last_action`; zeros at the first step), one-hot agent
    id (`obs_agent_id`).

    Attributes:
        agent: the network.
        action_selector: has `.epsilon`.
        hidden_states: [B, N, H], of the episodes now acting.
    """

    WHERE = "async_mac"  # begins its error lines
    NETWORKS: Mapping[str, str] = AGENTS
    SELECTORS: tuple[str, ...] = ("epsilon_greedy",)
    OUTPUTS: tuple[str, ...] = ("q",)

    def __init__(self, scheme: Mapping[str, Any], groups: Mapping[str, int], args: Any):
        self._check_names(args)
        self.n_agents: int = args.n_agents
        self.n_actions: int = args.n_actions
        self.agent_output_type: str = args.agent_output_type
        self._uses_last_action: bool = args.obs_last_action
        self._uses_agent_id: bool = args.obs_agent_id
        self._action_numbers = np.arange(self.n_actions)
        self._input_dim = (
            int(np.prod(scheme["obs"]["vshape"]))
            + self._uses_last_action * self.n_actions
            + self._uses_agent_id * self.n_agents
        )
        self._acting_buffer = torch.zeros(0, self.n_agents, self._input_dim)  # see _acting_inputs
        self.agent = _load(self.NETWORKS[args.agent])(
            input_dim=self._input_dim,
            hidden_dim=args.hidden_dim,
            n_actions=self.n_actions,
            use_rnn=args.use_rnn,
            n_agents=self.n_agents,
        )
        self.action_selector = self._make_selector(args)
        self.init_hidden(args.batch_size_run)

    def _make_selector(self, args: Any) -> EpsilonGreedy:
        return EpsilonGreedy(**self._epsilon_settings(args))

    @staticmethod
    def _epsilon_settings(args: Any) -> dict[str, Any]:
        return {
            "start": args.epsilon_start,
            "finish": args.epsilon_finish,
            "anneal_time": args.epsilon_anneal_time,
            "evaluation": args.evaluation_epsilon,
            "seed": args.seed,
        }

    @classmethod
    def _check_names(cls, args: Any) -> None:
        for key, accepted in (
            ("agent", tuple(cls.NETWORKS)),
            ("action_selector", cls.SELECTORS),
            ("agent_output_type", cls.OUTPUTS),
        ):
            given = getattr(args, key)
            if given not in accepted:
                raise ValueError(unknown_name(cls.WHERE, key, given, accepted))

    # acting

    def init_hidden(self, batch_size: int, seeds: Sequence[int] | None = None) -> None:
        """Zero hidden states for `batch_size` episodes that begin.

        Args:
            batch_size: B.
            seeds: B episode seeds; what `act` draws in tests then depends on an episode's own seed alone.
        """
        self.action_selector.begin_tests(seeds)
        zeros = self.agent.init_hidden()
        self.hidden_states = zeros.new_zeros(batch_size, self.n_agents, self.agent.hidden_dim)
        if len(self._acting_buffer) != batch_size or self._acting_buffer.dtype != zeros.dtype:
            self._acting_buffer = self._new_acting_buffer(batch_size, self._input_dim, zeros.dtype)

    def select_actions(
        self,
        ep_batch: Any,
        t_ep: int,
        t_env: int,
        bs: Any = slice(None),
        test_mode: bool = False,
    ) -> torch.Tensor:
        """Actions at stored step `t_ep`, as EPyMARL's runners ask for them.

        Returns:
            [len(bs), N] int64 on the batch's device.
        """
        with torch.no_grad():
            q = self.forward(ep_batch, t_ep, test_mode=test_mode)[bs]
        avail = ep_batch["avail_actions"][:, t_ep][bs]
        actions = self.action_selector.select(q.cpu().numpy(), avail.cpu().numpy(), t_env, test_mode)
        return torch.as_tensor(actions, device=q.device)

    def forward(self, ep_batch: Any, t: int, test_mode: bool = False) -> torch.Tensor:
        """Utilities [B, N, A] at stored step `t`; moves the hidden states of all episodes one step on."""
        obs = ep_batch["obs"][:, t]
        if t == 0:
            last_actions = ep_batch["actions"].new_full((*obs.shape[:2],), NO_ACTION)
        else:
            last_actions = ep_batch["actions"][:, t - 1, :, 0]
        q, self.hidden_states = self.step(obs, last_actions, self.hidden_states)
        return q

    def step(
        self, obs: torch.Tensor, last_actions: torch.Tensor, hidden: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """One step of the network from any hidden state; the controller's own states stay.

        Args:
            obs: [b, N, O].
            last_actions: [b, N] int64; -1 before the first step.
            hidden: [b, N, H], of the network's type.

        Returns:
            utilities [b, N, A] and the new hidden state [b, N, H].
        """
        inputs = self._inputs(obs.to(hidden.dtype), last_actions)
        q, new_hidden = self.agent(inputs, hidden)
        return q.view(*obs.shape[:2], -1), new_hidden.view(*obs.shape[:2], -1)

    def act(
        self,
        obs: np.ndarray,
        avail: np.ndarray,
        last_actions: np.ndarray,
        rows: np.ndarray,
        t_env: int,
        test_mode: bool,
    ) -> np.ndarray:
        """Actions of the episodes `rows`, whose hidden states move one step on; the others' stay.

        Args:
            obs: [b, N, O] float32.
            avail: [b, N, A], non-zero where the action may be chosen.
            last_actions: [b, N] int64; -1 before the first step.
            rows: [b] int64, each episode's place in `hidden_states` (see `init_hidden`).
            t_env: environment steps of training so far.
            test_mode: True for test episodes.

        Returns:
            [b, N] int64.
        """
        inputs = self._acting_inputs(obs, last_actions, self._acting_buffer)
        utilities, self.hidden_states = self._advance(self.agent, inputs, self.hidden_states, rows)
        return self.action_selector.select(utilities, avail, t_env, test_mode, rows)

    @torch.no_grad()
    def _advance(
        self, network: torch.nn.Module, inputs: torch.Tensor, hidden: torch.Tensor, rows: np.ndarray
    ) -> tuple[np.ndarray, torch.Tensor]:
        """One step of a recurrent network for the episodes `rows`: outputs [b, N, A], all hidden states."""
        everybody = len(rows) == len(hidden)
        index = slice(None) if everybody else torch.from_numpy(rows).to(hidden.device)
        outputs, new_hidden = network(inputs.to(hidden.device), hidden[index])
        new_hidden = new_hidden.view(len(rows), self.n_agents, -1)
        if everybody:
            hidden = new_hidden
        else:
            hidden[index] = new_hidden
        return outputs.view(len(rows), self.n_agents, -1).cpu().numpy(), hidden

    def _acting_inputs(
        self, obs: np.ndarray, last_actions: np.ndarray, buffer: torch.Tensor
    ) -> torch.Tensor:
        """`_inputs` for arrays, in a buffer that is written again at the next call."""
        n_episodes, n_agents, obs_dim = obs.shape
        inputs = buffer[:n_episodes]
        values = inputs.numpy()
        values[:, :, :obs_dim] = obs
        if self._uses_last_action:
            np.equal(
                last_actions[:, :, None],
                self._action_numbers,
                out=values[:, :, obs_dim : obs_dim + self.n_actions],
                casting="unsafe",
            )
        return inputs.view(n_episodes * n_agents, -1)

    def _new_acting_buffer(self, batch_size: int, input_dim: int, dtype: torch.dtype) -> torch.Tensor:
        """[batch_size, N, input_dim] on the CPU, the agents' ids filled in."""
        buffer = torch.zeros(batch_size, self.n_agents, input_dim, dtype=dtype)
        if self._uses_agent_id:
            buffer[:, :, -self.n_agents :] = torch.eye(self.n_agents, dtype=dtype)
        return buffer

    def _inputs(self, obs: torch.Tensor, last_actions: torch.Tensor) -> torch.Tensor:
        """The network's inputs [b * N, I] from obs [b, N, O] and last_actions [b, N]."""
        parts = [obs]
        if self._uses_last_action:
            one_hot = obs.new_zeros(*last_actions.shape, self.n_actions + 1)
            parts.append(one_hot.scatter_(-1, (last_actions + 1).unsqueeze(-1), 1.0)[..., 1:])
        if self._uses_agent_id:
            identity = torch.eye(self.n_agents, dtype=obs.dtype, device=obs.device)
            parts.append(identity.expand(obs.shape[0], -1, -1))
        return torch.cat(parts, -1).view(obs.shape[0] * self.n_agents, -1)

    # learning

    def unroll(self, batch: Any, return_hidden: bool = False) -> Any:
        """Utilities of whole episodes, from a zero hidden state; steps after an episode's end read 0.

        Args:
            batch: `obs` [B, T1, N, O], `actions` [B, T1, N, 1], `filled` [B, T1, 1].
            return_hidden: also return the hidden states.

        Returns:
            q_all [B, T1, N, A], or (q_all, hidden [B, T1, N, H]).
        """
        obs = batch["obs"]
        n_episodes, n_steps = obs.shape[:2]
        inputs, packing = self._stored_inputs(batch, obs)
        q, hidden = self.agent.unroll(inputs, packing, with_hidden=return_hidden)
        q_all = q.view(n_episodes, n_steps, self.n_agents, -1)
        if not return_hidden:
            return q_all
        return q_all, hidden.view(n_episodes, n_steps, self.n_agents, -1)

    def _stored_inputs(self, batch: Any, obs: torch.Tensor) -> tuple[AgentInputs, Packing]:
        """A network's inputs at all stored steps, `obs` [B, T1, N, O] first, and which rows are computed."""
        n_episodes, n_steps = obs.shape[:2]
        lengths = batch["filled"].reshape(n_episodes, n_steps).sum(1)
        packing = pack(lengths, n_steps, self.n_agents)
        actions = batch["actions"] if self._uses_last_action else None
        dtype = self.hidden_states.dtype
        return AgentInputs(obs, actions, self.n_actions, self._uses_agent_id, dtype, packing), packing

    def parameters(self) -> Iterator[torch.nn.Parameter]:
        """The network's parameters."""
        return self.agent.parameters()

    # state

    def load_state(self, other: "AsyncMAC") -> None:
        """Take over another controller's network parameters."""
        self.agent.load_state_dict(other.agent.state_dict())

    def cuda(self) -> None:
        """Move the network to the current CUDA device."""
        self.agent.cuda()
        self.init_hidden(self.hidden_states.shape[0])

    def save_models(self, path: str | Path) -> None:
        """Write `agent.th` into the folder `path`."""
        write_model(Path(path) / "agent.th", self.agent.state_dict())

    def load_models(self, path: str | Path) -> None:
        """Read `agent.th` from the folder `path`.

        Raises:
            ValueError: missing, damaged or of another run; one line, and nothing has changed.
        """
        file = str(Path(path) / "agent.th")
        state = read_model(file, "the agent's parameters")
        check_parameters(file, state, self.agent)
        self.agent.load_state_dict(state)

    def resume_state(self) -> dict[str, Any]:
        """What acting depends on besides the network: the selector's generators."""
        return {"action_selector": self.action_selector.resume_state()}

    def load_resume_state(self, state: dict[str, Any]) -> None:
        """Go on as the controller did whose `resume_state` this is."""
        self.action_selector.load_resume_state(state["action_selector"])


def _load(entry: str) -> Any:
    module, _, attribute = entry.partition(":")
    return getattr(import_module(module), attribute)
