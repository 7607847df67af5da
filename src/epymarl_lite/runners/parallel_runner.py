"""Several episodes at a time, each in a worker process."""

import multiprocessing
import os
import pickle
from functools import partial
from multiprocessing.connection import wait
from typing import Any, Callable

from epymarl_lite.envs import REGISTRY as env_REGISTRY
from epymarl_lite.runners.base import (
    TEST,
    TRAIN,
    EnvError,
    Episode,
    Runner,
    checked_reward,
    is_terminal,
    numbers_of,
)
from epymarl_lite.runners.env_worker import serve

TIMEOUT_S = 120.0  # for one answer of a worker
_CLOSE_S = 2.0

NOT_SENT = (
    "runner=parallel: the environment {env!r} cannot be sent to a worker process ({error}). "
    "Register a class or a function of a module."
)
_SEEN = ("state", "avail_actions", "obs")


class ParallelRunner(Runner):
    """EPyMARL's `parallel` runner.

    Args:
        args, logger, episode_seed: as of `Runner`.
        start_method: "fork", "spawn", "forkserver", or None for the system's own.
        timeout_s: seconds that a worker may take for one answer.

    Raises:
        ValueError: the environment's name is not in the registry.
        EnvError: a worker raised, died or hung; every worker is ended first.
    """

    def __init__(
        self,
        args: Any,
        logger: Any,
        *,
        episode_seed: Callable[[int, str, int], int],
        start_method: str | None = None,
        timeout_s: float = TIMEOUT_S,
    ):
        super().__init__(args, logger, episode_seed=episode_seed)
        if args.env not in env_REGISTRY:
            raise ValueError(
                f"env={args.env!r} is not known. Known: {', '.join(sorted(env_REGISTRY)) or 'none'}."
            )
        self._timeout_s = timeout_s
        self._doing = ["start"] * self.batch_size  # what each worker was asked last, for error lines
        make = partial(
            env_REGISTRY[args.env],
            **args.env_args,
            common_reward=args.common_reward,
            reward_scalarisation=args.reward_scalarisation,
        )
        self._start(multiprocessing.get_context(start_method), make)
        self._ask(0, "info", TRAIN, "start")
        self.env_info = self._answer(0)
        self.episode_limit = self.env_info["episode_limit"]

    def get_env_info(self) -> dict[str, Any]:
        """Sizes of the task."""
        return self.env_info

    def save_replay(self) -> None:
        """Let the first worker's environment save what it played last."""
        self._ask(0, "save_replay", None, "save_replay")
        self._answer(0)

    def close_env(self) -> None:
        """End the workers; those that do not end by themselves are killed."""
        for connection, process in zip(self._connections, self._processes):
            try:
                if process.is_alive():
                    connection.send(("close", None))
            except OSError:  # it is gone already
                continue
        for process in self._processes:
            process.join(_CLOSE_S)
        self._kill()

    def _start(self, context: Any, make_env: Callable[[], Any]) -> None:
        self._connections, self._processes = [], []
        for _ in range(self.batch_size):
            ours, theirs = context.Pipe()
            process = context.Process(target=serve, args=(theirs, make_env, os.getpid()), daemon=True)
            try:
                process.start()
            except (pickle.PicklingError, AttributeError, TypeError) as error:
                raise ValueError(NOT_SENT.format(env=self.args.env, error=error)) from error
            theirs.close()
            self._connections.append(ours)
            self._processes.append(process)

    def _play(self, n_episodes: int, test_mode: bool) -> list[Episode]:
        stream = TEST if test_mode else TRAIN
        seeds = self._next_seeds(n_episodes, stream)
        sums = [self._no_return() for _ in range(n_episodes)]
        lengths = [0] * n_episodes
        infos: list[dict[str, Any]] = [{} for _ in range(n_episodes)]
        self.batch, self.t = self.new_batch(), 0
        self._ask_reset(stream, seeds)
        running = list(range(n_episodes))
        self._store_seen([self._answer(i) for i in running], running)
        self.mac.init_hidden(batch_size=self.batch_size)
        shown = running  # episodes whose latest state waits for an action, the ended ones' last state too
        while shown:
            actions = self.mac.select_actions(
                self.batch, t_ep=self.t, t_env=self.t_env, bs=shown, test_mode=test_mode
            )
            self.batch.update({"actions": actions.unsqueeze(1)}, bs=shown, ts=self.t, mark_filled=False)
            chosen = dict(zip(shown, actions.cpu().numpy()))
            answers = self._step(running, chosen, stream, seeds)
            shown = running
            for i, answer in zip(shown, answers):
                sums[i] = sums[i] + checked_reward(answer["reward"], f"environment {i}: {self._doing[i]}")
                lengths[i] += 1
                infos[i] = answer["info"]
            if shown:
                self._store_results(answers, shown)
                self.t += 1
                self._store_seen(answers, shown)
            running = [i for i, a in zip(shown, answers) if not (a["terminated"] or a["truncated"])]
            if test_mode and self.args.render and 0 in running:
                self._ask(0, "render", None, "render")
                self._answer(0)
        return [
            Episode(seeds[i], sums[i], lengths[i], numbers_of(infos[i], f"environment {i}: {self._doing[i]}"))
            for i in range(n_episodes)
        ]

    def _ask_reset(self, stream: str, seeds: list[int]) -> None:
        for i, seed in enumerate(seeds):
            self._ask(i, "reset", (stream, seed), f"reset of a {stream} episode with seed {seed}")

    def _step(
        self, running: list[int], chosen: dict[int, Any], stream: str, seeds: list[int]
    ) -> list[dict[str, Any]]:
        for i in running:
            doing = f"{stream} episode with seed {seeds[i]}, step {self.t}, actions {chosen[i].tolist()}"
            self._ask(i, "step", chosen[i], doing)
        return [self._answer(i) for i in running]

    def _store_seen(self, answers: list[dict[str, Any]], rows: list[int]) -> None:
        self.batch.update({key: [answer[key] for answer in answers] for key in _SEEN}, bs=rows, ts=self.t)

    def _store_results(self, answers: list[dict[str, Any]], rows: list[int]) -> None:
        common = self.args.common_reward
        results = {
            "reward": [(a["reward"],) if common else tuple(a["reward"]) for a in answers],
            "terminated": [(is_terminal(a["terminated"], a["info"]),) for a in answers],
        }
        self.batch.update(results, bs=rows, ts=self.t, mark_filled=False)

    def _ask(self, i: int, name: str, argument: Any, doing: str) -> None:
        self._doing[i] = doing
        try:
            self._connections[i].send((name, argument))
        except OSError as error:
            self._fail(i, f"its process is gone (exit code {self._exit_code(i)})", error)

    def _answer(self, i: int) -> Any:
        """The answer of worker `i` to what it was asked last.

        Raises:
            EnvError: it raised, died, or took longer than the time-out.
        """
        connection, process = self._connections[i], self._processes[i]
        ready = wait([connection, process.sentinel], self._timeout_s)
        if not ready:
            self._fail(i, f"no answer within {self._timeout_s:g} s; its process hangs or is stopped")
        if connection not in ready and not connection.poll(0):
            self._fail(i, f"its process is gone (exit code {self._exit_code(i)})")
        try:
            status, result = connection.recv()
        except (EOFError, OSError) as error:
            self._fail(i, f"its process is gone (exit code {self._exit_code(i)})", error)
        if status == "error":
            self._fail(i, result)
        return result

    def _exit_code(self, i: int) -> int | None:
        self._processes[i].join(_CLOSE_S)
        return self._processes[i].exitcode

    def _fail(self, i: int, what: str, cause: BaseException | None = None) -> Any:
        self._kill()
        raise EnvError(f"environment {i}: {self._doing[i]}: {what}") from cause

    def _kill(self) -> None:
        for connection, process in zip(self._connections, self._processes):
            if process.is_alive():
                process.kill()
            process.join()
            connection.close()
