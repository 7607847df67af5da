"""ICES: value learning of any mixer, beside an exploration policy that is paid for actions that matter.

Letters: B episodes, T transitions, N agents.
"""

import copy
from pathlib import Path
from typing import Any, Callable, Mapping

import numpy as np
from torch import Tensor, nn
from torch.optim import Optimizer

from plugins.config.keys import IcesKeys
from plugins.config.reading import read_keys
from plugins.ices.exploration import ExplorationTraining
from plugins.ices.world import VIEWS, WorldModel
from plugins.ices.world_training import WorldTraining
from plugins.learners.files import check_optimiser, check_parameters, read_model, write_model
from plugins.learners.value_learner import ValueLearner

FILES = {name: f"{name}.th" for name in ("explorer", "explorer_value", "world")}  # parameters
OPTIMISERS_FILE = "ices_opt.th"


class IcesLearner(ValueLearner):
    """An update is the value learner's, then one of the exploration policy, then one of each view of the world model.

    Nothing intrinsic enters the value learner's loss. The world model learns from samples of its own: from the
    sampler that the host hands to `use_sampler`, a new batch for each view, as the reference has it; without one
    (hosts that only ever hand over the batch of `train`), from other transitions of that batch for each view.

    Source: Li, Zhang, Tang, Zhang, ICML 2024 (arXiv:2405.18110); LXXXXR/ICES 2fcc473.
    """

    def __init__(self, mac: Any, scheme: Mapping[str, Any], logger: Any, args: Any) -> None:
        """
        Args: as ValueLearner's; the controller has an exploration policy (plugins.controllers.ices_mac).

        Raises:
            ValueError: a key or a size is not accepted, or the controller has no such policy; one line.
        """
        super().__init__(mac, scheme, logger, args)
        if not hasattr(mac, "explorer"):
            raise ValueError(
                f"{self.where}: mac={vars(args)['mac']!r} has no exploration policy, expected 'ices_mac'. "
                "Set mac=ices_mac."
            )
        self.ices_keys = keys = read_keys(IcesKeys, vars(args), self.where)
        state_dim = int(np.prod(scheme["state"]["vshape"]))
        model = WorldModel(
            n_agents=args.n_agents,
            n_actions=args.n_actions,
            state_dim=state_dim,
            embedding_dim=keys.ices_embedding_dim,
            hidden_dim=keys.ices_world_hidden_dim,
            latent_dim=keys.ices_latent_dim,
        )
        self.world = WorldTraining(model, keys, state_dim, vars(args)["seed"], self.where)
        self.exploration = ExplorationTraining(mac, model, keys, self.where)
        self._sampler: Callable[[], Any] | None = None

    def use_sampler(self, sampler: Callable[[], Any]) -> None:
        """Take `sampler`, which gives a new batch of episodes; the batch of `train` may be lost by that."""
        self._sampler = sampler

    def train(self, batch: Any, t_env: int, episode_num: int) -> None:
        """One update of everything; see ValueLearner's."""
        logs = t_env - self.log_stats_t >= self.keys.learner_log_interval
        super().train(batch, t_env, episode_num)
        values = self.exploration.step(batch)
        for view in VIEWS:
            values |= self.world.step(view, self._sampler() if self._sampler else batch, t_env)
        if logs:
            for name, value in {**values, "explorer_share": self.mac.action_selector.beta}.items():
                self.logger.log_stat(name, value, t_env)

    def _reward(self, batch: Any) -> Tensor:
        """The team's reward, with what every step costs."""
        return super()._reward(batch) + self.ices_keys.step_penalty

    # devices, files

    def cuda(self) -> None:
        """Move everything to the current CUDA device."""
        super().cuda()
        self.world.model.cuda()
        self.exploration.value.cuda()

    def save_models(self, path: str | Path) -> None:
        """ValueLearner's files, and explorer.th, explorer_value.th, world.th, ices_opt.th."""
        super().save_models(path)
        for name, module in self._modules().items():
            write_model(Path(path) / FILES[name], module.state_dict())
        write_model(Path(path) / OPTIMISERS_FILE, self._states_of_optimisers())

    def load_models(self, path: str | Path) -> None:
        """Read what `save_models` wrote; the target networks become copies of it.

        Raises:
            ValueError: a file is missing, damaged or of another run; one line, and nothing has changed.
        """
        states = {}
        for name, module in self._modules().items():
            file = str(Path(path) / FILES[name])
            states[name] = read_model(file, f"the parameters of {name}")
            check_parameters(file, states[name], module)
        file = str(Path(path) / OPTIMISERS_FILE)
        optimisers = read_model(file, "the states of the optimisers of explorer and world model")
        self._check_optimisers(file, optimisers)
        super().load_models(path)
        self._load_own(states, optimisers)
        self.target_mac.load_state(self.mac)

    def resume_state(self) -> dict[str, Any]:
        """ValueLearner's, and that of explorer, value net and world model."""
        own = {
            **{name: module.state_dict() for name, module in self._modules().items()},
            "ices_optimisers": self._states_of_optimisers(),
            "world_training": self.world.resume_state(),
        }
        return {**super().resume_state(), **copy.deepcopy(own)}

    def load_resume_state(self, state: Mapping[str, Any]) -> None:
        """Go on from `resume_state`.

        Raises:
            ValueError: the state is of another algorithm, task or size; one line.
        """
        for name, module in self._modules().items():
            check_parameters(f"{self.where}: resumed {name}", state[name], module)
        self._check_optimisers(f"{self.where}: resumed ices_optimisers", state["ices_optimisers"])
        super().load_resume_state(state)
        self._load_own(state, copy.deepcopy(state["ices_optimisers"]))
        self.world.load_resume_state(state["world_training"])

    def _modules(self) -> dict[str, nn.Module]:
        return {
            "explorer": self.mac.explorer,
            "explorer_value": self.exploration.value,
            "world": self.world.model,
        }

    def _optimisers(self) -> dict[str, Optimizer]:
        return {**self.exploration.optimisers, **self.world.optimisers}

    def _states_of_optimisers(self) -> dict[str, Any]:
        return {name: optimiser.state_dict() for name, optimiser in self._optimisers().items()}

    def _check_optimisers(self, path: str, states: Mapping[str, Any]) -> None:
        for name, optimiser in self._optimisers().items():
            check_optimiser(path, states.get(name, {}), optimiser)

    def _load_own(self, parameters: Mapping[str, Any], optimisers: Mapping[str, Any]) -> None:
        for name, module in self._modules().items():
            module.load_state_dict(parameters[name])
        for name, optimiser in self._optimisers().items():
            optimiser.load_state_dict(optimisers[name])
