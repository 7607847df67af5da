"""Linking somebody's EPyMARL checkout and leaving it as it was, with a checkout made here."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from registry import takeover
from registry.hosts import embedded
from registry.launch import main
from registry.link import HOOK, LINE, MAIN, MANIFEST, link, unlink, with_line

PLAIN_MAIN = '''"""The host's command."""
from __future__ import annotations

import sys

print("host runs", sys.argv[1:])
'''


@pytest.fixture
def checkout(tmp_path):
    """The least that looks like EPyMARL, in git, in a path with a space, with changes of its own."""
    folder = tmp_path / "my epymarl"
    for name, text in {
        "src/main.py": PLAIN_MAIN,
        "src/run.py": "",
        "src/envs/__init__.py": "",
        "src/runners/__init__.py": "",
        "src/config/default.yaml": "name: none\n",
        "src/config/algs/qmix.yaml": "name: qmix\n",
        ".gitignore": "__pycache__/\n",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "-m", "first")
    (folder / "src/run.py").write_text("own = 1\n")
    (folder / "notes.txt").write_text("own\n")
    return folder


def git(folder, *words):
    words = ("git", "-C", str(folder), *words)
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def files(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and ".git" not in path.parts
    }


def command(checkout, *words, **variables):
    inherited = {name: os.environ[name] for name in os.environ if name != "PYTHONDONTWRITEBYTECODE"}
    return subprocess.run(
        [sys.executable, "src/main.py", *words],
        cwd=checkout, capture_output=True, text=True, check=False, env={**inherited, **variables},
    )  # fmt: skip


def test_unlink_restores_every_byte_and_keeps_results(checkout):
    before, status = files(checkout), git(checkout, "status", "--porcelain")
    link(checkout)
    assert 1 == (checkout / MAIN).read_text().count(LINE)
    assert "host runs ['--config=qmix']" in command(checkout, "--config=qmix").stdout
    (checkout / "results").mkdir()
    (checkout / "results" / "mine.txt").write_text("1")
    unlink(checkout)
    after = files(checkout)
    assert "1" == (checkout / "results" / "mine.txt").read_text()
    after.pop(os.path.join("results", "mine.txt"))
    assert before == after
    assert f"{status}?? results/\n" == git(checkout, "status", "--porcelain")


def test_linking_twice_changes_nothing(checkout):
    link(checkout)
    once = files(checkout)
    assert ["linked already, nothing changed"] == [line.split(": ")[-1] for line in link(checkout)]
    assert once == files(checkout)


def test_an_existing_algorithm_is_the_hosts_and_ours_has_another_name(checkout):
    told = link(checkout)
    assert "name: qmix\n" == (checkout / "src/config/algs/qmix.yaml").read_text()
    assert "qmix_learner" in (checkout / "src/config/algs/async_qmix.yaml").read_text()
    assert "mvd_learner" in (checkout / "src/config/algs/mvd.yaml").read_text()
    assert "--config=qmix stays the host's; ours is --config=async_qmix" in told


def test_a_file_changed_since_is_left_and_told(checkout):
    link(checkout)
    mine = checkout / "src/config/algs/mvd.yaml"
    mine.write_text(mine.read_text() + "lr: 0.1\n")
    (checkout / "src/config/algs/vdn.yaml").unlink()
    told = unlink(checkout)
    assert f"{mine}: changed since it was linked, left as it is" in told
    assert any("vdn.yaml: gone already" in line for line in told)
    assert "lr: 0.1" in mine.read_text()
    assert not (checkout / MANIFEST).exists() and not (checkout / HOOK).exists()


def test_own_edits_of_the_main_file_stay_and_only_our_line_goes(checkout):
    link(checkout)
    main = checkout / MAIN
    main.write_text(main.read_text() + "print('mine')\n")
    unlink(checkout)
    assert PLAIN_MAIN + "print('mine')\n" == main.read_text()


def test_a_line_of_ours_that_was_edited_is_left_and_told(checkout):
    link(checkout)
    main = checkout / MAIN
    main.write_text(main.read_text().replace("take_over()", "take_over( )"))
    assert any("our line was changed since, left as it is" in line for line in unlink(checkout))


def test_what_is_no_checkout_is_refused_and_untouched(tmp_path, checkout):
    with pytest.raises(ValueError, match="not an EPyMARL checkout"):
        link(tmp_path)
    with pytest.raises(ValueError, match="not linked"):
        unlink(checkout)
    before = files(checkout)
    (checkout / HOOK).write_text("mine")
    with pytest.raises(ValueError, match="a file of that name is there already"):
        link(checkout)
    (checkout / HOOK).unlink()
    assert before == files(checkout)


def test_a_link_that_the_disk_refuses_halfway_leaves_nothing(checkout, monkeypatch):
    before = files(checkout)
    replace = os.replace

    def full(source, target):
        if str(target).endswith("mvd.yaml"):
            raise OSError(28, "No space left on device", str(target))
        replace(source, target)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(ValueError, match="cannot be written .* Nothing is linked there"):
        link(checkout)
    assert before == files(checkout)


@pytest.mark.parametrize("text, lacks", [("[]", "clone"), ("{}", "clone"), ('{"clone": "/", "line": ""}', "files")])
def test_a_damaged_manifest_is_one_line(text, lacks, checkout):
    (checkout / MANIFEST).write_text(text)
    for act in (link, unlink):
        with pytest.raises(ValueError, match=f"not readable .it lacks '{lacks}'.. Restore it"):
            act(checkout)


def test_a_linked_command_of_ours_is_run_by_our_launcher(checkout):
    """It meets our checks, in the checkout's own names; a command of the host's passes untouched."""
    link(checkout)
    ours = command(checkout, "--config=mvd", "with", "env_args.key=async:poac", "lrr=1")
    assert 2 == ours.returncode
    assert "unknown configuration key 'lrr'" in ours.stderr
    wrong = command(checkout, "--config=mvd", "with", "env_args.key=async:poca")
    assert "Did you mean 'poac'" in wrong.stderr
    host = command(checkout, "--config=qmix", "--env-config=gymma", "with", "env_args.key=x")
    assert "host runs" in host.stdout


@pytest.mark.parametrize(
    "words, line",
    [
        ("--config=mvdd with KEY", "unknown algorithm 'mvdd'. Did you mean 'mvd'"),
        ("--cofig=mvd with KEY", "unknown flag '--cofig'. Did you mean '--config'"),
        ("--config=mvd KEY", "the word `with` is missing"),
        ("--config=mvd with env_args.key=async:poca", "Did you mean 'poac'"),
        ("--config=mvd with env_args.key=asinc:poac", "unknown key 'asinc:poac'"),
        ("--config=async_qmix with KEY env_args.bott=KAI1", "unknown option 'bott'. Did you mean 'bot'"),
        ("--config=mvd with KEY bot=KAI1", "Write env_args.bot=KAI1"),
        ("--config=mvd with KEY lrr=1", "unknown configuration key 'lrr'. Did you mean 'lr'"),
        ("--config=mvd with KEY lr=abc", "lr='abc' is not accepted"),
        ("--config=mvd with KEY mixer=mdv", "unknown mixer 'mdv'"),
        ("--config=mvd with KEY mixer=vdn", "are of two algorithms"),
    ],
)
def test_a_typo_in_a_linked_checkout_is_one_line(words, line, checkout, monkeypatch, capsys):
    """In this process: what the linked main.py calls, with the host's own default.yaml."""
    defaults = Path(embedded.SOURCE, "epymarl_lite", "config", "default.yaml")
    shutil.copy(defaults, checkout / "src/config/default.yaml")
    link(checkout)
    before = files(checkout)
    argv = ["src/main.py", *words.replace("KEY", "env_args.key=async:poac").split()]
    assert takeover.concerns_us(argv, str(checkout))
    monkeypatch.chdir(checkout)
    assert 2 == main(argv, linked=checkout)
    told = capsys.readouterr().err
    assert line in told and 1 == told.count("\n")
    assert before == files(checkout)


def test_a_clone_that_moved_away_is_one_line(checkout):
    link(checkout)
    hook = checkout / HOOK
    clone = json.loads((checkout / MANIFEST).read_text())["clone"]
    hook.write_text(hook.read_text().replace(repr(clone), repr("/nowhere/at all")))
    done = command(checkout, "--config=mvd", "with", "env_args.key=async:poac")
    assert done.returncode != 0
    assert 1 == done.stderr.count("\n") and "its clone is no longer at /nowhere/at all" in done.stderr
    assert "host runs" in command(checkout, "--config=qmix").stdout


def test_linking_from_another_place_replaces_the_old_link(checkout):
    link(checkout)
    manifest = checkout / MANIFEST
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "clone": "/elsewhere"}))
    link(checkout)
    assert "/elsewhere" != json.loads(manifest.read_text())["clone"]
    assert 1 == (checkout / MAIN).read_text().count(LINE)


@pytest.mark.parametrize(
    "source, expected",
    [
        (b"import a\n", LINE.encode() + b"\nimport a\n"),
        (b'"""Doc."""\nimport a\n', b'"""Doc."""\n' + LINE.encode() + b"\nimport a\n"),
        (b"#!/bin/python\n# -*- coding: utf-8 -*-\nimport a\n",
         b"#!/bin/python\n# -*- coding: utf-8 -*-\n" + LINE.encode() + b"\nimport a\n"),
        (b"from __future__ import annotations\r\nimport a\r\n",
         b"from __future__ import annotations\r\n" + LINE.encode() + b"\r\nimport a\r\n"),
        (b"\xef\xbb\xbfimport a\n", b"\xef\xbb\xbf" + LINE.encode() + b"\nimport a\n"),
        (b"try:\n    import a\nexcept ImportError:\n    a = 1",
         LINE.encode() + b"\ntry:\n    import a\nexcept ImportError:\n    a = 1"),
    ],
)  # fmt: skip
def test_our_line_stands_before_the_first_statement(source, expected):
    placed = with_line(source, Path("main.py"))
    assert expected == placed
    compile(placed, "main.py", "exec")


def test_a_main_file_that_is_no_python_is_refused(checkout):
    (checkout / MAIN).write_text("def (:\n")
    before = files(checkout)
    with pytest.raises(ValueError, match="Python cannot read it"):
        link(checkout)
    assert before == files(checkout)


def test_only_commands_that_name_us_are_taken_over(checkout):
    link(checkout)
    for argv, ours in (
        (["--config=mvd"], True),
        (["--config=async_qmix", "--env-config=gymma"], True),
        (["--config=qmix", "with", "env_args.key=async:poac"], True),
        (["--config=qmix", "with", "env_args.key='async:poac'"], True),
        (["--config=qmix", "--env-config=async"], True),
        (["--config=qmix", "with", "env_args.key=lbf"], False),
        ([], False),
    ):
        assert ours == takeover.concerns_us(argv, str(checkout))


@pytest.mark.upstream
@pytest.mark.slow
@pytest.mark.parametrize("with_smaclite", [False, True])
def test_a_real_checkout_trains_when_linked_and_is_clean_when_unlinked(with_smaclite, tmp_path):
    home = os.environ.get("EPYMARL_HOME")
    if not home:
        pytest.skip("EPYMARL_HOME is not set: no EPyMARL checkout to copy")
    checkout = tmp_path / "my epymarl"
    shutil.copytree(home, checkout)
    before, status = files(checkout), git(checkout, "status", "--porcelain")
    link(checkout)
    variables = {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    if with_smaclite:
        (tmp_path / "site" / "smaclite").mkdir(parents=True)
        (tmp_path / "site" / "smaclite" / "__init__.py").write_text("")
        variables["PYTHONPATH"] = str(tmp_path / "site")
    words = "env_args.key=async:poac env_args.episode_limit=20 t_max=60 batch_size=2 buffer_size=8 "
    words += "batch_size_run=2 test_nepisode=2"
    for algorithm in ("mvd", "async_qmix"):
        done = command(checkout, f"--config={algorithm}", "with", *words.split(), **variables)
        assert done.returncode == 0, done.stderr[-2000:]
    assert (checkout / "results/sacred/mvd/async-poac/1/records.jsonl").is_file()
    unlink(checkout)
    shutil.rmtree(checkout / "results")
    assert before == files(checkout)
    assert status == git(checkout, "status", "--porcelain")
