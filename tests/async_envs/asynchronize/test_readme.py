"""What README.md states as facts is what the code does."""

import re
from pathlib import Path

import async_envs.asynchronize
from async_envs.asynchronize.family import OPTIONS, PETTINGZOO
from async_envs.asynchronize.making import EXAMPLE

FOLDER = Path(async_envs.asynchronize.__file__).parent
README = (FOLDER / "README.md").read_text(encoding="utf-8")
LINES = [line for line in README.splitlines() if line.startswith("|")]
ROWS = [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in LINES]


def test_options_are_listed_with_their_defaults() -> None:
    listed = {row[0]: row[2] for row in ROWS if len(row) == 4}
    listed.pop("option")
    listed = {name: default for name, default in listed.items() if set(name) != {"-"}}
    assert listed == {each.name: "none" if each.default is None else str(each.default) for each in OPTIONS}


def test_choices_are_all_listed() -> None:
    listed = {row[0]: row[1] for row in ROWS if len(row) == 4}
    for option in OPTIONS:
        if option.choices:
            assert listed[option.name] == ", ".join(option.choices)


def test_files_are_all_listed() -> None:
    told = {name for row in ROWS if len(row) == 2 for name in re.findall(r"\w+\.py", row[0])}
    assert told == {path.name for path in FOLDER.glob("*.py")} - {"__init__.py"}


def test_the_short_key_is_the_example() -> None:
    assert "| `async:pettingzoo` | `example.py`" in README and EXAMPLE.endswith(".example")
    assert PETTINGZOO.default_variant == "example"


def test_the_python_block_runs() -> None:
    (block,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    exec(compile(block, "README.md", "exec"), {})
