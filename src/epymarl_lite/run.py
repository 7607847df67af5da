"""EPyMARL's `run`: from a configuration to results."""

import datetime
import logging
import pprint
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Mapping

import torch as th

from epymarl_lite.components.memory import check_fits
from epymarl_lite.components.replay_buffer import PlainReplayBuffer, ReplayBuffer, predicted_bytes
from epymarl_lite.components.transforms import OneHot
from epymarl_lite.controllers import REGISTRY as mac_REGISTRY
from epymarl_lite.interrupt import Interrupted, StopRequest
from epymarl_lite.learners import REGISTRY as le_REGISTRY
from epymarl_lite.lock import locked
from epymarl_lite.models import load_models
from epymarl_lite.results import sentence, summary
from epymarl_lite.runners import REGISTRY as r_REGISTRY
from epymarl_lite.training import Training
from epymarl_lite.utils.logging import Logger
from epymarl_lite.utils.random_state import seed_all

__all__ = ["Interrupted", "run", "run_sequential"]


def run(
    _run: Any, config: Mapping[str, Any], _log: logging.Logger, recorder: Any = None, resume: Any = None
) -> dict[str, float]:
    """Train, or evaluate, as the configuration says.

    Args:
        _run: sacred's run; None runs without sacred.
        config: every key of default.yaml, of the environment's and of the algorithm's yaml.
        _log: where lines for people go.
        recorder: has metric(name, value, t_env), test(t_env, episodes, decisions), run_dir, position(),
            wall_s() and rewind(position, wall_s); its owner records how the run ended. None records nothing.
        resume: checkpoint, or folder of a run, to go on from.

    Returns:
        The numbers of the last test cycle (`results.summary`).

    Raises:
        Interrupted: SIGINT or SIGTERM came; a checkpoint is written.
        ValueError: a configuration that cannot run; one line.
        Any error of the environment, the learner or the disk.
    """
    args = arguments(config, _log)
    logger = Logger(_log, recorder)
    _log.info("Experiment Parameters:\n\n%s\n", pprint.pformat(dict(config), indent=4, width=1))
    _set_up_logging(logger, _run, args, config)
    run_dir = run_directory(args, _run, recorder)
    with StopRequest() as stop, locked(run_dir):
        try:
            results = run_sequential(args, logger, recorder, run_dir=run_dir, resume=resume, stop=stop)
        finally:
            logger.finish()
    if results:
        _log.info("Results: %s. Final %s.", run_dir, sentence(results))
    return results


def run_sequential(
    args: Any,
    logger: Any,
    recorder: Any = None,
    *,
    run_dir: Path | None = None,
    resume: Any = None,
    stop: StopRequest | None = None,
) -> dict[str, float]:
    """Build runner, buffer, controller and learner, and let them work.

    Args:
        args: the configuration as attributes, from `arguments`; sizes of the task are added to it.
        logger, recorder, resume: as of `run`.
        run_dir: where models and checkpoints go; None makes a folder in local_results_path.
        stop: asked between two rollouts.

    Returns:
        The numbers of the last test cycle.
    """
    if run_dir is None:
        run_dir = run_directory(args, None, recorder)
    runner = _registered("runner", args.runner, r_REGISTRY)(args=args, logger=logger)
    try:
        scheme, groups, preprocess = layout(args, runner.get_env_info())
        buffer = make_buffer(args, scheme, groups, preprocess, runner.get_env_info()["episode_limit"] + 1)
        controller = _registered("mac", args.mac, mac_REGISTRY)(buffer.scheme, groups, args)
        runner.setup(scheme=scheme, groups=groups, preprocess=preprocess, mac=controller)
        learner = _registered("learner", args.learner, le_REGISTRY)(controller, buffer.scheme, logger, args)
        if args.use_cuda:
            learner.cuda()
        training = Training(
            args,
            logger,
            recorder,
            runner=runner,
            buffer=buffer,
            controller=controller,
            learner=learner,
            run_dir=run_dir,
            stop=StopRequest() if stop is None else stop,
        )
        if args.checkpoint_path:
            runner.t_env = load_models(learner, args.checkpoint_path, args.load_step)
            logger.console_logger.info(
                "Loaded the models of step %d from %s", runner.t_env, args.checkpoint_path
            )
            if args.evaluate or args.save_replay:
                return _evaluate(args, logger, runner)
        if resume is not None:
            training.resume(Path(resume))
        return training.train()
    finally:
        runner.close_env()


def arguments(config: Mapping[str, Any], log: logging.Logger) -> SimpleNamespace:
    """The configuration as attributes; seeds the process and sets its threads and device.

    Raises:
        ValueError: keys that contradict each other; one line.
    """
    args = SimpleNamespace(**config)
    args.env_args = {"seed": args.seed, **args.env_args}
    if args.batch_size > args.buffer_size:
        raise ValueError(
            f"buffer_size={args.buffer_size} holds fewer episodes than one update takes "
            f"(batch_size={args.batch_size}). "
            f"Set buffer_size={args.batch_size} or more."
        )
    if (args.evaluate or args.save_replay) and not args.checkpoint_path:
        raise ValueError("evaluate and save_replay play a saved model. Name it with checkpoint_path=FOLDER.")
    if args.use_cuda and not th.cuda.is_available():
        args.use_cuda = False
        log.info("use_cuda is switched off: there is no CUDA device.")
    args.device = "cuda" if args.use_cuda else "cpu"
    th.set_num_threads(args.threads)
    seed_all(args.seed)
    task = args.env_args.get("map_name") or args.env_args.get("key") or args.env
    token = f"{args.name}_seed{args.seed}_{task}_{datetime.datetime.now():%Y-%m-%d_%H-%M-%S-%f}"
    args.unique_token = re.sub(r"[^A-Za-z0-9._-]", "-", token)
    return args


def layout(args: Any, env_info: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, int], dict[str, Any]]:
    """EPyMARL's scheme, groups and preprocess for a task; writes its sizes into `args`."""
    args.n_agents, args.n_actions = env_info["n_agents"], env_info["n_actions"]
    args.state_shape = env_info["state_shape"]
    scheme = {
        "state": {"vshape": env_info["state_shape"]},
        "obs": {"vshape": env_info["obs_shape"], "group": "agents"},
        "actions": {"vshape": (1,), "group": "agents", "dtype": th.long},
        "avail_actions": {"vshape": (args.n_actions,), "group": "agents", "dtype": th.int},
        "terminated": {"vshape": (1,), "dtype": th.uint8},
        "reward": {"vshape": (1,) if args.common_reward else (args.n_agents,)},
    }
    preprocess = {"actions": ("actions_onehot", [OneHot(out_dim=args.n_actions)])}
    return scheme, {"agents": args.n_agents}, preprocess


def make_buffer(args: Any, scheme: Any, groups: Any, preprocess: Any, max_seq_length: int) -> Any:
    """The replay buffer, after a look at the memory it will need.

    Raises:
        ValueError: memory will not do; one line with a buffer_size that would.
    """
    check_memory(args, scheme, groups, preprocess, max_seq_length)
    kind = ReplayBuffer if args.compact_buffer else PlainReplayBuffer
    device = "cpu" if _is_in_memory(args) else args.device
    return kind(
        scheme, groups, args.buffer_size, max_seq_length, preprocess=preprocess, device=device, seed=args.seed
    )


def check_memory(args: Any, scheme: Any, groups: Any, preprocess: Any, max_seq_length: int) -> None:
    """Refuse a replay buffer that main memory will not hold; on a GPU nothing is predicted.

    Raises:
        ValueError: one line with a buffer_size that would do.
    """
    if not _is_in_memory(args):
        return
    steps_at_most = args.t_max + args.batch_size_run * max_seq_length
    n_bytes = predicted_bytes(
        scheme, groups, preprocess, args.buffer_size, max_seq_length, steps_at_most, args.compact_buffer
    )
    check_fits(n_bytes, args.buffer_size, "" if args.compact_buffer else ", or compact_buffer=True")


def _is_in_memory(args: Any) -> bool:
    return bool(args.compact_buffer or args.buffer_cpu_only)


def run_directory(args: Any, _run: Any, recorder: Any) -> Path:
    """The recorder's folder, else sacred's file observer's, else one of our own in local_results_path."""
    if recorder is not None:
        return Path(recorder.run_dir)
    for observer in getattr(_run, "observers", []):
        if getattr(observer, "dir", None):
            return Path(observer.dir)
    return Path(args.local_results_path) / "runs" / args.unique_token


def _evaluate(args: Any, logger: Any, runner: Any) -> dict[str, float]:
    """Play test_nepisode test episodes with the models that were loaded."""
    runner.log_train_stats_t = runner.t_env
    episodes = runner.evaluate(args.test_nepisode)
    if args.save_replay:
        runner.save_replay()
    logger.log_stat("episode", len(episodes), runner.t_env)
    logger.print_recent_stats()
    logger.console_logger.info("Finished Evaluation")
    return summary(runner.t_env, episodes)


def _set_up_logging(logger: Logger, _run: Any, args: Any, config: Mapping[str, Any]) -> None:
    if args.use_tensorboard:
        logger.setup_tb(str(Path(args.local_results_path) / "tb_logs" / args.unique_token))
    if args.use_wandb:
        logger.setup_wandb(config, args.wandb_team, args.wandb_project, args.wandb_mode)
    if _run is not None:
        logger.setup_sacred(_run)


def _registered(key: str, name: str, registry: Mapping[str, Any]) -> Any:
    if name not in registry:
        raise ValueError(f"{key}={name!r} is not known. Known: {', '.join(sorted(registry)) or 'none'}.")
    return registry[name]
