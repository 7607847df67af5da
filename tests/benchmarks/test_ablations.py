"""`python -m benchmarks.ablations`: what it would run, what it has run, and what it draws from that."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks import processes
from benchmarks.ablations import curves, execution, plots
from benchmarks.ablations.__main__ import main
from benchmarks.ablations.cells import ABLATIONS, Variant
from benchmarks.ablations.plan import (
    FINISHED,
    GOES_ON,
    NEW,
    UNDER_WAY,
    Cell,
    Plan,
    Settings,
    look,
    make_plan,
    wanted_settings,
)
from benchmarks.processes import environment
from plugins.config.schema import config_names, load_alg
from registry.launch import main as train
from registry.recorder import Recorder
from registry.records import COMPLETED, RECORDS, run_status
from tests.registry.command import assert_same_run

KEY = "async:tabular-relay"
TINY = {
    "batch_size": 4, "buffer_size": 20, "test_interval": 100, "test_nepisode": 4, "hidden_dim": 8,
    "batch_size_run": 4, "checkpoint_interval": 50, "log_interval": 50,
}  # fmt: skip
SMALL = [word for name, value in TINY.items() for word in ("--set", f"{name}={value}")]
ONE = ("implementation", "--key", KEY, "--only", "MVD-m", "--t-max", "300", *SMALL)


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test stands in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EPYMARL_HOST", "embedded")


def ask(*words: str) -> tuple[int, str, str]:
    """(exit status, stdout, stderr) of one command."""
    done = CliRunner().invoke(main, list(words))
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout, done.stderr


def cell_of(results: str, seed: int = 1) -> Cell:
    """The only cell of ONE."""
    settings = Settings(KEY, 300, Path(results), TINY)
    (cell,) = make_plan(settings, ABLATIONS["implementation"].chosen(("MVD-m",)), [seed]).cells
    return cell


# the tables


@pytest.mark.parametrize("name", ABLATIONS)
def test_every_curve_is_drawn_and_every_setting_is_one_of_its_algorithm(name: str) -> None:
    asked = ABLATIONS[name]
    labels = [variant.label for variant in asked.variants]
    assert len(labels) == len(set(labels))
    assert set(labels) == {label for panel in asked.panels for label in panel.labels}
    for variant in asked.variants:
        assert variant.config in config_names()
        assert {key for key, _ in variant.changes} <= set(load_alg(variant.config))


def test_variants_that_two_ablations_share_have_one_folder() -> None:
    folders = {name: {v.label: v.folder for v in each.variants} for name, each in ABLATIONS.items()}
    assert folders["vsp"]["MVD"] == folders["order"]["MVD(2)"] == folders["implementation"]["MVD-m"]
    assert folders["vsp"]["NA2Q(A)"] == folders["order"]["NA2Q(2)"]
    assert all(len(each) == len(set(each.values())) for each in folders.values())


@pytest.mark.parametrize(
    "name, n_variants", [("algorithms", len(config_names())), ("vsp", 9), ("order", 6), ("implementation", 3)]
)
def test_a_dry_run_shows_every_command_and_writes_nothing(name: str, n_variants: int) -> None:
    code, told, _ = ask(name, "--key", "async:poac", "--seeds", "1", "7", "--t-max", "900", "--dry-run")
    lines = told.splitlines()
    assert 0 == code and 1 + 2 * n_variants == len(lines) and [] == list(Path().iterdir())
    assert ["variant", "seed", "state", "command"] == lines[0].split()
    for k, line in enumerate(lines[1:]):
        variant, seed = ABLATIONS[name].variants[k // 2], (1, 7)[k % 2]
        assert [variant.label, str(seed), NEW] == line.split()[:3]
        command = f"python src/main.py --config={variant.config} with env_args.key=async:poac-1 seed={seed} t_max=900"
        assert command + " paper=True" in line
        assert all(f" {key}={value}" in line for key, value in variant.changes)


def test_a_variant_that_the_task_has_no_room_for_is_shown_as_refused() -> None:
    code, told, _ = ask("order", "--key", "async:tabular-payoff", "--seeds", "1", "--dry-run")
    assert 0 == code
    states = {line.split()[0]: line.split()[2] for line in told.splitlines()[1:7]}
    assert {"MVD(3)": "refused"} == {label: state for label, state in states.items() if state != NEW}
    assert "MVD(3) is refused: mvd: mvd_order=3 is not accepted with 2 agents" in told


def test_settings_reach_the_command_with_their_types() -> None:
    words = ("--set", "use_rnn=False", "--set", "env_args.episode_limit=9", "--set", "td_lambda=null")
    code, told, error = ask("vsp", "--key", "async:poac-1", "--only", "QMIX", "--seeds", "1", "--dry-run", *words)
    assert 0 == code, error
    assert "use_rnn=False env_args.episode_limit=9 td_lambda=None" in told


@pytest.mark.parametrize("words", [
    ("vsp", "--only", "VDN", "MVD"),
    ("--only", "VDN,MVD", "vsp"),
    ("--only", "VDN", "MVD", "vsp"),
    ("vsp", "--only", "VDN", "--only", "MVD"),
])  # fmt: skip
def test_variants_may_be_named_one_after_another(words: tuple[str, ...]) -> None:
    code, told, error = ask("--key", KEY, "--seeds", "1", "2", *words, "--dry-run")
    assert 0 == code, error
    assert [line.split()[:2] for line in told.splitlines()[1:]] == [
        [label, seed] for label in ("VDN", "MVD") for seed in "12"
    ]


def test_the_help_shows_an_example_that_is_accepted() -> None:
    told = CliRunner().invoke(main, ["--help"]).output
    (example,) = [line.split()[3:] for line in told.splitlines() if line.startswith("  python -m benchmarks.ablations")]
    assert 0 == ask(*example, "--dry-run")[0]


@pytest.mark.parametrize("words, line", [
    ((), "which one? Write python -m benchmarks.ablations NAME"),
    (("vspp", "--key", KEY), "Did you mean 'vsp'"),
    (("vsp",), "--key is missing"),
    (("vsp", "--key", "async:poca"), "Did you mean 'poac'"),
    (("vsp", "--key", KEY, "--seeds", "one"), "--seeds='one' is not accepted"),
    (("vsp", "--key", KEY, "--seeds", "1,-2"), "--seeds='-2' is not accepted"),
    (("vsp", "--key", KEY, "--seeds", "3", "3"), "--seeds=3 is there twice"),
    (("vsp", "--key", KEY, "--t-max", "0"), "ablations: --t-max='0' is not accepted"),
    (("vsp", "--key", KEY, "--only", "MVDD"), "Did you mean 'MVD'"),
    (("vsp", "--key", KEY, "--only", "VDN", "MVDD"), "Did you mean 'MVD'"),
    (("--key", KEY, "--only", "VDN", "--seeds", "1", "vsp", "3"), "unexpected extra argument (3)"),
    (("vsp", "--key", KEY, "--set", "lr"), "--set lr: neither a name nor a value"),
    (("vsp", "--key", KEY, "--set", "lrr=1"), "unknown configuration key 'lrr'"),
    (("vsp", "--key", KEY, "--set", "lr='fast'"), "lr='fast' is not accepted"),
    (("vsp", "--key", KEY, "--set", "seed=1"), "--set seed=1: this is what the ablation decides"),
    (("vsp", "--key", KEY, "--set", "env_args.limit=1"), "unknown option 'limit'"),
    (("vsp", "--key", KEY, "--results", "file"), "results cannot be written there"),
    (("vsp", "--key", KEY, "--nope"), "No such option"),
])  # fmt: skip
def test_bad_input_is_one_line(words: tuple[str, ...], line: str) -> None:
    Path("file").touch()
    code, told, error = ask(*words)
    assert (2, "") == (code, told) and line in error and 1 == error.count("\n"), error
    assert ["file"] == [path.name for path in Path().iterdir()]


# curves by hand


def test_a_curve_is_the_mean_and_the_sample_deviation_of_interpolated_runs() -> None:
    """At 100: 1 and 3. At 200: 2 and 5, the second halfway from 4 (at 150) to 6 (at 250). Ends are held."""
    one = np.array([100.0, 200.0]), np.array([1.0, 2.0])
    other = np.array([120.0, 150.0, 250.0]), np.array([3.0, 4.0, 6.0])
    found = curves.curve([one, other], np.array([100.0, 200.0]))
    assert ([100, 200], [2.0, 3.5], 2) == (found["step"], found["mean"], found["n"])
    assert found["std"] == pytest.approx([2**0.5, 3 / 2**0.5])


def test_one_run_has_no_deviation() -> None:
    found = curves.curve([(np.array([10.0]), np.array([4.0]))], np.array([5.0, 20.0]))
    assert {"step": [5, 20], "mean": [4.0, 4.0], "std": None, "n": 1} == found


def test_tests_of_a_run_are_means_over_their_episodes() -> None:
    Path("run_folder").mkdir()
    with Recorder("run_folder") as recorder:
        recorder.metric("loss", 1.0, 5)
        for step, wins in ((10, (0.0, 1.0)), (20, (1.0, 1.0))):
            recorder.test(step, [{"seed": 1, "return": 2 * win, "length": 3, "battle_won": win} for win in wins])
    found = curves.tests_of(Path("run_folder"))
    assert {"return", "battle_won"} == set(found)
    steps, means = found["battle_won"]
    assert ([10.0, 20.0], [0.5, 1.0]) == (steps.tolist(), means.tolist())
    assert [1.0, 2.0] == found["return"][1].tolist()


def test_time_between_a_kill_and_the_next_start_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two seconds to step 100, killed, 1,000 seconds later eight more to step 500."""
    Path("run_folder").mkdir()
    clock = [50.0]
    monkeypatch.setattr("registry.recorder.time.time", lambda: clock[0])
    for step, seconds in ((100, 2.0), (500, 8.0)):
        with Recorder("run_folder") as recorder:
            recorder.status("RUNNING")
            clock[0] += seconds
            recorder.metric("loss", 1.0, step)
        clock[0] += 1_000.0
    assert 500 / 10 == curves.steps_per_second(Path("run_folder"))


def test_only_finished_runs_are_in_a_curve() -> None:
    """Seed 1 is finished and pays 3, seed 2 was killed at half of its steps and had paid 9."""
    settings, variant = Settings(KEY, 200, Path("results"), {}), Variant("MVD", "mvd")
    cells = []
    for seed, paid, state in ((1, 3.0, FINISHED), (2, 9.0, GOES_ON)):
        run = Path.cwd() / "results" / str(seed)
        run.mkdir(parents=True)
        (run / "config.json").write_text(json.dumps({"test_interval": 100}))
        with Recorder(run) as recorder:
            recorder.test(100, [{"seed": 0, "return": paid, "length": 1}])
        cells.append(Cell(variant, seed, run, {}, state, run, ""))
    (found,) = curves.report("vsp", Plan(settings, tuple(cells)))["variants"]
    assert {"step": [100, 200], "mean": [3.0, 3.0], "std": None, "n": 1} == found["curves"]["return"]
    assert [(1, FINISHED, "1"), (2, GOES_ON, "2")] == [
        (each["seed"], each["state"], each["folder"]) for each in found["runs"]
    ]


# runs


def begin(cell: Cell) -> subprocess.Popen[bytes]:
    """Start the cell as the ablation would."""
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", *cell.command()[1:]], env=environment(),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder whose only cell was run by the command itself."""
    results = tmp_path_factory.mktemp("results")
    code, told, error = ask(*ONE, "--seeds", "1", "--results", str(results))
    assert 0 == code, told + error
    assert "[1/1] MVD-m, seed 1: begins" in told and "MVD-m, seed 1: finished (step 30" in told
    return results


def snapshot(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every file below `folder`: when it was written, and what."""
    return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_curves_and_pictures_are_those_of_the_run(finished: Path) -> None:
    (run,) = (finished / "runs").glob("*/mvd-mvd_order-2-mvd_form-m/seed-1/sacred/mvd/async-tabular-relay/1")
    assert COMPLETED == run_status(run)
    config = json.loads((run / "config.json").read_text())
    assert (True, 2, "m", 300, 1, 8) == tuple(
        config[name] for name in ("paper", "mvd_order", "mvd_form", "t_max", "seed", "hidden_dim")
    )
    found = json.loads((finished / "implementation-async-tabular-relay.json").read_text())
    (variant,) = found["variants"]
    points = variant["curves"]["return"]
    assert ([100, 200, 300], None, 1) == (points["step"], points["std"], points["n"])
    steps, means = curves.tests_of(run)["return"]
    assert points["mean"] == np.interp([100, 200, 300], steps, means).tolist()
    with (finished / "implementation-async-tabular-relay.csv").open() as file:
        first, *others = csv.reader(file)
    assert list(curves.COLUMNS) == first and len(others) == 3 * len(variant["curves"])
    row = dict(zip(first, next(other for other in others if other[3] == "return")))
    assert ("MVD-m", "100", "", "1") == (row["variant"], row["step"], row["std"], row["n"])
    pictures = sorted(path.name for path in finished.glob("*.png"))
    assert pictures == [f"implementation-async-tabular-relay-{metric}.png" for metric in sorted(variant["curves"])]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in finished.glob("*.png"))


@pytest.mark.slow
def test_a_finished_cell_is_not_repeated_and_other_settings_are_refused(
    finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execution, "run", lambda cell: pytest.fail("started a process"))
    before = snapshot(finished / "runs")
    code, told, _ = ask(*ONE, "--seeds", "1", "--results", str(finished))
    assert 0 == code and "[1/1] MVD-m, seed 1: finished (step 30" in told and "begins" not in told
    assert before == snapshot(finished / "runs")
    for words, line in (
        (("--t-max", "400"), "has t_max=300, expected 400"),
        (("--set", "lr=0.1"), "has lr=0.0005, expected 0.1"),
    ):
        code, told, error = ask(*ONE, "--seeds", "1", "--results", str(finished), *words)
        assert (2, "") == (code, told) and line in error and 1 == error.count("\n")
    assert before == snapshot(finished / "runs")


@pytest.mark.slow
def test_a_killed_cell_is_taken_up_where_it_stood(finished: Path) -> None:
    """Killed half-way and taken up by the same command, it ends as one that was never disturbed."""
    cell = cell_of("killed")
    process = begin(cell)
    until = time.monotonic() + 120
    run = cell.folder / "sacred/mvd/async-tabular-relay/1"
    while not list(run.glob("checkpoints/[0-9]*")):
        assert time.monotonic() < until and process.poll() is None, "it ended, or never began"
        time.sleep(0.005)
    process.kill()
    assert -signal.SIGKILL == process.wait()
    assert GOES_ON == look(cell.folder, cell.wanted)[0]
    code, told, error = ask(*ONE, "--seeds", "1", "--results", "killed")
    assert 0 == code, told + error
    assert "MVD-m, seed 1: goes on from step " in told and "MVD-m, seed 1: finished (step 30" in told
    (undisturbed,) = finished.glob("runs/*/*/seed-1/sacred/mvd/async-tabular-relay/1")
    assert ["1"] == [path.name for path in run.parent.iterdir() if path.name.isdigit()]
    assert 1 == len(json.loads((run / "run.json").read_text())["resumed"])
    assert_same_run(undisturbed, run)


def small_run(results: str) -> Path:
    """The run of a cell, made in this process."""
    cell = cell_of(results)
    words = ["main.py", cell.words[0], "-C", "no", *cell.words[1:]]
    assert 0 == train([*words, f"local_results_path={cell.folder}", "progress=False", "use_cuda=False"])
    return cell.folder / "sacred/mvd/async-tabular-relay/1"


def test_the_state_of_a_cell_follows_its_record() -> None:
    wanted = wanted_settings(Variant("MVD-m", "mvd", (("mvd_form", "m"),)), Settings(KEY, 300, Path(), TINY), 1)
    folder = Path("results/seed-1")
    assert (NEW, None, "") == look(folder, wanted)
    run = folder / "sacred/mvd/async-tabular-relay/1"
    run.mkdir(parents=True)
    assert (NEW, None, "") == look(folder, wanted)
    flat = {name: value for name, value in wanted.items() if "." not in name}
    (run / "config.json").write_text(json.dumps({**flat, "env_args": {"key": KEY}}))
    assert (NEW, None, "") == look(folder, wanted)  # killed before it wrote anything
    with Recorder(run) as recorder:
        recorder.status("RUNNING")
        recorder.metric("loss", 1.0, 40)
        assert (UNDER_WAY, run, "step 40") == look(folder, wanted)
        recorder.status("INTERRUPTED")
    assert (GOES_ON, run, "step 40") == look(folder, wanted)
    with Recorder(run) as recorder:
        recorder.status("COMPLETED")
    assert (FINISHED, run, "step 40") == look(folder, wanted)
    with pytest.raises(ValueError, match="this run has mvd_form='m', expected 'd'"):
        look(folder, {**wanted, "mvd_form": "d"})


def test_a_cell_of_another_process_is_left_to_it() -> None:
    cell = cell_of("results")
    run = cell.folder / "sacred/mvd/async-tabular-relay/1"
    run.mkdir(parents=True)
    config = {name: value for name, value in cell.wanted.items() if "." not in name}
    (run / "config.json").write_text(json.dumps({**config, "env_args": {"key": KEY}}))
    with Recorder(run) as recorder:
        recorder.status("RUNNING")
        code, told, error = ask(*ONE, "--seeds", "1", "--results", "results")
    assert (2, "") == (code, told) and "MVD-m, seed 1: another process is at it" in error and 1 == error.count("\n")


def test_a_failed_cell_says_why_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seed 1 ends at once with a status, seed 2 by a signal; curves of nothing are written all the same."""
    ends = iter(["import sys; print('no room'); sys.exit(3)", "import os; os.kill(os.getpid(), 9)"])
    monkeypatch.setattr(Cell, "command", lambda self: [sys.executable, "-c", next(ends)])
    code, told, _ = ask(*ONE, "--seeds", "1", "2", "--results", "results")
    assert 1 == code
    assert "seed 1: failed (exit status 3: no room; see " in told
    assert "seed 2: failed (killed by signal 9; the same command goes on with it)" in told
    found = json.loads(Path("results/implementation-async-tabular-relay.json").read_text())
    assert ["failed", "failed"] == [run["state"] for run in found["variants"][0]["runs"]]
    assert {} == found["variants"][0]["curves"] and [] == list(Path("results").glob("*.png"))


def test_an_interrupt_ends_the_cell_and_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """The child is told once, and has ended before the command does."""
    child = (
        "import os, signal, sys, time\n"
        "signal.signal(signal.SIGINT, lambda *_: (open('told', 'a').write('x'), sys.exit(130)))\n"
        "os.kill(os.getppid(), signal.SIGTERM)\n"
        "time.sleep(60)"
    )
    monkeypatch.setattr(Cell, "command", lambda self: [sys.executable, "-c", child])
    monkeypatch.setattr(processes, "ROOT", Path.cwd())
    before = signal.getsignal(signal.SIGTERM)
    try:
        code, told, error = ask(*ONE, "--seeds", "1", "2", "--results", "results")
    finally:
        signal.signal(signal.SIGTERM, before)
    assert 130 == code and "The same command goes on from here" in error and "seed 2" not in told
    assert "x" == Path("told").read_text()
    assert [] == list(Path("results").glob("*.json"))


def test_without_matplotlib_there_are_curves_and_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plots, "can_draw", lambda: False)
    run = small_run("results")
    assert (run / RECORDS).exists()
    code, told, error = ask(*ONE, "--seeds", "1", "--results", "results")
    assert 0 == code and error.endswith(plots.NO_MATPLOTLIB + "\n")
    assert Path("results/implementation-async-tabular-relay.csv").exists() and [] == list(Path("results").glob("*.png"))
    assert "MVD-m" in told


def test_nothing_of_matplotlib_is_imported_before_it_draws() -> None:
    code = "import sys, benchmarks.ablations.__main__; sys.exit('matplotlib' in sys.modules)"
    assert 0 == subprocess.run([sys.executable, "-c", code], env={**os.environ, **environment()}).returncode


def test_the_environment_of_a_cell_is_the_embedded_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EPYMARL_HOME", "elsewhere")
    assert not any(name.startswith("EPYMARL_") for name in environment())


def drawn(monkeypatch: pytest.MonkeyPatch, found: dict[str, Any]) -> Any:
    """The figure that is saved for the curves `found`."""
    from matplotlib.figure import Figure

    kept: list[Any] = []
    monkeypatch.setattr(Figure, "savefig", lambda self, path, dpi: kept.append(self))
    (path,) = plots.draw(ABLATIONS["vsp"], found, Path(), "vsp-task")
    assert "vsp-task-return.png" == path.name
    return kept[0]


def test_each_figure_of_the_paper_is_a_panel_with_its_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    points = {"step": [10, 20], "mean": [1.0, 2.0], "std": [0.5, 0.5], "n": 3}
    labels = ("QMIX", "QMIX(A)", "MVD")
    variants = [{"label": label, "curves": {"return": points}} for label in labels]
    figure = drawn(monkeypatch, {"ablation": "vsp", "key": KEY, "variants": variants})
    panels = {axis.get_title(): axis for axis in figure.axes if axis.get_visible()}
    assert {"Figure 7a", "Figure 16"} == set(panels)
    assert ["QMIX (n = 3)", "QMIX(A) (n = 3)"] == [line.get_label() for line in panels["Figure 16"].get_lines()]
    lines = panels["Figure 7a"].get_lines()
    assert 3 == len(lines) and [1.0, 2.0] == list(lines[0].get_ydata())
    (band, _) = panels["Figure 16"].collections
    assert {0.5, 1.5, 2.5} == {y for _, y in band.get_paths()[0].vertices}
