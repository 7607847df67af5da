"""A plain controller, episode batches and configurations, small enough to check by loop.

Letters: B episodes, T transitions, N agents, A actions, O obs features, S state features.
"""

from importlib import import_module
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import nn

from plugins.config.schema import config_names, load_alg
from plugins.controllers import CONTROLLERS
from plugins.controllers.policy_mac import PolicyMAC
from plugins.learners import LEARNERS
from plugins.learners.acac import AcacLearner
from plugins.learners.actor_critic import ActorCriticLearner
from plugins.learners.ices_learner import IcesLearner
from plugins.learners.ippo import IppoLearner
from plugins.learners.mac_iaicc import MacIaiccLearner
from plugins.learners.value_learner import ValueLearner
from plugins.mixers import Sizes, build_mixer
from plugins.mixers.mvd import MVDMixer

HOST_KEYS = {
    "common_reward": True,
    "learner_log_interval": 1,
    "seed": 1,
    "test_greedy": True,
    "use_cuda": False,
    "optim_alpha": 0.99,
    "optim_eps": 0.00001,
}

ACTOR_CRITICS = {"acac": AcacLearner, "ippo": IppoLearner, "mac_iaicc": MacIaiccLearner}
VALUE_ALGS = [name for name in config_names() if "mixer" in load_alg(name)]


class TinyMAC:
    """EPyMARL's recurrent agent, stepped by a loop over all stored steps: the slow twin of AsyncMAC."""

    def __init__(self, n_inputs: int, n_agents: int, n_actions: int, hidden_dim: int = 8):
        self.n_agents, self.n_actions = n_agents, n_actions
        self.agent = nn.ModuleDict({
            "fc1": nn.Linear(n_inputs, hidden_dim),
            "rnn": nn.GRUCell(hidden_dim, hidden_dim),
            "fc2": nn.Linear(hidden_dim, n_actions),
        })

    def parameters(self):
        return self.agent.parameters()

    def load_state(self, other):
        self.agent.load_state_dict(other.agent.state_dict())

    def save_models(self, path):
        torch.save(self.agent.state_dict(), f"{path}/agent.th")

    def inputs(self, batch, t):
        obs = batch["obs"][:, t]
        last = torch.zeros(*obs.shape[:2], self.n_actions, dtype=obs.dtype)
        if t > 0:
            last = nn.functional.one_hot(batch["actions"][:, t - 1, :, 0], self.n_actions).to(obs.dtype)
        ids = torch.eye(self.n_agents, dtype=obs.dtype).expand(obs.shape[0], -1, -1)
        return torch.cat([obs, last, ids], dim=2)

    def step(self, x, hidden):
        """One step of every agent: (utilities, hidden)."""
        hidden = self.agent["rnn"](torch.relu(self.agent["fc1"](x)), hidden)
        return self.agent["fc2"](hidden), hidden

    def unroll(self, batch, return_hidden=False):
        n_episodes = batch["obs"].shape[0]
        hidden = batch["obs"].new_zeros(n_episodes * self.n_agents, self.agent["rnn"].hidden_size)
        steps, states = [], []
        for t in range(batch["obs"].shape[1]):
            q, hidden = self.step(self.inputs(batch, t).flatten(0, 1), hidden)
            steps.append(q.view(n_episodes, self.n_agents, -1))
            states.append(hidden.view(n_episodes, self.n_agents, -1))
        q_all = torch.stack(steps, dim=1)
        return (q_all, torch.stack(states, dim=1)) if return_hidden else q_all


class Given(nn.Module):
    """In a hypernetwork's place: gives the same rows whatever the state."""

    def __init__(self, rows: torch.Tensor):
        super().__init__()
        self.rows = rows

    def forward(self, state: torch.Tensor) -> torch.Tensor:
        return self.rows


class Log(list):
    """A logger that remembers (name, value, t_env)."""

    def log_stat(self, name, value, t_env):
        self.append((name, value, t_env))


def play(
    seed: int,
    n_episodes: int = 4,
    n_steps: int = 9,
    n_agents: int = 3,
    n_actions: int = 6,
    obs_dim: int = 5,
    state_dim: int = 7,
    longest: int = 4,
    dtype: torch.dtype = torch.float64,
) -> dict[str, torch.Tensor]:
    """Random asynchronous episodes under the status contract, stored as the host stores them.

    Episodes differ in length; half terminate, half are truncated; agents die at random. `longest` bounds
    the actions' durations: 1 gives a synchronous task.
    """
    rng = np.random.default_rng(seed)
    shape = (n_episodes, n_steps + 1)
    avail = np.zeros((*shape, n_agents, n_actions), dtype=np.int64)
    actions = np.zeros((*shape, n_agents, 1), dtype=np.int64)
    filled = np.zeros((*shape, 1), dtype=np.int64)
    terminated = np.zeros((*shape, 1), dtype=np.uint8)
    for b in range(n_episodes):
        length = n_steps if b == 0 else int(rng.integers(2, n_steps + 1))
        filled[b, : length + 1] = 1
        terminated[b, length - 1] = b % 2
        busy, alive = np.zeros(n_agents, int), np.ones(n_agents, bool)
        for t in range(length + 1):
            for i in range(n_agents):
                alive[i] &= t == 0 or rng.random() > 0.05
                if not alive[i]:
                    avail[b, t, i, 0] = 1
                elif busy[i] > 0:
                    avail[b, t, i, 1] = 1
                    actions[b, t, i] = 1
                    busy[i] -= 1
                else:
                    avail[b, t, i, 2:] = rng.random(n_actions - 2) < 0.7
                    avail[b, t, i, 2] = 1
                    actions[b, t, i] = rng.choice(np.flatnonzero(avail[b, t, i]))
                    busy[i] = rng.integers(0, longest)
    batch = {
        "obs": rng.normal(size=(*shape, n_agents, obs_dim)) * filled[..., None],
        "state": rng.normal(size=(*shape, state_dim)) * filled,
        "reward": rng.normal(size=(*shape, 1)) * filled,
    }
    tensors = {name: torch.tensor(values, dtype=dtype) for name, values in batch.items()}
    whole = {"avail_actions": avail, "actions": actions, "filled": filled, "terminated": terminated}
    return tensors | {name: torch.from_numpy(values) for name, values in whole.items()}


def configuration(alg: str, **changes: Any) -> dict[str, Any]:
    """The keys of one of our algorithms, with the host's that its learner reads."""
    return HOST_KEYS | load_alg(alg) | changes


def make_mvd(n_agents: int, state_dim: int = 2, obs_dim: int = 2, **changes: Any) -> MVDMixer:
    """An MVD mixer in float64; `changes` are keys of mvd.yaml without their prefix."""
    config = load_alg("mvd") | {f"mvd_{name}": value for name, value in changes.items()}
    return build_mixer("mvd", Sizes(n_agents, state_dim, obs_dim), config).double()


def make_learner(
    alg: str,
    batch: dict[str, torch.Tensor],
    seed: int = 0,
    dtype: torch.dtype = torch.float64,
    hidden_dim: int = 8,
    fused: bool = False,
    **changes: Any,
) -> ValueLearner:
    """Our learner of `alg`, with sizes from `batch` and target networks of their own.

    On TinyMAC, or with `fused` on the controller that training uses; ICES always is, as its has a second network.
    """
    torch.manual_seed(seed)
    n_agents, n_actions = batch["avail_actions"].shape[2:]
    obs_dim, state_dim = batch["obs"].shape[3], batch["state"].shape[2]
    config = configuration(alg, **changes) | {"hidden_dim": hidden_dim}
    args = SimpleNamespace(**config, n_agents=n_agents, n_actions=n_actions)
    scheme = {"obs": {"vshape": obs_dim}, "state": {"vshape": (state_dim,)}}
    mac: Any = TinyMAC(obs_dim + n_actions + n_agents, n_agents, n_actions, hidden_dim)
    fused = fused or config["mac"] != "async_mac"
    if fused:
        mac = imported(CONTROLLERS[config["mac"]])(scheme, {"agents": n_agents}, args)
    learner = imported(LEARNERS[config["learner"]])(mac, scheme, Log(), args)
    for part in (learner.mac.agent, learner.target_mac.agent, learner.mixer, learner.target_mixer):
        part.to(dtype)
    if isinstance(learner, IcesLearner):
        for part in (mac.explorer, learner.target_mac.explorer, learner.exploration.value, learner.world.model):
            part.to(dtype)
    if fused:
        for side in (learner.mac, learner.target_mac):
            side.init_hidden(1)  # in the parameters' type
    with torch.no_grad():
        for parameter in [*learner.target_mac.parameters(), *learner.target_mixer.parameters()]:
            parameter.add_(0.1 * torch.randn_like(parameter))
    return learner


def imported(entry: str) -> Any:
    """What a table's "module:attribute" names."""
    module, _, attribute = entry.partition(":")
    return getattr(import_module(module), attribute)


def gradients(learner: ValueLearner) -> dict[str, torch.Tensor]:
    """Gradients of the live agent by parameter name, zeros where none came."""
    return {
        name: torch.zeros_like(p) if p.grad is None else p.grad.clone()
        for name, p in learner.mac.agent.named_parameters()
    }


def make_actor_critic(
    alg: str, batch: dict[str, torch.Tensor], seed: int = 0, dtype: torch.dtype = torch.float64, **changes: Any
) -> ActorCriticLearner:
    """Our learner of `alg` on its own controller, with sizes from `batch`; its episodes fill the buffer."""
    torch.manual_seed(seed)
    n_episodes, _, n_agents, n_actions = batch["avail_actions"].shape
    sizes = {"batch_size": n_episodes, "buffer_size": n_episodes, "batch_size_run": n_episodes, "hidden_dim": 8}
    sizes |= {"critic_width": 7, "critic_hidden_dim": 6}
    config = configuration(alg) | sizes | changes
    args = SimpleNamespace(**config, n_agents=n_agents, n_actions=n_actions)
    scheme = {"obs": {"vshape": batch["obs"].shape[3]}, "state": {"vshape": (batch["state"].shape[2],)}}
    learner = ACTOR_CRITICS[alg](PolicyMAC(scheme, {"agents": n_agents}, args), scheme, Log(), args)
    for module in learner._modules().values():
        module.to(dtype)
    learner.mac.init_hidden(n_episodes)  # in the parameters' type
    return learner
