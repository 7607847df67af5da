"""The command line: what is refused, what runs, and what a run leaves behind."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from async_envs.poac.simulator import PoacSimulator
from registry import recorder
from registry.launch import main
from registry.outcome import mean_and_error, summary
from registry.records import COMPLETED, FAILED, INTERRUPTED, read_records, run_status
from registry.resume import resume
from tests.registry.command import invoke

MAIN = str(Path(__file__).resolve().parents[2] / "src" / "main.py")
TASK = "env_args.key=async:poac"
HIDDEN = ("env_args.key=async:smac-3m", "env_args.smac_compat=True")
SHORT = (
    f"{TASK} env_args.episode_limit=20 t_max=100 batch_size=2 buffer_size=8 batch_size_run=2 seed=4 "
    "hidden_dim=8 "
    "test_nepisode=3 test_interval=80 progress=False checkpoint_interval=40 learner_log_interval=40"
).split()
FOLDER = Path("results/sacred/mvd/async-poac/1")


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    """Every test stands in a folder of its own and uses the embedded host."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EPYMARL_HOST", "embedded")


def run(*words, flags=("-C", "no")):
    """The exit status of a command line; captured by pytest, not by sacred."""
    return main([MAIN, *words[:1], *flags, "with", *words[1:]])


@pytest.mark.parametrize(
    "words, line",
    [
        (["--config=mvdd", TASK], "--config=mvdd: unknown algorithm 'mvdd'. Did you mean 'mvd'"),
        (["--config=host:mvd", TASK], "--config=host:mvd: unknown algorithm"),
        (["--config=mvd", "t_max=5"], "no task was named"),
        (["--config=mvd", "env_args.key=async:poca"], "unknown family 'poca'. Did you mean 'poac'"),
        (["--config=mvd", "env_args.key=async:poac-9"], "unknown scenario"),
        (["--config=mvd", "env_args.key=poac-1"], "Write 'async:poac-1'"),
        (["--config=mvd", TASK, "env_args.bott=KAI1"], "unknown option 'bott'. Did you mean 'bot'"),
        (["--config=mvd", TASK, "env_args.bot=KAI7"], "expected one of KAI0, KAI1, KAI2"),
        (["--config=mvd", TASK, "env_args.episode_limit=0"], "episode_limit=0 is not accepted"),
        (["--config=mvd", TASK, "env_args.episode_limit=x"], "episode_limit='x' is a str"),
        (["--config=mvd", TASK, "env_args.seed=3"], "Write seed=3"),
        (["--config=mvd", TASK, "env_args.vsp=1"], "vsp=1 is not accepted"),
        (["--config=mvd", TASK, "env_args.vsp=True"], "both add proxies"),
        (["--config=mvd", *HIDDEN], "smac_compat=True does not tell executing agents from others, and mixer='mvd'"),
        (["--config=ippo", *HIDDEN], "and learner='ippo_learner' must know"),
        (["--config=qmix", *HIDDEN, "env_args.vsp=True"], "and env_args.vsp=True must know"),
        (["--config=mvd", TASK, "lrr=1"], "unknown configuration key 'lrr'. Did you mean 'lr'"),
        (["--config=mvd", TASK, "lr=abc"], "lr='abc' is not accepted"),
        (["--config=mvd", TASK, "gamma=2"], "gamma=2"),
        (["--config=mvd", TASK, "batch_size=9000"], "batch_size=9000 is more than buffer_size=5000"),
        (["--config=mvd", TASK, "mixer=mdv"], "unknown mixer 'mdv'. Did you mean 'mvd'"),
        (["--config=mvd", TASK, "learner=mvd_lerner"], "unknown learner 'mvd_lerner'. Did you mean 'mvd_"),
        (["--config=mvd", TASK, "runner=vectr"], "unknown runner 'vectr'. Did you mean 'vector'"),
        (["--config=mvd", TASK, "mac=asyncmac"], "unknown mac 'asyncmac'. Did you mean 'async_mac'"),
        (["--config=mvd", TASK, "agent=rrn"], "unknown agent 'rrn'. Did you mean 'rnn'"),
        (["--config=mvd", TASK, "env=asink"], "unknown env 'asink'. Did you mean 'async'"),
        (["--config=mvd", TASK, "mvd_order=4"], "mvd_order=4 is not accepted with 3 agents"),
        (["--config=mvd", TASK, "seed=-1"], "seed=-1 is not accepted"),
        (["--config=mvd", TASK, "seed=one"], "seed='one' is not accepted"),
        (["--config=mvd", TASK, "checkpoint_path=nowhere"], "checkpoint_path=nowhere: there is no such"),
        (["--config=mvd", TASK, "checkpoint_path=."], "no saved models lie in it"),
        (["--config=mvd", TASK, "local_results_path=file/results"], "results cannot be written there"),
        (["--config=mvd", "key=async:poac"], "Write env_args.key=async:poac"),
        (["--config=mvd", "env_args.ky=async:poac"], "Write env_args.key=async:poac"),
        (["--config=mvd", TASK, "bot=KAI1"], "Write env_args.bot=KAI1"),
        (["--config=mvd", TASK, "batch_size=0"], "batch_size=0 is not accepted"),
        (["--config=mvd", TASK, "t_max=1e6"], "t_max=1000000.0 is not accepted"),
        (["--config=mvd", TASK, "mvd_order=0"], "mvd_order=0 is not accepted"),
        (["--config=mvd", TASK, "mixer=mdv"], "mixer=mdv: unknown mixer"),
        (["--config=mvd", TASK, "mixer=vdn"], "are of two algorithms, expected one. Take --config=vdn"),
        (["--config=qmix", TASK, "learner=mvd_learner"], "set learner=qmix_learner too"),
        (["--config=mvd", TASK, "runner=episode"], "batch_size_run=8 is not accepted, it plays one"),
        (["--config=mvd", TASK, "evaluate=True"], "evaluate=True plays a saved model"),
        (["--config=mvd", TASK, "render=True"], "no pictures of its own. Leave out render=True"),
        (["--config=mvd", TASK, "name=.."], "name='..': results lie in a folder of that name"),
        (["--config=mvd", TASK, "name="], "name='': results lie in a folder of that name"),
        (["--config=mvd", TASK, "nonsense"], "with nonsense: neither KEY=VALUE nor a file"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(words, line, tmp_path, capsys):
    if "file/" in words[-1]:
        Path("file").write_text("")
    before = sorted(tmp_path.iterdir())
    assert 2 == run(*words)
    told = [said for said in capsys.readouterr().err.splitlines() if not said.startswith("[INFO")]
    assert 1 == len(told)
    assert line in told[0]
    assert before == sorted(tmp_path.iterdir())


@pytest.mark.parametrize(
    "argv, line",
    [
        ([], "--config is missing: which algorithm? Known: acac,"),
        (["--config=mvd", "--nonsense"], "--nonsense: unknown flag '--nonsense'"),
        (["--cofig=mvd", "with", TASK], "unknown flag '--cofig'. Did you mean '--config'"),
        (["config=mvd", "with", TASK], "the dashes are missing. Write --config=mvd"),
        (["--config=mvd", TASK], "the word `with` is missing. Write --config=NAME with env_args.key=async"),
        (["--config=mvd", "wiht", TASK], "the word `with` is missing"),
        (["trian", "--config=mvd", "with", TASK], "unknown command 'trian'. Did you mean 'train'"),
        (["--config=mvd", "-C", "foo", "with", TASK], "--capture=foo: unknown way 'foo'"),
        (["--config=mvd", "-x", "with", TASK], "this command line is not understood"),
        (["--config=mvd", "-C", "no", "--id=a:b", "with", TASK], "--id=a:b"),
        (["--config=mvd", "-C", "no", "--id=..", "with", TASK], "--id=..: a run's folder is named with"),
        (["--config=mvd", "-C", "no", "--id=", "with", TASK], "--id=: a run's folder is named with"),
    ],
)
def test_a_command_line_that_is_not_understood_is_one_line(argv, line, tmp_path, capsys):
    assert 2 == main([MAIN, *argv])
    told = capsys.readouterr().err
    assert line in told and 1 == told.count("\n")
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "variables, line",
    [
        ({"EPYMARL_HOST": "upsteam"}, "EPYMARL_HOST: unknown host 'upsteam'. Did you mean 'upstream'"),
        ({"EPYMARL_HOST": "upstream"}, "EPYMARL_HOME is not set"),
        ({"EPYMARL_HOST": "", "EPYMARL_HOME": "."}, "not an EPyMARL checkout (src/main.py is missing)"),
    ],
)
def test_a_host_that_is_not_there_is_one_line(variables, line, monkeypatch, capsys):
    monkeypatch.delenv("EPYMARL_HOME", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert 2 == run("--config=mvd", TASK)
    told = capsys.readouterr().err
    assert line in told and 1 == told.count("\n")


def test_a_run_leaves_its_whole_story(capsys):
    assert 0 == run("--config=mvd", *SHORT, "paper=False")
    assert COMPLETED == run_status(FOLDER)
    records = read_records(FOLDER)
    tests = [record for record in records if record["kind"] == "test"]
    assert [3] * len(tests) == [len(record["episodes"]) for record in tests]
    assert 120 == tests[-1]["t_env"]  # rollouts of 40 steps, so training passes 100 at 120
    metrics = json.loads((FOLDER / "metrics.json").read_text())
    for name, entry in metrics.items():
        told = [(r["value"], r["t_env"]) for r in records if r["kind"] == "metric" and r["name"] == name]
        assert told == list(zip(entry["values"], entry["steps"]))
    config = json.loads((FOLDER / "config.json").read_text())
    assert 4 == config["seed"] and config["env_args"]["bot"] is None
    for path in Path("results").rglob("*"):
        assert ":" not in path.name and " " not in path.name
    assert f"Run folder: {FOLDER.absolute()}" in capsys.readouterr().err


def test_an_option_written_out_runs_and_two_runs_get_two_folders():
    for _ in range(2):
        assert 0 == run("--config=vdn", *SHORT, "env_args.bot=KAI1")
    assert {"1", "2"} <= {path.name for path in Path("results/sacred/vdn/async-poac").iterdir()}


def test_the_same_seed_gives_the_same_numbers_and_another_does_not():
    for seed in ("seed=4", "seed=4", "seed=5"):
        assert 0 == run("--config=qmix", *SHORT, seed)
    first, again, other = (
        [record.get("value") for record in read_records(f"results/sacred/qmix/async-poac/{i}")]
        for i in (1, 2, 3)
    )
    assert first == again
    assert first != other


def test_print_config_shows_the_values_and_writes_nothing(tmp_path, capsys):
    assert 0 == main([MAIN, "print_config", "--config=mvd", "with", TASK, "t_max=77"])
    told = capsys.readouterr().out
    assert "t_max = 77" in told and "mvd_order = 2" in told
    assert [] == list(tmp_path.iterdir())


def test_help_shows_ours_and_sacreds_options(capsys):
    assert 0 == main([MAIN, "-h"])
    told = capsys.readouterr().out
    assert "--config=NAME" in told and "--unobserved" in told and "print_config" in told


def test_paper_lays_table_4_over_a_baseline_and_the_command_line_over_both(capsys):
    shown = {}
    for words in ([], ["paper=True"], ["paper=True", "lr=0.25"]):
        assert 0 == main([MAIN, "print_config", "--config=qatten", "with", TASK, *words])
        told = capsys.readouterr().out
        plain = re.sub("\x1b\\[\\d*m", "", told)
        shown[tuple(words)] = {
            name: plain.split(f"  {name} = ")[1].split("\n")[0] for name in ("lr", "batch_size")
        }
    assert ["0.001", "0.0005", "0.25"] == [values["lr"] for values in shown.values()]
    assert ["128", "32", "32"] == [values["batch_size"] for values in shown.values()]


def test_sacreds_flags_go_on_working(tmp_path):
    flags = ("-C", "no", "-F", "elsewhere", "--name=mine", "--id=first", "--force")
    assert 0 == run("--config=vdn", *SHORT, flags=flags)
    assert "mine" == json.loads(Path("elsewhere/first/run.json").read_text())["experiment"]["name"]
    assert Path("results/sacred/vdn/async-poac/first/records.jsonl").is_file()
    assert 2 == run("--config=vdn", *SHORT, flags=flags)  # the name is taken


def test_an_unobserved_run_keeps_no_record():
    assert 0 == run("--config=vdn", *SHORT, "checkpoint_interval=0", flags=("-C", "no", "-u"))
    assert [] == list(Path(".").rglob("records.jsonl")) + list(Path(".").rglob("run.json"))


def test_settings_can_come_from_a_file(capsys):
    Path("mine.json").write_text(json.dumps({"t_max": 78}))
    assert 0 == main([MAIN, "print_config", "--config=mvd", "with", TASK, "mine.json"])
    assert "t_max = 78" in capsys.readouterr().out
    Path("typo.json").write_text(json.dumps({"t_mux": 78}))
    assert 2 == main([MAIN, "print_config", "--config=mvd", "with", TASK, "typo.json"])
    assert "Did you mean 't_max'" in capsys.readouterr().err


def test_a_reward_that_is_no_number_fails_the_run_in_one_line(monkeypatch, capsys):
    step = PoacSimulator._step

    def poisoned(self, actions):
        step(self, actions)
        self.reward[:] = float("nan")

    monkeypatch.setattr(PoacSimulator, "_step", poisoned)
    assert 1 == run("--config=mvd", *SHORT)
    told = [line for line in capsys.readouterr().err.splitlines() if "not a finite number" in line]
    assert "the reward is nan" in told[-1]
    assert FAILED == run_status(FOLDER)
    assert "FAILED" == json.loads((FOLDER / "run.json").read_text())["status"]


def test_a_full_disk_fails_the_run(monkeypatch, capsys):
    monkeypatch.setattr(recorder, "PAUSE_S", 0.0)

    def full(self, line):
        if b'"metric"' in line:
            raise OSError(28, "No space left on device")
        return write(self, line)

    write = recorder.Recorder._write
    monkeypatch.setattr(recorder.Recorder, "_write", full)
    assert 1 == run("--config=mvd", *SHORT)
    assert "the record could not be written" in capsys.readouterr().err
    assert FAILED == run_status(FOLDER)


def test_a_folder_that_cannot_be_made_is_one_line_without_a_trace(monkeypatch, capfd):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device", "results/sacred")

    monkeypatch.setattr("sacred.observers.file_storage.os.makedirs", full)
    assert 1 == run("--config=mvd", *SHORT)
    told = [line for line in capfd.readouterr().err.splitlines() if not re.match(r"\[(INFO|ERROR) ", line)]
    assert ["[Errno 28] No space left on device: 'results/sacred'"] == told


def test_sacreds_files_cut_off_by_a_full_disk_are_told(monkeypatch, capsys):
    write_text = Path.write_text

    def full(path, *args, **kwargs):
        if path.name.startswith("run.json") and any(FOLDER.parent.rglob("checkpoints")):
            raise OSError(28, "No space left on device")
        return write_text(path, *args, **kwargs)

    monkeypatch.setattr(Path, "write_text", full)
    assert 1 == run("--config=mvd", *SHORT)
    assert "sacred's files are not complete" in capsys.readouterr().err


def test_resume_refuses_what_it_cannot_go_on_with(tmp_path):
    with pytest.raises(ValueError, match="no run lies there"):
        resume(tmp_path)
    assert 0 == run("--config=vdn", *SHORT)
    with pytest.raises(ValueError, match="is COMPLETED"):
        resume("results/sacred/vdn/async-poac/1")


@pytest.mark.parametrize(
    "config, story, reason",
    [
        ("[]", "{}", "config.json holds no object"),
        ("{}", "[]", "run.json holds no object"),
        ("{}", "{}", "config.json lacks name, seed, env, env_args, learner"),
    ],
)
def test_a_damaged_configuration_is_one_line(config, story, reason, tmp_path):
    (tmp_path / "config.json").write_text(config)
    (tmp_path / "run.json").write_text(story)
    for words in (
        ["resume", str(tmp_path)],
        ["explain", "--checkpoint", str(tmp_path), "--episode", "0"],
        ["verify", "--key", "async:poac", "--checkpoint", str(tmp_path)],
        ["evaluate", "--run", str(tmp_path)],
    ):
        status, _, told = invoke(*words)
        assert 2 == status
        assert f"{tmp_path}: no run lies there ({reason}). Name the folder that was printed at its start.\n" == told


@pytest.mark.slow
@pytest.mark.parametrize(
    "number, status", [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)]
)
def test_a_stopped_run_goes_on_as_if_undisturbed(number, status, tmp_path):
    """Steps and values of every metric and test equal those of the run that was left alone."""
    words = [word for word in SHORT if not word.startswith("t_max")] + ["t_max=2000"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "ignore", MAIN, "--config=mvd", "with", *words]
    subprocess.run([*command, "local_results_path=whole"], env=environment, check=True, capture_output=True)
    command += ["local_results_path=stopped"]
    stopped = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    folder = Path("stopped/sacred/mvd/async-poac/1")
    until = time.monotonic() + 120
    while not list(folder.glob("checkpoints/[1-9]??")):
        assert time.monotonic() < until and stopped.poll() is None
        time.sleep(0.02)
    stopped.send_signal(number)
    assert status == stopped.wait()
    assert ("STALE" if number == signal.SIGKILL else INTERRUPTED) == run_status(folder)
    again = [sys.executable, "-W", "ignore", "-m", "registry", "resume", str(folder)]
    subprocess.run(again, env=environment, check=True, capture_output=True)
    assert COMPLETED == run_status(folder)
    whole = Path("whole/sacred/mvd/async-poac/1")
    assert story(whole) == story(folder)
    assert columns(whole) == columns(folder)
    assert json.loads((whole / "info.json").read_text()) == json.loads((folder / "info.json").read_text())


def story(folder):
    timeless = {"time": None, "wall_s": None}
    facts = [{**record, **timeless} for record in read_records(folder) if "t_env" in record]
    assert facts
    return facts


def columns(folder):
    metrics = json.loads((folder / "metrics.json").read_text())
    return {name: (entry["values"], entry["steps"]) for name, entry in metrics.items()}


def test_mean_and_standard_error_by_hand():
    """1, 2, 3, 4: mean 2.5, deviation sqrt(5/3), over the root of 4: 0.645."""
    assert "2.500 ± 0.645" == mean_and_error([1.0, 2.0, 3.0, 4.0])
    assert "7.000" == mean_and_error([7.0])


def test_the_summary_tells_the_last_test():
    episodes = [{"battle_won": 1.0, "return": 2.0}, {"battle_won": 0.0, "return": 4.0}]
    tests = [{"kind": "test", "t_env": t, "episodes": episodes[: 1 + t // 9]} for t in (0, 1200)]
    told = "Final test at step 1,200: win rate 0.500 ± 0.500, return 3.000 ± 1.000"
    assert f"{told} (2 episodes, ± standard error)." == summary(tests)
    assert "Nothing was tested." == summary([])
