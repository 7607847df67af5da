"""A command line taken apart, by sacred's own grammar with two flags of ours."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Sequence

from async_envs.core.errors import unknown_name
from registry import config as configuration

FLAGS = ("--config", "--env-config")  # ours; the others are sacred's
DEFAULT_COMMAND = "train"
CAPTURES = ("fd", "no", "sys")  # of sacred
ROOT = Path(__file__).resolve().parent.parent

DOC = """Train or test cooperative agents.

  --config=NAME        the algorithm (python -m registry algorithms lists ours); host:NAME is the host's own
  --env-config=NAME    an environment file; left out when env_args.key begins with async:
  with KEY=VALUE ...   anything in the configuration, e.g. with env_args.key=async:poac t_max=50000 seed=1

EPYMARL_HOST (embedded, upstream, pymarlzooplus) and EPYMARL_HOME, environment variables, choose the host."""

BAD_LINE = "{argv}: this command line is not understood. Write --config=NAME with KEY=VALUE, or -h for help."
NO_WITH = "{given}: the word `with` is missing. Write --config=NAME with {given}."
NO_DASHES = "{given}: the dashes are missing. Write --{given}."
BAD_WITH = "with {given}: neither KEY=VALUE nor a file of settings. Write KEY=VALUE."
BAD_FILE = "with {given}: the file of settings cannot be read ({error}). Use json or yaml with one mapping."


class Command:
    """A command line taken apart: our flags, sacred's flags, and the values behind `with`."""

    def __init__(self, argv: Sequence[str]):
        rest = list(argv[1:])
        self.program = argv[0]
        self.config = _take(rest, FLAGS[0])
        self.env_config = _take(rest, FLAGS[1])
        self.wants_help = bool({"-h", "--help"} & set(rest[: rest.index("with") if "with" in rest else None]))
        self.wants_help = self.wants_help or rest[:1] == ["help"]
        experiment = new_experiment()
        _, self.long_usage, internal = experiment.get_usage(self.program)
        if not self.wants_help:
            _check_words(rest, internal)
        self.options, self.name, given = _parse(internal, rest)
        commands = [DEFAULT_COMMAND, *experiment.commands]
        if self.name is not None and self.name not in commands:
            raise ValueError(unknown_name(self.name, "command", self.name, commands))
        capture = self.options.get("--capture")
        if capture is not None and capture not in CAPTURES:
            raise ValueError(unknown_name(f"--capture={capture}", "way", capture, CAPTURES))
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


def _check_words(rest: list[str], usage: str) -> None:
    """Refuse an unknown flag (naming the nearest), and values that lack their dashes or the word `with`."""
    before = rest[: rest.index("with")] if "with" in rest else rest
    known = [*FLAGS, *re.findall(r"^ +-\w (?:[A-Z]+ )?(--[\w-]+)", usage, re.MULTILINE)]
    for at, word in enumerate(before):
        name, equals, _ = word.partition("=")
        if word.startswith("--") and not any(flag.startswith(name) for flag in known):
            raise ValueError(unknown_name(word, "flag", name, known))
        if equals and f"--{name}" in FLAGS:
            raise ValueError(NO_DASHES.format(given=word))
        if equals and not word.startswith("-") and not (at and before[at - 1].startswith("-")):
            raise ValueError(NO_WITH.format(given=" ".join(before[at:])))


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
    experiment.doc = DOC
    experiment.captured_out_filter = apply_backspaces_and_linefeeds  # type: ignore[assignment]
    return experiment


def _in_git() -> bool:
    """Whether git can be asked for our commit (it is there, and trusts this folder)."""
    if shutil.which("git") is None:
        return False
    asked = subprocess.run(["git", "-C", str(ROOT), "rev-parse", "HEAD"], capture_output=True, check=False)
    return asked.returncode == 0
