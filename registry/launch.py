"""From a command line to a run: choose the host, check everything, let sacred keep the books.

Whatever can be refused is refused before sacred starts, in one line on stderr and with exit status 2; nothing has
been written by then. A run that fails ends with status 1, an interrupted one with 130 (Ctrl-C) or 143 (SIGTERM).
"""

import os
import random
import shutil
import signal
import subprocess
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any, Mapping, Sequence

from registry import config as configuration
from registry.hosts import select
from registry.hosts.base import ENV, Host, Interrupted
from registry.observer import RunFolder
from registry.recorder import COMPLETED, FAILED, INTERRUPTED, RUNNING, Recorder, read_records

ROOT = Path(__file__).resolve().parent.parent

USAGE = 2  # exit status: refused before any work

DOC = """Train or test cooperative agents.

  --config=NAME        the algorithm (python -m registry algorithms lists ours); host:NAME is the host's own
  --env-config=NAME    an environment file; left out when env_args.key begins with async:
  with KEY=VALUE ...   anything in the configuration, e.g. with env_args.key=async:poac t_max=50000 seed=1

The environment variables EPYMARL_HOST (embedded, upstream, pymarlzooplus) and EPYMARL_HOME choose the host."""

BAD_LINE = "{argv}: this command line is not understood. Write --config=NAME with KEY=VALUE, or -h for help."
BAD_WITH = "with {given}: neither KEY=VALUE nor a file of settings. Write KEY=VALUE."
BAD_FILE = "with {given}: the file of settings cannot be read ({error}). Use json or yaml with one mapping."
BAD_ID = "--id={given}: a run's folder is named with letters, digits, '.', '_' and '-' only. Choose such a name."
TAKEN_ID = "--id={given}: {folder} is there already. Choose another name, or leave out --id."
SACRED_BEHIND = "{folder}: sacred's files are not complete ({error}). records.jsonl there holds every value."
TRACE_HINT = "The full trace: `fail_trace` in {folder}/run.json; -d prints it."
INTERRUPTED_LINE = "Interrupted. {what}"


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
    return execute(host, experiment, command.name, command.updates, command.named, command.options)


class Command:
    """A command line taken apart: our flags, sacred's flags, and the values behind `with`."""

    def __init__(self, argv: Sequence[str]):
        rest = list(argv[1:])
        self.program = argv[0]
        self.config = _take(rest, "--config")
        self.env_config = _take(rest, "--env-config")
        self.wants_help = bool({"-h", "--help"} & set(rest[: rest.index("with") if "with" in rest else None]))
        self.wants_help = self.wants_help or rest[:1] == ["help"]
        experiment = new_experiment()
        _, self.long_usage, internal = experiment.get_usage(self.program)
        self.options, self.name, given = _parse(internal, rest)
        self.updates, self.named = _split_updates(given)


def _take(rest: list[str], flag: str) -> str | None:
    """Remove `flag=VALUE` or `flag VALUE` from the words before `with`; the last one counts."""
    found = None
    end = rest.index("with") if "with" in rest else len(rest)
    for i in reversed(range(len(rest))):
        name, equals, value = rest[i].partition("=")
        if name != flag:
            continue
        words = 1
        if not equals and i + 1 < end:
            value, words = rest[i + 1], 2
        found = found or value
        del rest[i:i + words]
    return found


def _parse(usage: str, rest: list[str]) -> tuple[dict[str, Any], str | None, list[str]]:
    """sacred's flags, the command's name and the words behind `with`."""
    from docopt import DocoptExit, docopt

    if rest[:1] == ["help"] or "-h" in rest or "--help" in rest:
        return {}, None, []
    try:
        parsed = dict(docopt(usage, rest, default_help=False))
    except DocoptExit:
        raise ValueError(BAD_LINE.format(argv=" ".join(rest))) from None
    return parsed, parsed.get("COMMAND"), list(parsed.get("UPDATE") or [])


def _split_updates(given: list[str]) -> tuple[dict[str, Any], list[str]]:
    """(values nested by their dots, files of settings), as sacred reads them."""
    from sacred.arg_parser import get_config_updates
    from sacred.config.config_files import load_config_file

    try:
        updates, named = get_config_updates(given)
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(BAD_WITH.format(given=" ".join(given))) from error
    values: dict[str, Any] = {}
    for name in named:
        if not Path(name).is_file():
            raise ValueError(BAD_WITH.format(given=name))
        try:
            loaded = load_config_file(name)
            configuration.merge(values, loaded)
        except Exception as error:  # every reader behind it has errors of its own
            raise ValueError(BAD_FILE.format(given=name, error=" ".join(str(error).split()))) from error
    return configuration.merge(values, updates), named


def new_experiment() -> Any:
    """A sacred experiment called async-epymarl without configuration or observers."""
    from sacred import SETTINGS, Experiment
    from sacred.utils import apply_backspaces_and_linefeeds

    SETTINGS["CAPTURE_MODE"] = "fd" if os.name == "posix" else "sys"
    SETTINGS["CONFIG"]["READ_ONLY_CONFIG"] = False
    experiment = Experiment("async-epymarl", base_dir=str(ROOT), save_git_info=_in_git())
    experiment.doc = DOC  # type: ignore[assignment]
    experiment.captured_out_filter = apply_backspaces_and_linefeeds
    return experiment


def _in_git() -> bool:
    """Whether git can be asked for our commit (it is there, and trusts this folder)."""
    if shutil.which("git") is None:
        return False
    asked = subprocess.run(["git", "-C", str(ROOT), "rev-parse", "HEAD"], capture_output=True, check=False)
    return asked.returncode == 0


def prepare(host: Host, command: Command, linked: Path | None = None) -> Any:
    """A sacred experiment with the whole configuration, after every check.

    Raises:
        ValueError: what is wrong, in one line; nothing was written.
    """
    configured = configuration.assemble(host, command.config, command.env_config, command.updates, linked)
    final = configuration.check(host, configured, command.updates, command.options)
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
    if configuration.folder_name(given) != given:
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
) -> int:
    """Run the experiment's command (training unless `name` says otherwise) and return the exit status."""
    from sacred.utils import SacredError

    _remember_terminal(host)
    experiment.logger = host.console_logger()
    done: dict[str, Any] = {}

    def train(_run: Any, _config: Any, _log: Any) -> None:
        """Train as the configuration says."""
        done["run"] = _run
        _train(host, _run, _config, _log, resume)

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


def _train(host: Host, run: Any, config: Mapping[str, Any], log: Any, resume: Path | None) -> None:
    """Seed everything, open the record, hand over to the host, and say how it ended."""
    import numpy as np
    import torch

    settings = plain(config)
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
        log.info("This run is unobserved: nothing of it is kept.")
        host.recorder = None
        host.run(run, settings, log, resume=resume)
        return
    log.info("Run folder: %s", folder.dir)
    with Recorder(str(folder.dir)) as recorder:
        recorder.on_rewind = lambda: _rebuild(folder, recorder, run)
        host.recorder = recorder
        recorder.status(RUNNING, host=host.name, resumed=resume is not None)
        try:
            host.run(run, settings, log, resume=resume)
        except KeyboardInterrupt:
            recorder.status(INTERRUPTED)
            raise
        except BaseException as error:
            _say_failed(recorder, error)
            raise
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
    is_worded = isinstance(error, (ValueError, TypeError, ArithmeticError, OSError, MemoryError, RuntimeError))
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


def summary(records: Sequence[Mapping[str, Any]]) -> str:
    """The last test in words: win rate and return with their standard errors.

    A host's own runner keeps no single episodes, so only its means can be told.
    """
    tests = [record for record in records if record["kind"] == "test"]
    if tests:
        episodes = tests[-1]["episodes"]
        parts = [
            f"{words} {mean_and_error([episode[name] for episode in episodes])}"
            for name, words in (("battle_won", "win rate"), ("return", "return"))
            if all(name in episode for episode in episodes)
        ]
        at, how = tests[-1]["t_env"], f"{len(episodes)} episodes, ± standard error"
    else:
        last = {record["name"]: record for record in records if record["kind"] == "metric"}
        parts = [
            f"{words} {last[name]['value']:.3f}"
            for name, words in (("test_battle_won_mean", "win rate"), ("test_return_mean", "return"))
            if name in last
        ]
        at, how = last.get("test_return_mean", {"t_env": 0})["t_env"], "means only, by the host's runner"
    return f"Final test at step {at:,}: {', '.join(parts)} ({how})." if parts else "Nothing was tested."


def mean_and_error(values: Sequence[float]) -> str:
    """ "0.650 ± 0.109": mean and its standard error (sample standard deviation over the root of n)."""
    n = len(values)
    mean = sum(values) / n
    if n < 2:
        return f"{mean:.3f}"
    error = (sum((value - mean) ** 2 for value in values) / (n - 1) / n) ** 0.5
    return f"{mean:.3f} ± {error:.3f}"
