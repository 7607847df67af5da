"""Evaluating saved networks: test episodes of any seeds, their replay, and networks as safetensors.

Networks are evaluated in double precision, so that what an episode comes to depends on its seed, not on how
many are played together nor, but for ties below 1e-12 or so, on the machine.
"""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, Mapping, Sequence

import torch
from torch import Tensor

from async_envs.core.errors import unknown_name
from plugins.runners.playing import Episode, check_lengths, controlled, play, recorded
from registry import catalog, checks
from registry.hosts.base import ENV

__all__ = ["Episode", "agent_weights", "evaluate", "load_weights", "replay", "save_weights"]

BATCH = 64  # episodes at once
WHERE = "evaluate"

OTHER_TASK = "{where}: the task {key!r} is not one of ours, expected a key of `python -m registry keys`."
NOT_OURS = "{where}: mac={mac!r} is not one of our controllers, expected {known}. Evaluate it with its own host."
NO_WEIGHTS = "{path}: no saved networks lie there (agent.th or state.pt). Name a folder below models or checkpoints."
NO_FILE = "{path}: no such file, expected an agent's parameters in safetensors."
NOT_SAFE = (
    "{path}: this is not a safetensors file ({error}). Nothing in it was run; write it with "
    "registry.evaluation.save_weights."
)
NOT_NUMBERS = "{path}: {name!r} holds {what}, expected finite floating-point numbers. Take other networks."
NO_ACTIONS = "{key}: episode with seed {seed}: actions of shape {shape}, expected [steps, {n}] whole numbers."
LACKS = "{where}: the configuration lacks {key!r}. Use the run's whole configuration, as its config.json holds it."
TOO_WIDE = "{where}: hidden_dim={given} is more than all {n} numbers of these networks. Use their own configuration."


def evaluate(
    config: Mapping[str, Any],
    weights: Mapping[str, Tensor] | Path | str,
    seeds: Sequence[int],
    batch_size: int = BATCH,
) -> list[Episode]:
    """Play one test episode a seed with the algorithm's own controller.

    Utilities are followed greedily; policies as in the run's tests, drawn from or, with `test_greedy`, greedily.

    Args:
        config: the run's whole configuration, as its config.json holds it.
        weights: the agent's parameters by name, or their safetensors file.
        seeds: episode seeds, see `async_envs.core.seeding.episode_seed`.
        batch_size: episodes played together; changes the time it takes, not what comes of it.

    Returns:
        the episodes, in the order of `seeds`.

    Raises:
        ValueError: a configuration of another task or controller than ours, or parameters that do not fit it; one
            line.
    """
    from plugins.envs import build_simulator

    where = str(weights) if isinstance(weights, (Path, str)) else WHERE
    given = load_weights(weights) if isinstance(weights, (Path, str)) else dict(weights)
    settings = checked_settings(config)
    played: list[Episode] = []
    mac = None
    for first in range(0, len(seeds), batch_size):
        now = [int(seed) for seed in seeds[first : first + batch_size]]
        simulator = build_simulator(catalog.make, settings["env_args"], len(now))
        if mac is None:
            mac = build_controller(settings, simulator, given, where)
        mac.init_hidden(len(now), seeds=now)
        played += play(simulator, now, controlled(mac))
        simulator.close()
    return played


def replay(key: str, options: Mapping[str, Any], episodes: Sequence[Episode]) -> list[dict[str, Any]]:
    """Play recorded actions again.

    Args:
        key: the task.
        options: the family's, and `vsp`; what a host adds to them is passed over.
        episodes: seeds and actions; their values are not read.

    Returns:
        the values found, one dict an episode, as `evaluate` gives them.

    Raises:
        ValueError: an action that was not available, or more or fewer than the episode has steps; one line.
    """
    from plugins.envs import build_simulator

    env_args = {**options, "key": key}
    checks.check_task({name: value for name, value in env_args.items() if name != "seed"})
    found: list[dict[str, Any]] = []
    for first in range(0, len(episodes), BATCH):
        now = episodes[first : first + BATCH]
        simulator = build_simulator(catalog.make, env_args, len(now))
        check_actions(simulator.key, simulator.n_agents, now)
        played = play(simulator, [episode.seed for episode in now], recorded(now))
        check_lengths(simulator.key, now, played)
        simulator.close()
        found += [episode.values for episode in played]
    return found


def check_actions(key: str, n_agents: int, episodes: Sequence[Episode]) -> None:
    """Refuse recorded actions that are no table of whole numbers with a column for each agent."""
    for episode in episodes:
        actions = episode.actions
        if actions.ndim != 2 or actions.shape[1] != n_agents or actions.dtype.kind not in "iu":
            raise ValueError(
                NO_ACTIONS.format(key=key, seed=episode.seed, shape=list(actions.shape), n=n_agents)
            )


def checked_settings(config: Mapping[str, Any], where: str = WHERE) -> dict[str, Any]:
    """The configuration with what an evaluation needs laid over it.

    Raises:
        ValueError: another task or controller than ours, or values that are not accepted; one line.
    """
    from plugins.agents import AGENTS, POLICIES
    from plugins.config.schema import check_config
    from plugins.controllers import CONTROLLERS

    env_args = dict(config.get("env_args") or {})
    if config.get("env") != ENV or not catalog.is_key(env_args.get("key")):
        raise ValueError(OTHER_TASK.format(where=where, key=env_args.get("key")))
    env_args.pop("seed", None)
    checks.check_task(env_args)
    check_config(config)
    if config.get("mac") not in CONTROLLERS:
        raise ValueError(NOT_OURS.format(where=where, mac=config.get("mac"), known=", ".join(CONTROLLERS)))
    agents = POLICIES if config["mac"] == "policy_mac" else AGENTS
    if config.get("agent") not in agents:
        raise ValueError(unknown_name(where, "agent", config.get("agent"), agents))
    return {**config, "env_args": env_args, "evaluation_epsilon": 0.0, "batch_size_run": 1}


def build_controller(
    settings: Mapping[str, Any], simulator: Any, weights: Mapping[str, Tensor], where: str = WHERE
) -> Any:
    """The controller of `settings` with `weights` as its agent's parameters, in double precision.

    Raises:
        ValueError: parameters that do not fit; one line.
    """
    from plugins.controllers import CONTROLLERS
    from plugins.learners.files import check_parameters

    n_numbers = sum(value.numel() for value in weights.values() if isinstance(value, Tensor))
    if settings.get("hidden_dim", 0) > n_numbers:  # before anything of that size is made
        raise ValueError(TOO_WIDE.format(where=where, given=settings["hidden_dim"], n=n_numbers))
    args = SimpleNamespace(**settings)
    args.n_agents, args.n_actions = simulator.n_agents, simulator.n_actions
    scheme = {"obs": {"vshape": simulator.obs_dim}, "state": {"vshape": simulator.state_dim}}
    try:
        with torch.random.fork_rng(devices=[]):  # parameters are drawn, and replaced
            mac = catalog.load(CONTROLLERS[args.mac])(scheme, {"agents": simulator.n_agents}, args)
    except AttributeError as error:
        raise ValueError(LACKS.format(where=where, key=error.name)) from error
    check_parameters(where, weights, mac.agent)
    mac.agent.double()
    mac.agent.load_state_dict(weights)
    return mac


def agent_weights(folder: Path | str) -> dict[str, Tensor]:
    """The agent's parameters saved in a folder below models or checkpoints.

    Raises:
        ValueError: none, or damaged; one line.
    """
    from epymarl_lite.checkpoint import read_checkpoint
    from plugins.learners.files import read_model

    folder = Path(folder)
    if (folder / "agent.th").is_file():
        return read_model(str(folder / "agent.th"), "the agent's parameters")
    if (folder / "state.pt").is_file():
        state: dict[str, Tensor] = read_checkpoint(folder).state["learner"]["agent"]
        return state
    raise ValueError(NO_WEIGHTS.format(path=folder))


def save_weights(models_dir: Path | str, path: Path | str) -> None:
    """Write the agent's parameters of a folder below models or checkpoints as safetensors, whole or not at all.

    Raises:
        ValueError: no networks there, or damaged ones; one line.
        OSError: the disk refused twice.
    """
    from epymarl_lite.utils.files import write_file

    write_file(Path(path), as_safetensors(agent_weights(models_dir)))


def as_safetensors(weights: Mapping[str, Tensor]) -> bytes:
    """Parameters in the format of safetensors, which holds numbers only."""
    from safetensors.torch import save

    return save({name: value.detach().contiguous().clone() for name, value in weights.items()})


def load_weights(path: Path | str) -> dict[str, Tensor]:
    """The parameters in a safetensors file.

    Raises:
        ValueError: no such file, another format (a pickle is not opened), or numbers that are not finite; one line.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    path = Path(path)
    if not path.is_file():
        raise ValueError(NO_FILE.format(path=path))
    try:
        weights: dict[str, Tensor] = load(path.read_bytes())
    except (SafetensorError, KeyError, RuntimeError, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(NOT_SAFE.format(path=path, error=reason)) from error
    for name, value in weights.items():
        if not value.is_floating_point():
            raise ValueError(NOT_NUMBERS.format(path=path, name=name, what=f"{value.dtype}"))
        if not torch.isfinite(value).all():
            raise ValueError(NOT_NUMBERS.format(path=path, name=name, what="NaN or infinity"))
    return weights
