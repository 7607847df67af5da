"""One environment in a process of its own."""

import logging
import os
import signal
from multiprocessing.connection import Connection
from typing import Any, Callable

_PARENT_CHECK_S = 2.0
_LOG = logging.getLogger(__name__)


def serve(connection: Connection, make_env: Callable[[], Any], parent: int) -> None:
    """Answer requests (name, argument) with ("ok", result) or ("error", text) until asked to close.

    Ends by itself when the parent process is gone. Ctrl-C is the parent's business.

    Args:
        connection: this end of a pipe.
        make_env: makes an environment.
        parent: process id of the parent.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    envs = _Envs(make_env)
    while True:
        while not connection.poll(_PARENT_CHECK_S):
            if os.getppid() != parent:
                return
        try:
            name, argument = connection.recv()
        except EOFError:
            return
        try:
            answer: tuple[str, Any] = ("ok", getattr(envs, name)(argument))
        except Exception as error:
            _LOG.debug("an environment failed", exc_info=True)
            answer = ("error", f"{type(error).__name__}: {error}")
        connection.send(answer)
        if name == "close":
            return


class _Envs:
    """The requests: one environment for training and one for test episodes, made when first needed."""

    def __init__(self, make_env: Callable[[], Any]):
        self._make_env = make_env
        self._envs: dict[str, Any] = {}
        self._env: Any = None

    def info(self, stream: str) -> dict[str, Any]:
        return self._use(stream).get_env_info()

    def reset(self, argument: tuple[str, int]) -> dict[str, Any]:
        stream, seed = argument
        self._use(stream).reset(seed=seed)
        return self._seen()

    def step(self, actions: Any) -> dict[str, Any]:
        _, reward, terminated, truncated, info = self._env.step(actions)
        return {
            "reward": reward,
            "terminated": terminated,
            "truncated": truncated,
            "info": info,
            **self._seen(),
        }

    def render(self, _: None) -> None:
        self._env.render()

    def save_replay(self, _: None) -> None:
        self._env.save_replay()

    def close(self, _: None) -> None:
        for env in self._envs.values():
            env.close()

    def _use(self, stream: str) -> Any:
        if stream not in self._envs:
            env = self._make_env()
            if hasattr(env, "stream"):
                env.stream = stream
            self._envs[stream] = env
        self._env = self._envs[stream]
        return self._env

    def _seen(self) -> dict[str, Any]:
        env = self._env
        return {"state": env.get_state(), "avail_actions": env.get_avail_actions(), "obs": env.get_obs()}
