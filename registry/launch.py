"""From a command line to a run: choose the host, check everything, let sacred keep the books.

Whatever can be refused is refused before sacred starts, in one line on stderr and with exit status 2; nothing
has been written by then. A run that fails ends with status 1, an interrupted one with 130 (Ctrl-C) or 143
(SIGTERM).
"""

import os
import random
import signal
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any, Mapping, Sequence

from registry import checks
from registry import config as configuration
from registry.command_line import Command, new_experiment
from registry.hosts import select
from registry.hosts.base import ENV, Host, Interrupted
from registry.observer import RunFolder
from registry.outcome import summary
from registry.provenance import provenance
from registry.recorder import Recorder
from registry.records import COMPLETED, FAILED, INTERRUPTED, read_records

USAGE = 2  # exit status: refused before any work

BAD_ID = (
    "--id={given}: a run's folder is named with letters, digits, '.', '_', '-' only, not all of them dots. "
    "Choose such a name."
)
TAKEN_ID = "--id={given}: {folder} is there already. Choose another name, or leave out --id."
SACRED_BEHIND = "{folder}: sacred's files are not complete ({error}). records.jsonl there holds every value."
TRACE_HINT = "The full trace: `fail_trace` in {folder}/run.json; -d prints it."
INTERRUPTED_LINE = "Interrupted. {what}"


# what carries a message for users; anything else is shown with its trace
WORDED = (ValueError, TypeError, ArithmeticError, OSError, MemoryError, RuntimeError)


def main(argv: Sequence[str] | None = None, linked: str | os.PathLike[str] | None = None) -> int:
    """Run one command line.

    Args:
        argv: as `sys.argv`, the program's name first.
        linked: the EPyMARL checkout whose own `python src/main.py` was called, if it was.

    Returns:
        the exit status.
    """
    argv = list(sys.argv if argv is None else argv)
    try:
        checkout = Path(linked) if linked is not None else None
        host = select.choose("upstream", checkout) if checkout else select.choose()
        command = Command(argv)
        if command.wants_help:
            print(command.long_usage)
            return 0
        host.console_logger()  # checking may compile kernels, which is announced
        experiment = prepare(host, command, checkout)
    except ValueError as error:
        return refuse(error)
    return execute(host, experiment, command.name, command.updates, command.named, command.options, argv=argv)


def prepare(host: Host, command: Command, linked: Path | None = None) -> Any:
    """A sacred experiment with the whole configuration, after every check.

    Raises:
        ValueError: what is wrong, in one line; nothing was written.
    """
    configured = configuration.assemble(host, command.config, command.env_config, command.updates, linked)
    final = checks.check(host, configured, command.updates, command.options)
    experiment = new_experiment()
    experiment.add_config(configured)
    folder = configuration.task_folder(final)
    check_id(command.options.get("--id"), folder)
    experiment.observers.append(RunFolder(folder))
    return experiment


def check_id(given: str | None, folder: Path) -> None:
    """Refuse an --id that is no folder name of ours, or taken."""
    if given is None:
        return
    if not configuration.is_folder_name(given):
        raise ValueError(BAD_ID.format(given=given))
    if (folder / given).exists():
        raise ValueError(TAKEN_ID.format(given=given, folder=folder / given))


def execute(
    host: Host,
    experiment: Any,
    name: str | None = None,
    updates: Mapping[str, Any] | None = None,
    named: Sequence[str] = (),
    options: Mapping[str, Any] | None = None,
    resume: Path | None = None,
    argv: Sequence[str] = (),
) -> int:
    """Run the experiment's command (training unless `name` says otherwise) and return the exit status.

    `argv` is the command line as typed, for the record.
    """
    from sacred.utils import SacredError

    _remember_terminal(host)
    experiment.logger = host.console_logger()
    done: dict[str, Any] = {}

    def train(_run: Any, _config: Any, _log: Any) -> None:
        """Train as the configuration says."""
        done["run"] = _run
        _train(host, _run, _config, _log, resume, argv)

    experiment.main(train)
    debug = bool((options or {}).get("--debug"))
    before = signal.signal(signal.SIGTERM, _on_sigterm)
    try:
        experiment.run(
            name, dict(updates or {}), list(named), info={}, meta_info={}, options=dict(options or {})
        )
    except KeyboardInterrupt as error:
        status = getattr(error, "exit_status", 128 + signal.SIGINT)
        print(INTERRUPTED_LINE.format(what=_folder_line(done)), file=sys.stderr)
        return int(status)
    except SystemExit as error:
        return error.code if isinstance(error.code, int) and error.code else 1
    except SacredError as error:
        return refuse(error)
    except Exception as error:
        return _failed(error, done, debug)
    finally:
        signal.signal(signal.SIGTERM, before)
    return _finished(host, done)


def _on_sigterm(number: int, frame: Any) -> None:
    raise Interrupted(number)


def _remember_terminal(host: Host) -> None:
    """Let the live line keep the terminal that sacred is about to capture."""
    if host.name == "embedded":
        from epymarl_lite.progress import remember_terminal

        remember_terminal()


def _train(
    host: Host, run: Any, config: Mapping[str, Any], log: Any, resume: Path | None, argv: Sequence[str]
) -> None:
    """Seed everything, open the record, hand over to the host, and say how it ended."""
    import numpy as np
    import torch

    settings = plain(config)
    given_config = plain(config)
    seed = settings["seed"]
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    torch.set_num_threads(settings["threads"])
    settings["env_args"]["seed"] = seed
    if settings["env"] == ENV:
        given = settings["env_args"]
        settings["env_args"] = {name: given[name] for name in given if given[name] is not None}

    folder = run_folder(run)
    if folder is None:
        log.info("This run is unobserved: no record of it is kept.")
        host.run(run, settings, log, resume=resume)
        return
    log.info("Run folder: %s", folder.dir)
    with Recorder(str(folder.dir), lock=folder.lock) as recorder:
        recorder.on_rewind = lambda: _rebuild(folder, recorder, run)
        if folder.is_resumed and resume is None:  # it had no checkpoint yet: from its first step
            recorder.rewind(0)
        host.recorder = recorder
        origin = provenance(given_config, argv, host.name)
        recorder.start(origin, host=host.name, resumed=resume is not None)
        try:
            host.run(run, settings, log, resume=resume)
        except KeyboardInterrupt:
            recorder.status(INTERRUPTED)
            raise
        except BaseException as error:
            _say_failed(recorder, error)
            raise
        finally:
            host.recorder = None  # hosts outlive runs
        recorder.status(COMPLETED)


def _rebuild(folder: RunFolder, recorder: Recorder, run: Any) -> None:
    """sacred's metrics and info as the rewound record says; what it still holds back would come twice."""
    run._metrics.get_last_metrics()
    folder.rebuild(read_records(recorder.run_dir), run.info)


def _say_failed(recorder: Recorder, error: BaseException) -> None:
    """Book FAILED if the disk lets us; the error itself goes on its way."""
    try:
        recorder.status(FAILED, error=f"{type(error).__name__}: {error}")
    except OSError:
        pass


def run_folder(run: Any) -> RunFolder | None:
    """The observer that keeps the run's folder, or None for an unobserved run."""
    return next((observer for observer in run.observers if isinstance(observer, RunFolder)), None)


def plain(value: Any) -> Any:
    """sacred's containers as plain dicts and lists, copied."""
    if isinstance(value, Mapping):
        return {key: plain(below) for key, below in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(below) for below in value]
    return deepcopy(value)


def refuse(error: Exception) -> int:
    """Print one line; the exit status for a command that was refused."""
    print(" ".join(str(error).split()), file=sys.stderr)
    return USAGE


def _folder_line(done: Mapping[str, Any]) -> str:
    folder = run_folder(done["run"]) if "run" in done else None
    return f"Results: {folder.dir}" if folder is not None else "Nothing was kept."


def _failed(error: Exception, done: Mapping[str, Any], debug: bool) -> int:
    """One line for what we or the system worded, a trace for what nobody foresaw."""
    if debug:
        raise error
    text = str(error)
    is_worded = isinstance(error, WORDED)
    if is_worded and text and "\n" not in text:
        print(text, file=sys.stderr)
        folder = run_folder(done["run"]) if "run" in done else None
        if folder is not None:
            print(TRACE_HINT.format(folder=folder.dir), file=sys.stderr)
        return 1
    from sacred.utils import print_filtered_stacktrace

    print_filtered_stacktrace()
    return 1


def _finished(host: Host, done: Mapping[str, Any]) -> int:
    """Say where the results are and how the last test went, unless the host has."""
    folder = run_folder(done["run"]) if "run" in done else None
    if folder is None:
        return 0
    if folder.error is not None:
        print(SACRED_BEHIND.format(folder=folder.dir, error=folder.error), file=sys.stderr)
        return 1
    if not host.is_ours:
        print(f"Results: {folder.dir}. {summary(read_records(str(folder.dir)))}")
    return 0
