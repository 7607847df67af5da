"""From a key to a task of PettingZoo or Gymnasium, and from that to its simulator."""

from importlib import import_module
from typing import Any, Callable, Mapping

import gymnasium

from async_envs.asynchronize.example import Carriers
from async_envs.asynchronize.family import arguments
from async_envs.asynchronize.simulator import Asynchronized
from async_envs.asynchronize.worlds import FOREIGN, GymnasiumWorld, ParallelWorld, World, in_one_line
from async_envs.core.compile import warm_up

__all__ = ["make_gymnasium", "make_pettingzoo"]

EXAMPLE = "async_envs.asynchronize.example"
MAKER = "parallel_env"

NO_MODULE = (
    "{key}: the module {module} cannot be imported ({error}). Install its package; for a file of this folder put "
    "PYTHONPATH=. before the command; or write another one: async:pettingzoo-MODULE or async:pettingzoo-MODULE:NAME."
)
NO_MAKER = "{key}: the module {module} has no {name}. Write async:pettingzoo-MODULE:NAME with what makes the task."
NO_TASK = (
    "{key}: Gymnasium cannot make {variant} ({error}). Write async:gymnasium-ID, or async:gymnasium-PACKAGE:ID if a "
    "package registers it."
)
NOT_MADE = "{key}: the task cannot be made with kwargs={kwargs!r} ({error}). Check their names and values."
NO_PARALLEL = "{key}: {name} makes a {kind}, expected a pettingzoo.ParallelEnv. Turn-based tasks have no common clock."
NO_AGENTS = "{key}: {name} makes a {kind} without possible_agents. Wrap the task so that it lists them from the start."


def make_pettingzoo(key: str, variant: str, batch_size: int, **options: Any) -> Asynchronized:
    """The simulator of `async:pettingzoo-MODULE`, whose `parallel_env` makes the task, or `-MODULE:NAME`.

    Raises:
        ValueError: no such module or name, arguments that it refuses, or a task that does not fit; one line.
    """
    module, _, name = (EXAMPLE if variant == "example" else variant).partition(":")
    name = name or MAKER
    try:
        found = import_module(module)
    except FOREIGN as error:
        raise ValueError(NO_MODULE.format(key=key, module=module, error=in_one_line(error))) from error
    make = getattr(found, name, None)
    if not callable(make):
        raise ValueError(NO_MAKER.format(key=key, module=module, name=name))
    kwargs = arguments(options.get("kwargs") or "")

    def make_world() -> World:
        env = _made(key, options, lambda: make(**kwargs))
        told = {"key": key, "name": f"{module}:{name}", "kind": type(env).__name__}
        if hasattr(env, "agent_iter") or not hasattr(env, "observation_space"):
            raise ValueError(NO_PARALLEL.format(**told))
        if not getattr(env, "possible_agents", None):
            raise ValueError(NO_AGENTS.format(**told))
        return ParallelWorld(key, env)

    return _simulator(key, batch_size, make_world, options)


def make_gymnasium(key: str, variant: str, batch_size: int, **options: Any) -> Asynchronized:
    """The simulator of `async:gymnasium-ID`; `-PACKAGE:ID` first imports the package, as `gymnasium.make` does.

    Raises:
        ValueError: no such task, arguments that it refuses, or a task that does not fit; one line.
    """
    limit = options.get("episode_limit")
    kwargs = {
        "disable_env_checker": True,
        **({} if limit is None else {"max_episode_steps": limit}),
        **arguments(options.get("kwargs") or ""),
    }

    def make_world() -> World:
        try:
            return GymnasiumWorld(key, _made(key, options, lambda: gymnasium.make(variant, **kwargs)))
        except (gymnasium.error.Error, ImportError) as error:
            raise ValueError(NO_TASK.format(key=key, variant=variant, error=in_one_line(error))) from error

    return _simulator(key, batch_size, make_world, options)


def _simulator(
    key: str, batch_size: int, make_world: Callable[[], World], options: Mapping[str, Any]
) -> Asynchronized:
    warm_up("asynchronize", _play_two_steps)
    return Asynchronized(key, batch_size, make_world, options)


def _play_two_steps() -> None:
    simulator = Asynchronized("warm_up", 1, lambda: ParallelWorld("warm_up", Carriers()), {"jitter": 1})
    simulator.reset([0])
    for _ in range(2):
        simulator.step(simulator.avail_actions.argmax(-1))


def _made(key: str, options: Mapping[str, Any], make: Callable[[], Any]) -> Any:
    try:
        return make()
    except (gymnasium.error.Error, ImportError):  # there is no such task
        raise
    except FOREIGN as error:
        raise ValueError(
            NOT_MADE.format(key=key, kwargs=options.get("kwargs") or "", error=in_one_line(error))
        ) from error
