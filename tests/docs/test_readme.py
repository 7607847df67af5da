"""README.md promises only what exists: its commands are accepted, its snippet runs, its names are there."""

import importlib.util
import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from plugins.config.schema import config_names
from registry import catalog, checks, launch
from registry import config as configuration
from registry.__main__ import main as registry_command
from registry.command_line import Command
from registry.hosts import select

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PROSE = re.sub(r"^```.*?^```$", "", README, flags=re.MULTILINE | re.DOTALL)
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)
CODE = re.findall(r"`([^`]+)`", PROSE)
OVERRIDES = [code for code in CODE if code.startswith("with ")]
ALIASES = {"host:qmix", "host:ippo", "host:iql"}  # another host's, tested with a checkout


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    """Where a reader stands, with a run's models at RUN_DIR and every optional package there."""
    (tmp_path / "RUN_DIR" / "models" / "100").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EPYMARL_HOST", "embedded")
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: find_spec("json" if name == "wandb" else name))


def check(words: list[str]) -> dict:
    """The configuration of a command line, after every check; nothing runs."""
    command = Command(["main.py", *words])
    host = select.choose("embedded")
    before = configuration.assemble(host, command.config, command.env_config, command.updates)
    return checks.check(host, before, command.updates, command.options)


def test_the_readme_has_what_is_tested_here():
    assert len(OVERRIDES) >= 10 and {"bash", "python", "text"} == {language for language, _ in BLOCKS}


@pytest.mark.parametrize("override", OVERRIDES)
def test_every_override_is_accepted(override):
    words = shlex.split(override)[1:]
    task = [] if any(word.startswith("env_args.key=") for word in words) else ["env_args.key=async:poac"]
    config = check(["--config=mvd", "with", *task, *words])
    for word in words:
        name, _, value = word.partition("=")
        found = config
        for part in name.split("."):
            found = found[part]
        assert str(found) == value


def test_every_command_line_is_accepted():
    commands = [line for language, block in BLOCKS if language == "bash" for line in block.splitlines()]
    commands = [line.split("#")[0].split() for line in commands + CODE]
    commands = [[*words] for words in commands if words[:2] == ["python", "src/main.py"]]
    assert commands
    for words in commands:
        assert check(words[2:])["env_args"]["key"] == "async:poac"


def test_the_python_snippet_runs():
    (snippet,) = [block for language, block in BLOCKS if language == "python"]
    names: dict = {}
    exec(compile(snippet, "README.md", "exec"), names)
    assert names["sim"].obs.shape[0] == 256
    assert names["env"].reset()[0].keys() == set(names["env"].agents)


def test_the_error_line_is_the_real_one(capsys):
    (example,) = [block for language, block in BLOCKS if language == "text"]
    typed, line = example.splitlines()
    words = shlex.split(typed.removeprefix("$ python "))
    assert launch.main(words) == 2
    assert capsys.readouterr().err.splitlines()[-1] == line


def test_every_file_named_is_there():
    links = re.findall(r"\]\(([^)]+)\)", README)
    for link in links:
        assert link.startswith("https://") or (ROOT / link).exists(), link


def test_every_key_config_host_and_command_named_exists():
    keys = set(re.findall(r"async:[a-z]+(?:-\w*)?", README))
    ours = {key for key in keys if not catalog.parse_key(key)[0].open_variants}  # others' tasks may not be installed
    assert ours and all(catalog.canonical_key(key) in catalog.keys() for key in ours)
    for code in CODE:
        for word in code.split():
            if word.startswith("--config="):
                name = word.removeprefix("--config=")
                assert name in config_names() or name in ALIASES
            if word.startswith("EPYMARL_HOST="):
                assert word.removeprefix("EPYMARL_HOST=") in select.HOSTS
        if code.startswith("python -m registry"):
            assert code.split()[3] in registry_command.commands
    table = README.split("| `--config` |")[1].split("\n\n")[0]
    first = [row.split("|")[1] for row in table.splitlines()[2:]]
    assert set(re.findall(r"`(\w+)`", " ".join(first))) == set(config_names())


def test_make_targets_named_exist():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    named = set(re.findall(r"^make ([a-z-]+)\b", "\n".join([*CODE, *(block for _, block in BLOCKS)]), re.MULTILINE))
    assert named and named <= targets


def test_bots_named_are_those_of_the_keys_command():
    told = CliRunner().invoke(registry_command, ["keys"]).output
    bots = set(re.findall(r"KAI\d", README))
    assert bots and all(bot in told for bot in bots)
