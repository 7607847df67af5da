"""EPyMARL's training loop: roll out, store, learn, and now and then test, save, log."""

from pathlib import Path
from typing import Any

import torch as th

from epymarl_lite.best import Best
from epymarl_lite.interrupt import Interrupted, StopRequest
from epymarl_lite.models import copy_to_wandb, save_models
from epymarl_lite.progress import Progress, terminal
from epymarl_lite.results import sentence, summary
from epymarl_lite.saving import Saver
from epymarl_lite.utils.random_state import random_states, set_random_states

_CHECKED = ("state", "obs", "reward")


class Training:
    """One run between its parts being built and its end.

    Args:
        args: the run's configuration.
        logger, recorder: where statistics go; the recorder may be None.
        runner, buffer, controller, learner: the parts; each has `resume_state` and `load_resume_state`.
        run_dir: models/ and checkpoints/ are written there.
        stop: asked between two rollouts.
    """

    def __init__(
        self,
        args: Any,
        logger: Any,
        recorder: Any,
        *,
        runner: Any,
        buffer: Any,
        controller: Any,
        learner: Any,
        run_dir: Path,
        stop: StopRequest,
    ):
        self.args, self.logger, self.recorder = args, logger, recorder
        self.runner, self.buffer, self.controller, self.learner = runner, buffer, controller, learner
        self.run_dir, self._stop = Path(run_dir), stop
        self._console = logger.console_logger
        self._saver = Saver(self.run_dir, args.checkpoint_buffer, self._console)
        self.best = Best(self.run_dir / "models", args.save_best_model)
        self._progress = Progress(args.t_max, logger.console_logger, terminal(), args.progress)
        self.results: dict[str, float] = {}
        self.episode = 0
        self.last_test_t = -args.test_interval - 1  # the first rollout is tested
        self.last_log_t = 0
        self.model_saved_t = 0
        self.checkpoint_t = 0
        self.owed_updates = 0.0
        self._is_resumed = False
        if hasattr(learner, "use_sampler"):
            learner.use_sampler(self._sample)

    def train(self) -> dict[str, float]:
        """Train until t_max is passed; returns the numbers of the last test cycle.

        Raises:
            Interrupted: a signal came; a checkpoint is written.
            WriteError: the disk refused a write twice.
        """
        task = self.args.env_args.get("key") or self.args.env_args.get("map_name") or self.args.env
        self._console.info("Run folder: %s", self.run_dir)
        self._console.info(
            "Beginning training: %s on %s, seed %d, host embedded, %s steps",
            self.args.name, task, self.args.seed, f"{self.args.t_max:,}",
        )  # fmt: skip
        if not self._is_resumed:
            self.best.begin()
        self._progress.start(self.runner.t_env)
        try:
            while self.runner.t_env <= self.args.t_max:
                self._leave_if_asked()
                episodes = self._rollout()
                self._learn(episodes)
                self._test_if_due()
                self._save_models_if_due()
                self.episode += episodes
                self._log_if_due()
                self._checkpoint_if_due()
            self._finish()
        finally:
            self._progress.close()
        return self.results

    def resume(self, path: Path) -> None:
        """Take up a checkpoint: a run's folder, its checkpoints folder, or one checkpoint.

        Raises:
            CheckpointError: none is there or whole, or it is of another configuration.
        """
        self._saver.resume(self, path)
        self._is_resumed = True

    def test(self) -> None:
        """Play test_nepisode test episodes; training goes on as if they had drawn nothing."""
        states = random_states()
        t_env = self.runner.t_env
        episodes = self.runner.evaluate(self.args.test_nepisode)
        set_random_states(states)
        self.last_test_t = t_env
        self.results = summary(t_env, episodes)
        self._progress.test(self.results.get("win_rate"), self.results["return"])
        self._console.info("%s", sentence(self.results).capitalize())
        if self.best.consider(self.learner, self.results):
            self._console.info("The best test so far; its models are kept in models/best.")

    def _leave_if_asked(self) -> None:
        if self._stop.signum is None:
            return
        saved = self._saver.save(self)
        raise Interrupted(self._stop.signum, f"checkpoint {saved.path}" if saved else "no checkpoint")

    def _rollout(self) -> int:
        """Play and store one rollout; returns its number of episodes."""
        batch = self.runner.run(test_mode=False)
        check_finite(batch, self.runner.t_env)
        self.buffer.insert_episode_batch(batch)
        self._progress.update(self.runner.t_env)
        return batch.batch_size

    def _learn(self, n_episodes: int) -> None:
        """updates_per_episode updates for each episode of the rollout, as if these had come one by one."""
        if not self.buffer.can_sample(self.args.batch_size):
            return
        self.owed_updates += self.args.updates_per_episode * n_episodes
        n_updates = int(self.owed_updates)
        self.owed_updates -= n_updates
        for i in range(n_updates):
            self.learner.train(
                self._sample(), self.runner.t_env, self.episode + int(i / self.args.updates_per_episode)
            )

    def _sample(self) -> Any:
        """Episodes for an update, cut to the longest; the batch of the call before is written over."""
        sample = self.buffer.sample(self.args.batch_size)
        sample = sample[:, : sample.max_t_filled()]
        if sample.device != self.args.device:
            sample.to(self.args.device)
        return sample

    def _test_if_due(self) -> None:
        if self.runner.t_env - self.last_test_t >= self.args.test_interval:
            self.test()

    def _save_models_if_due(self) -> None:
        t_env = self.runner.t_env
        if self.args.save_model and (
            self.model_saved_t == 0 or t_env - self.model_saved_t >= self.args.save_model_interval
        ):
            self._save_models()

    def _save_models(self) -> None:
        self.model_saved_t = self.runner.t_env
        path = save_models(self.learner, self.run_dir / "models", self.runner.t_env)
        self._console.info("Saved models to %s", path)
        if self.args.use_wandb and self.args.wandb_save_model:
            copy_to_wandb(path, self.logger.wandb.dir, self.args.unique_token)

    def _log_if_due(self) -> None:
        if self.runner.t_env - self.last_log_t >= self.args.log_interval:
            self.last_log_t = self.runner.t_env
            self.logger.log_stat("episode", self.episode, self.runner.t_env)
            self.logger.print_recent_stats()

    def _checkpoint_if_due(self) -> None:
        interval = self.args.checkpoint_interval
        if interval and self.runner.t_env - self.checkpoint_t >= interval:
            self._saver.save(self)

    def _finish(self) -> None:
        """One test cycle at the end (never two at the same step), and what the intervals left out."""
        if self.last_test_t != self.runner.t_env:
            self.test()
        if self.args.save_model and self.model_saved_t != self.runner.t_env:
            self._save_models()
        if self.args.checkpoint_interval and self.checkpoint_t != self.runner.t_env:
            self._saver.save(self)
        self._console.info("Finished Training")


def check_finite(batch: Any, t_env: int) -> None:
    """Stop at the first number that is none.

    Raises:
        ValueError: NaN or infinity in the state, an observation or a reward; names episode and step.
    """
    for name in _CHECKED:
        values = batch[name]
        if th.isfinite(values).all():
            continue
        b, t = (int(i) for i in (~th.isfinite(values)).nonzero()[0][:2])
        raise ValueError(
            f"rollout up to step {t_env}: {name} of episode {b}, its step {t}, holds NaN or infinity. "
            "Mend the environment; nothing was learned from this rollout."
        )
