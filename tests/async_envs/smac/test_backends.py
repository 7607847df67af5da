"""Check 51 and the other backends: one asynchronous layer over all of them, and what is said where one is missing."""

import sys
from types import ModuleType

import gymnasium
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_envs.smac.adapter import AdapterSimulator
from async_envs.smac.backends import STANDIN
from async_envs.smac.constants import BY_TYPE
from async_envs.smac.maps import map_path
from async_envs.smac.simulator import make
from registry.hosts.standins import smaclite as standin
from tests.async_envs.smac import stand_ins

PLAIN = {"smac_compat": True, "continuing_episode": False, "on_block": "wait"}
NAMES = ("obs", "state", "avail_actions", "reward", "terminated", "truncated")


@pytest.fixture
def starcraft(monkeypatch):
    """A module smac.env with a stand-in; gives the environments that were made."""
    package, module = ModuleType("smac"), ModuleType("smac.env")
    module.StarCraft2Env = stand_ins.StarCraft2Env
    monkeypatch.setitem(sys.modules, "smac", package)
    monkeypatch.setitem(sys.modules, "smac.env", module)
    monkeypatch.setattr(stand_ins.StarCraft2Env, "made", [])
    return stand_ins.StarCraft2Env.made


@pytest.fixture
def lite(monkeypatch):
    """A module smaclite whose maps are made by the stand-in."""
    monkeypatch.setitem(sys.modules, "smaclite", ModuleType("smaclite"))

    def make_env(name):
        if "2s3z" not in name:
            raise gymnasium.error.NameNotFound(f"Environment `{name}` doesn't exist.")
        return stand_ins.SMACliteEnv("2s3z")

    monkeypatch.setattr(gymnasium, "make", make_env)


def random_actions(sim, rng):
    return (rng.random(sim.avail_actions.shape) * sim.avail_actions).argmax(-1)


@pytest.mark.parametrize("on_block", ["wait", "cancel"])
@pytest.mark.parametrize("is_compatible", [True, False])
def test_check_51_the_layer_gives_a_backend_the_same_orders(starcraft, on_block, is_compatible):
    """Native with durations, and a SMAC without them under the layer: the same executed actions, and with them
    the same battle.
    """
    options = {"on_block": on_block, "smac_compat": is_compatible, "durations": "1,2,3"}
    native = make("async:smac-3m", "3m", **options)
    layered = make("async:smac-3m", "3m", backend="sc2", **options)
    rng, n_busy = np.random.default_rng(4), 0
    native.reset([0])
    layered.reset([0])
    while not native.terminated[0] | native.truncated[0]:
        for name in NAMES:
            np.testing.assert_array_equal(getattr(native, name), getattr(layered, name), err_msg=name)
        actions = random_actions(native, rng)
        native.step(actions)
        layered.step(actions)
        assert native.world.clocks.executed[0].tolist() == starcraft[-1].told[-1]
        assert np.array_equal(native.get_busy(), layered.get_busy())
        n_busy += int(native.get_busy().sum())
    np.testing.assert_array_equal(native.avail_actions, layered.avail_actions)
    assert n_busy > 0 and native.decisions == layered.decisions
    assert native.metrics == layered.metrics and native.terminated[0] == layered.terminated[0]


@given(st.lists(st.lists(st.integers(0, 6), min_size=4, max_size=4), min_size=1, max_size=12), st.integers(0, 11))
def test_check_51_what_a_recorder_is_told(chosen, death):
    """Durations 1, 2, 3, 1: a free agent's action, the same move while it is owed, 0 for the dead; never 0 else."""
    recorder = stand_ins.Recorder()
    sim = AdapterSimulator("async:smac-x", recorder, np.array([1, 2, 3, 1], np.int32), PLAIN, 50)
    sim.reset([0])
    owed, moves = [0] * 4, [0] * 4
    for step, row in enumerate(chosen):
        if step == death:
            recorder.dead.add(2)
            sim._look()  # it died in the step before
            sim.clocks.left[0, 2] = owed[2] = 0
            sim.avail_actions[0, 2] = [1] + [0] * 7
        actions, expected = [], []
        for i, action in enumerate(row):
            if i in recorder.dead:
                actions.append(0)
                expected.append(0)
            elif owed[i] > 0:
                actions.append(0)
                expected.append(moves[i])
                owed[i] -= 1
            else:
                actions.append(action + 1)
                expected.append(action + 1)
                moves[i] = action + 1
                owed[i] = [1, 2, 3, 1][i] - 1 if 2 <= action + 1 <= 5 else 0
        sim.step(np.array([actions]))
        assert expected == recorder.told[-1] and owed == sim.get_busy()[0].tolist()


@pytest.mark.parametrize("on_block, told", [("wait", [4, 1, 4, 1]), ("cancel", [4, 1, 1, 1])])
def test_a_blocked_move_over_a_backend(on_block, told):
    """The second step is blocked: it is told to stop, and goes on at the third or is free."""
    recorder = stand_ins.Recorder(1, {1: [(0, 4)]})
    sim = AdapterSimulator("async:smac-x", recorder, np.array([3], np.int32), PLAIN | {"on_block": on_block}, 50)
    sim.reset([0])
    for step in range(4):
        sim.step(np.array([[4 if step == 0 else int(sim.avail_actions[0, 0].argmax())]]))
    assert told == [row[0] for row in recorder.told]


def one_battle(backend, **options):
    """A battle of 2s3z in which every move takes three steps, and its units, wherever they are."""
    sim = make("async:smac-2s3z", "2s3z", backend=backend, durations=[3] * 5, **options)
    sim.reset([0])
    return sim, (sim if backend == "native" else sim.backend.env.sim).world.units


@pytest.mark.parametrize("is_compatible", [True, False])
@pytest.mark.parametrize("backend", ["native", "sc2", "smaclite"])
def test_nobody_is_busy_after_the_end_of_a_battle(starcraft, lite, backend, is_compatible):
    """Won while everybody owes two steps: nothing is owed, and masks show all that is physically possible."""
    sim, units = one_battle(backend, smac_compat=is_compatible)
    units.health[0, 5:] = 0.0
    sim.step(np.full((1, 5), sim.action_names.index("move-north")))
    assert sim.terminated[0] and 1.0 == sim.metrics["battle_won"][0]
    assert not sim.get_busy().any() and sim.get_decision_mask().all()
    shift = 0 if is_compatible else 1
    clocks = sim.world.clocks if backend == "native" else sim.clocks
    np.testing.assert_array_equal(clocks.physical[:, :, 1:], sim.avail_actions[:, :, 1 + shift :])
    assert not sim.avail_actions[:, :, : 1 + shift].any() and sim.avail_actions.any(axis=-1).all()


@pytest.mark.parametrize("is_compatible", [True, False])
@pytest.mark.parametrize("backend", ["native", "sc2", "smaclite"])
def test_a_cut_off_keeps_who_is_busy(starcraft, lite, backend, is_compatible):
    """Truncated: a learner bootstraps from the last status. With smac_compat the limit is an end as any other."""
    sim, _ = one_battle(backend, smac_compat=is_compatible, episode_limit=2)
    number = sim.action_names.index
    busy = 0 if is_compatible else number("continue")
    sim.step(np.array([[number("stop")] * 4 + [number("move-north")]]))
    sim.step(np.array([[number("stop")] * 3 + [number("move-north"), busy]]))
    assert (is_compatible, not is_compatible) == (sim.terminated[0], sim.truncated[0])
    owed = [0] * 5 if is_compatible else [0, 0, 0, 2, 1]
    assert owed == sim.get_busy()[0].tolist()
    assert [left > 0 for left in owed] == sim.avail_actions[0, :, busy].astype(bool).tolist()


def test_an_adapter_ends_and_refuses_as_any_simulator(starcraft):
    """As a batch of one: its limit, the end, what is not available."""
    sim = make("async:smac-3m", "3m", backend="sc2", episode_limit=9)
    sim.reset([3])
    rng = np.random.default_rng(0)
    for step in range(9):
        assert not sim.truncated[0]
        sim.step(random_actions(sim, rng))
    assert sim.truncated[0] and not sim.terminated[0] and sim.t[0] == 9
    assert [0.0, 0.0] == [float(sim.metrics[name][0]) for name in ("battle_won", "dead_enemies")]
    with pytest.raises(ValueError, match="every episode is over"):
        sim.step(np.zeros((1, 3), int))
    sim.reset([4])
    with pytest.raises(ValueError, match="action 0 'noop' is not available. Available: stop"):
        sim.step(np.zeros((1, 3), int))
    sim.close()
    assert starcraft[-1].is_closed


def test_smac_gets_its_settings_and_one_seed(starcraft):
    """What differs from SMAC's defaults goes to its constructor; the game is started once, by the first seed."""
    sim = make("async:smac-3m", "3m", backend="sc2", reward_sparse=True, difficulty=7, obs_timestep_number=True)
    for seed in (5, 6, 7):
        sim.reset([seed])
    assert {"reward_sparse": True, "obs_timestep_number": True} == starcraft[-1].options
    assert 5 == starcraft[-1].seed_given and 3 == starcraft[-1].n_resets


def test_a_limit_of_smacs_own_truncates(starcraft):
    """SMAC terminates at its limit; ours is truncated, and terminated with smac_compat."""
    for is_compatible in (False, True):
        sim = make("async:smac-2s_vs_1sc", "2s_vs_1sc", backend="sc2", smac_compat=is_compatible)
        sim.reset([0])
        stop = sim.action_names.index("stop")
        for _ in range(300):
            sim.step(np.full((1, 2), stop))
        assert (is_compatible, not is_compatible) == (sim.terminated[0], sim.truncated[0])


def test_a_crash_of_the_game_ends_the_battle(starcraft, monkeypatch):
    """SMAC gives (0, True, {}): terminated, not won, and nothing is owed."""
    sim = make("async:smac-3m", "3m", backend="sc2", durations="3,3,3")
    sim.reset([0])
    starcraft[-1].crashes_at = 2
    sim.step(np.full((1, 3), sim.action_names.index("move-west")))
    sim.step(sim.avail_actions.argmax(-1))
    assert sim.terminated[0] and 0.0 == sim.metrics["battle_won"][0] and not sim.get_busy().any()


def test_smaclite_is_played_with_the_maps_limit(lite):
    """Its rewards and sizes; a win needs a living agent; the map's limit truncates."""
    sim = make("async:smac-2s3z", "2s3z", backend="smaclite")
    native = make("async:smac-2s3z", "2s3z")
    rng = np.random.default_rng(1)
    sim.reset([0])
    native.reset([0])
    while not native.terminated[0] | native.truncated[0]:
        actions = random_actions(native, rng)
        sim.step(actions)
        native.step(actions)
        np.testing.assert_array_equal(native.obs, sim.obs)
    assert sim.terminated[0] == native.terminated[0] and 120 == sim.episode_limit and native.metrics == sim.metrics


@pytest.mark.parametrize("asked", [7, 500])
def test_smaclite_is_played_to_the_limit_that_is_asked_for(lite, asked):
    """It has none of its own: above the map's 120 as well."""
    sim = make("async:smac-2s3z", "2s3z", backend="smaclite", episode_limit=asked, durations="all_one")
    sim.reset([0])
    stop = sim.action_names.index("stop")
    sim.backend.env.sim.world.units.health[0] = 1e9
    while not sim.terminated[0] | sim.truncated[0]:
        sim.step(np.full((1, 5), stop))
    assert sim.truncated[0] and asked == sim.episode_limit == sim.t[0]


def test_a_limit_above_the_games_own_is_refused(starcraft):
    """StarCraft II ends 3m after 60 steps, whatever is asked for."""
    assert 60 == make("async:smac-3m", "3m", backend="sc2", episode_limit=60).episode_limit
    with pytest.raises(ValueError) as caught:
        make("async:smac-3m", "3m", backend="sc2", episode_limit=61)
    assert "episode_limit=61 is above 60, where backend='sc2' ends a battle itself. Use at most 60" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.fixture
def lite_mmm(lite, monkeypatch, tmp_path):
    """SMAClite's MMM by the stand-in: its agents are a medivac, 7 marines, 2 marauders."""
    text = map_path("MMM").read_text().replace(
        'ally_types = ["marauder", "marine", "medivac"]', 'ally_types = ["medivac", "marine", "marauder"]'
    )
    path = tmp_path / "mmm.toml"
    path.write_text(text)
    monkeypatch.setattr(gymnasium, "make", lambda name: stand_ins.SMACliteEnv("MMM", map_file=str(path)))


def test_durations_by_type_follow_the_agents_of_the_backend(lite_mmm, starcraft):
    """SMAClite orders its agents in its own way; SMAC as the native engine does."""
    sims = [make("async:smac-MMM", "MMM", backend=name, durations="by_type") for name in ("smaclite", "sc2")]
    native = make("async:smac-MMM", "MMM", durations="by_type")
    assert [3] + [1] * 7 + [2] * 2 == sims[0].clocks.duration.tolist()
    assert [2] * 2 + [1] * 7 + [3] == sims[1].clocks.duration.tolist() == native.world.clocks.duration.tolist()


def test_both_sides_falling_at_once_is_no_win_on_smaclite(lite):
    """SMAClite calls it a win."""
    sim = make("async:smac-2s3z", "2s3z", backend="smaclite")
    sim.reset([0])
    sim.backend.env.sim.world.units.health[0] = 0.0
    sim.step(np.full((1, 5), sim.action_names.index("stop")))
    assert sim.terminated[0] and 0.0 == sim.metrics["battle_won"][0] and 5 == sim.metrics["dead_enemies"][0]


@pytest.mark.parametrize(
    "options, said",
    [
        ({"backend": "sc2"}, "backend='sc2' needs the package smac, which cannot be imported ("),
        ({"backend": "smaclite"}, "needs the package smaclite, which cannot be imported"),
        ({"backend": "sc2", "batch_size": 2}, "plays one battle at a time, batch_size=2 is not accepted. Use 1."),
        ({"backend": "sc2", "mode": "scaled"}, "mode='scaled' is an option of the native engine, backend='sc2' has"),
        ({"backend": "sc2", "async_features": True}, "async_features=True is an option of the native engine"),
        ({"backend": "smaclite", "reward_sparse": True}, "reward_sparse=True is an option of the native engine"),
        ({"backend": "smaclite", "last_action": "submitted"}, "last_action='submitted' is an option of the native"),
        ({"backend": "sc2", "durations": "1,1"}, "durations has 2 numbers for 3 agents"),
    ],
)
def test_what_is_missing_or_not_possible_is_one_line(monkeypatch, options, said):
    for package in ("smac", "smaclite"):
        monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ValueError) as caught:
        make("async:smac-3m", "3m", **options)
    line = str(caught.value)
    assert said in line and "\n" not in line
    if "needs the package" in said:
        assert "Install it (pip install git+https" in line and "native needs nothing" in line


def test_a_map_that_smaclite_lacks_is_one_line(lite):
    with pytest.raises(ValueError, match="SMAClite has no map '3m' .*Leave out backend: native has it."):
        make("async:smac-3m", "3m", backend="smaclite")


def test_a_game_that_does_not_start_is_one_line(starcraft, monkeypatch):
    def fail(self):
        raise FileNotFoundError("no\nbinary")

    sim = make("async:smac-3m", "3m", backend="sc2")
    monkeypatch.setattr(stand_ins.StarCraft2Env, "reset", fail)
    with pytest.raises(ValueError, match=r"StarCraft II cannot be started \(no binary\). Install the game"):
        sim.reset([0])


def needs_smaclite():
    """Skip unless it is installed; tests of hosts in the same process may have made a stand-in importable."""
    if hasattr(pytest.importorskip("smaclite"), STANDIN):
        pytest.skip("only a stand-in for smaclite is there")


def test_a_hosts_stand_in_is_not_taken_for_smaclite(monkeypatch):
    """A host that imports smaclite without need gets a stand-in: backend=smaclite is not there all the same."""
    monkeypatch.setitem(sys.modules, "smaclite", standin)
    with pytest.raises(ValueError, match=r"needs the package smaclite, .* \(only a stand-in is there\)"):
        make("async:smac-2s3z", "2s3z", backend="smaclite")


def test_against_smaclite_itself():
    """Where it is installed: sizes are those of the map, and a battle can be played."""
    needs_smaclite()
    sim = make("async:smac-2s3z", "2s3z", backend="smaclite")
    sim.reset([0])
    rng = np.random.default_rng(0)
    assert (80, 120) == (sim.obs_dim, sim.state_dim)
    while not sim.terminated[0] | sim.truncated[0]:
        sim.step(random_actions(sim, rng))


@pytest.mark.parametrize("variant", ["MMM", "MMM2", "bane_vs_bane", "3s5z", "2s_vs_1sc"])
def test_durations_by_type_are_those_of_smaclites_own_agents(variant):
    """Where it is installed: as its units tell their types when a battle has begun."""
    needs_smaclite()
    sim = make(f"async:smac-{variant}", variant, backend="smaclite", durations="by_type", episode_limit=1000)
    sim.reset([0])
    names = [sim.backend.env.agents[i].type.stats.name for i in range(sim.n_agents)]
    assert [BY_TYPE[name] for name in names] == sim.clocks.duration.tolist() and 1000 == sim.episode_limit
