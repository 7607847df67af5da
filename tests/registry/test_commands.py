"""`python -m registry`."""

import sys

import pytest
from click.testing import CliRunner

from plugins.config.schema import config_names
from registry import catalog
from registry.__main__ import main
from registry.doctor import examine
from registry.recorder import Recorder


def ask(*words):
    """(exit status, what was printed) of one command."""
    done = CliRunner().invoke(main, list(words))
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.output


def test_keys_lists_every_task_and_option():
    code, told = ask("keys")
    assert 0 == code
    assert all(key in told for key in catalog.keys())
    assert all(option.name in told for option in catalog.family("poac").options)


@pytest.mark.parametrize("words", [["keys"], ["explain", "async:poac"]])
def test_options_are_shown_with_choices_bounds_and_default(words):
    _, told = ask(*words)
    assert "bot: one of KAI0, KAI1, KAI2. Who plays Blue; left out, the scenario decides." in told
    assert "episode_limit: a whole number from 1 to 1000000; default 600. " in told
    assert "random_start: True or False; default False. " in told


def test_algorithms_lists_each_with_learner_mixer_and_source():
    code, told = ask("algorithms")
    assert 0 == code
    blocks = told.split("--config=")[1:]
    assert config_names() == [block.split("\n")[0] for block in blocks]
    for block in blocks:
        assert all(f"  {word}" in block for word in ("mechanism: ", "learner: ", "options: ", "source: "))
    assert "mvd_order" in told and "arXiv:2408.03692v2" in told


def test_explain_names_what_a_task_shows():
    code, told = ask("explain", "async:poac-2", "--all")
    assert 0 == code
    simulator = catalog.make("async:poac-2")
    names = (*simulator.action_names, *simulator.obs_names, *simulator.state_names, *simulator.metric_names)
    assert all(name in told for name in names)


@pytest.mark.parametrize("word", ["episode_limit=7", "env_args.episode_limit=7"])
def test_explain_takes_an_option_as_it_is_shown_and_without_its_prefix(word):
    assert "step limit: 7\n" in ask("explain", "async:poac-2", word)[1]


@pytest.mark.parametrize(
    "words, line",
    [
        (["explain", "async:poca"], "Did you mean 'poac'"),
        (["resume", "nowhere"], "no run lies there"),
        (["status", "nowhere"], "no such file"),
        (["link", "nowhere"], "not an EPyMARL checkout"),
        (["unlink", "nowhere"], "not linked"),
    ],
)
def test_what_cannot_be_done_is_one_line(words, line):
    code, told = ask(*words)
    assert 2 == code
    assert line in told and 1 == told.count("\n")


def test_status_of_a_run(tmp_path):
    with Recorder(tmp_path) as recorder:
        recorder.metric("loss", 1.0, 30)
        recorder.status("INTERRUPTED")
    assert (0, f"{tmp_path}: INTERRUPTED, last word at step 30\n") == ask("status", str(tmp_path))


def test_doctor_finds_this_machine_able_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EPYMARL_HOST", "embedded")
    code, told = ask("doctor")
    assert 0 == code, told
    assert all(word in told for word in ("python", "torch", "threads", "devices", "kernel cache", "results"))
    assert "embedded (chosen)" in told and "upstream" in told and "pymarlzooplus" in told
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("variables", [{"EPYMARL_HOST": "nothing"}, {"EPYMARL_HOST": "upstream"}])
def test_doctor_fails_where_the_chosen_host_is_not_there(variables, monkeypatch):
    monkeypatch.delenv("EPYMARL_HOME", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    code, told = ask("doctor")
    assert 1 == code
    assert "MISSING host" in " ".join(told.split())


def test_doctor_says_that_results_cannot_be_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").write_text("a file")
    monkeypatch.setenv("EPYMARL_HOST", "embedded")
    bad = [finding for finding in examine() if not finding.is_good and finding.is_needed]
    assert ["results"] == [finding.name for finding in bad]


def test_doctor_names_what_is_missing_without_the_packages_that_runs_need():
    """As if none of them were installed: importing one is an error."""
    import subprocess

    missing = ("numpy", "numba", "torch", "sacred", "psutil", "filelock", "safetensors", "rich")
    code = f"import sys; sys.modules.update(dict.fromkeys({missing!r}))\n"
    code += "from registry.__main__ import main; main(['doctor'])"
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False)
    assert 1 == done.returncode and "Traceback" not in done.stderr, done.stderr
    assert all(f"MISSING {name}" in " ".join(done.stdout.split()) for name in ("threads", "host", "results"))


def test_what_the_system_refuses_is_one_line(tmp_path, monkeypatch):
    with Recorder(tmp_path) as recorder:
        recorder.status("RUNNING")

    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied", "some/file")

    monkeypatch.setattr("registry.records.whole_length", refuse)
    code, told = ask("status", str(tmp_path))
    assert (1, "some/file: the system refused this (Permission denied). Look at its permissions and the disk.\n") == (
        code, told,
    )  # fmt: skip


def test_asking_for_help_imports_no_torch():
    import subprocess

    code = "import sys, registry.__main__; sys.exit('torch' in sys.modules)"
    assert 0 == subprocess.run([sys.executable, "-c", code], check=False).returncode
