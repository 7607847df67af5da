"""The kernel cache, each time with a small project of its own in fresh processes."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import async_envs

SOURCES = Path(async_envs.__file__).parent
PROGRAM = """
import json, logging, sys, warnings
logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stderr)
import numba
before = numba.config.CACHE_DIR
from async_envs.core import compile
from async_envs.mine.kernels import dig
compile.warm_up("mine", lambda: dig(1))
print(json.dumps({
    "value": dig(1), "counts": compile.compile_counts(), "complete": compile.is_complete("mine"),
    "config_kept": numba.config.CACHE_DIR == before, "folder": str(compile.cache_folder()),
}))
"""


@pytest.fixture
def project(tmp_path):
    """A copy of core with a family `mine`, whose kernel reads a constant of another file."""
    without_bytecode = shutil.ignore_patterns("__pycache__")
    shutil.copytree(SOURCES / "core", tmp_path / "async_envs/core", ignore=without_bytecode)
    mine = tmp_path / "async_envs/mine"
    mine.mkdir()
    (tmp_path / "async_envs/__init__.py").touch()
    (mine / "__init__.py").touch()
    (mine / "constants.py").write_text("DEPTH = 10\n")
    (mine / "kernels.py").write_text(
        "from async_envs.core.compile import kernel\n"
        "from async_envs.mine.constants import DEPTH\n\n\n"
        "@kernel\ndef shovel(x):\n    return x + DEPTH\n\n\n"
        "@kernel\ndef dig(x):\n    return 2 * shovel(x)\n"
    )
    return tmp_path


def start(project, cache, program=PROGRAM, **environment):
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("NUMBA_", "COV_"))}
    variables |= {"PYTHONPATH": str(project), "ASYNC_EPYMARL_CACHE": str(cache), **environment}
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", program], env=variables, cwd=project, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def finish(process):
    out, log = process.communicate(timeout=120)
    assert process.returncode == 0, log
    return json.loads(out), log


def run(project, cache, **environment):
    return finish(start(project, cache, **environment))


def test_second_process_compiles_nothing(project):
    first, log = run(project, project / "cache")
    assert (first["value"], first["counts"], first["complete"]) == (22, [0, 2], True)
    assert "INFO mine: compiling the kernels once, about 30 s." in log
    assert "INFO mine: kernels compiled in " in log
    second, log = run(project, project / "cache")
    assert (second["value"], second["counts"]) == (22, [1, 0])
    assert log == ""
    assert first["config_kept"] and second["config_kept"]


def test_constant_edited_in_another_file_changes_the_next_run(project):
    assert run(project, project / "cache")[0]["value"] == 22
    # another length: Python itself tells its own compiled files by size and whole seconds
    (project / "async_envs/mine/constants.py").write_text("DEPTH = 100\n")
    assert run(project, project / "cache")[0]["value"] == 202


def test_source_edited_after_its_import_is_not_kept(project):
    """A long process goes on with the old constant; its machine code must not pass for the new one's."""
    edit = "open('async_envs/mine/constants.py', 'w').write('DEPTH = 20')\ncompile.warm_up"
    old, _ = finish(start(project, project / "cache", PROGRAM.replace("compile.warm_up", edit)))
    assert (old["value"], old["complete"]) == (22, False)
    assert run(project, project / "cache")[0]["value"] == 42


def test_bounds_checks_have_machine_code_of_their_own(project):
    plain, _ = run(project, project / "cache")
    checked, _ = run(project, project / "cache", NUMBA_BOUNDSCHECK="1")
    assert plain["folder"] != checked["folder"]


@pytest.mark.slow
def test_eight_starts_at_once_leave_one_complete_cache(project):
    """One compiles, seven wait and read, the ninth compiles nothing."""
    cache = project / "cache"
    results = [finish(process) for process in [start(project, cache) for _ in range(8)]]
    assert [result["value"] for result, _ in results] == [22] * 8
    assert sum(result["counts"][1] for result, _ in results) == 2  # signatures, by all eight together
    assert sum("compiling the kernels once" in log for _, log in results) == 1
    assert len([path for path in cache.iterdir() if path.is_dir()]) == 1
    ninth, log = run(project, cache)
    assert (ninth["value"], ninth["counts"], log) == (22, [1, 0], "")


def test_cache_that_cannot_be_written_costs_one_warning(project):
    """A path below a regular file cannot be made, by root neither."""
    (project / "file").touch()
    result, log = run(project, project / "file/cache")
    assert (result["value"], result["counts"], result["complete"]) == (22, [0, 2], False)
    assert log.count("WARNING") == 1
    assert "cannot be used" in log and "Set ASYNC_EPYMARL_CACHE to a folder that can be written." in log


@pytest.mark.parametrize("suffix", [".nbi", ".nbc"])
def test_damaged_cache_is_compiled_again(project, suffix):
    run(project, project / "cache")
    for path in (project / "cache").rglob("*" + suffix):
        path.write_bytes(path.read_bytes()[:20])
    result, _ = run(project, project / "cache")
    assert (result["value"], result["counts"][1] > 0) == (22, True)
    assert run(project, project / "cache")[0]["counts"] == [1, 0]


def test_failed_warm_up_is_not_marked_complete(project):
    program = PROGRAM.replace("lambda: dig(1)", "lambda: 1 / 0")
    process = start(project, project / "cache", program)
    _, log = process.communicate(timeout=120)
    assert process.returncode == 1 and "ZeroDivisionError" in log
    assert not list((project / "cache").rglob("complete-*"))
    assert run(project, project / "cache")[0]["complete"]


def test_kernels_stay_python_without_the_compiler(project):
    result, log = run(project, project / "cache", NUMBA_DISABLE_JIT="1")
    assert (result["value"], result["counts"], log) == (22, [0, 0], "")
    assert not (project / "cache").exists()


def test_import_writes_nothing(project):
    program = "import async_envs.core.simulator, async_envs.mine.kernels\nprint('{}')"
    finish(start(project, project / "cache", program))
    assert not (project / "cache").exists()


def test_old_caches_are_removed_but_for_a_few(project):
    cache = project / "cache"
    for age in range(6):
        folder = cache / f"{age:016x}"
        folder.mkdir(parents=True)
        (cache / f"{age:016x}.lock").touch()
        os.utime(folder, (1e9 - age, 1e9 - age))  # in 2001
    (cache / "notes").mkdir()
    result, _ = run(project, cache)
    expected = {f"{age:016x}" for age in range(4)} | {"notes", Path(result["folder"]).name}
    assert {path.name for path in cache.iterdir() if path.is_dir()} == expected
    assert len(list(cache.glob("*.lock"))) == 5


def test_user_cache_folder_is_the_default(project):
    result, _ = finish(start(project, "", XDG_CACHE_HOME=str(project / "user")))
    assert Path(result["folder"]).parent == project / "user/async-epymarl/kernels"


def test_kernels_of_other_packages_are_kept_too(project):
    (project / "theirs.py").write_text("import numba\n\n\n@numba.njit\ndef lift(x):\n    return x + 1\n")
    program = (
        "import json\nfrom async_envs.core import compile\nimport theirs\n"
        "compile.keep([theirs.lift])\ncompile.keep([theirs.lift])\n"
        "print(json.dumps([theirs.lift(1), compile.compile_counts()]))"
    )
    cache = project / "cache"
    assert finish(start(project, cache, program))[0] == [2, [0, 1]]
    assert finish(start(project, cache, program))[0] == [2, [1, 0]]
    (project / "theirs.py").write_text("import numba\n\n\n@numba.njit\ndef lift(x):\n    return x + 30\n")
    assert finish(start(project, cache, program))[0] == [31, [0, 1]]


def test_kept_kernels_stay_python_without_the_compiler(project):
    (project / "theirs.py").write_text("import numba\n\n\n@numba.njit\ndef lift(x):\n    return x + 1\n")
    program = "import json, theirs\nfrom async_envs.core.compile import keep\nkeep([theirs.lift])\n"
    program += "print(json.dumps(theirs.lift(1)))"
    assert finish(start(project, project / "cache", program, NUMBA_DISABLE_JIT="1"))[0] == 2
