"""Saved networks play as in the tests of their run; what they did can be played again; bad files are one line."""

import functools
import pickle
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from async_envs.core.seeding import ABSOLUTE, TEST, episode_seed
from plugins.config.schema import config_names
from plugins.controllers import CONTROLLERS
from plugins.envs import build_simulator
from plugins.runners.vector import VectorRunner
from registry import catalog
from registry import config as configuration
from registry.evaluation import Episode, evaluate, load_weights, replay, save_weights
from registry.hosts import select
from tests.plugins.acting import CountingBatch, Log

SEEDS = [episode_seed(3, ABSOLUTE, k) for k in range(11)]
TASKS = {
    "async:poac-1": {"episode_limit": 30},
    "async:overcooked-A": {"episode_limit": 30},
    "async:tabular-relay": {},
    "async:smac-3m": {},
}


@functools.cache
def settings_of(algorithm: str, key: str = "async:poac-1") -> dict[str, Any]:
    """The whole configuration of a small run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EPYMARL_HOST", "embedded")
        host = select.choose("embedded")
    updates = {"env_args": {"key": key, **TASKS[key]}, "seed": 3, "hidden_dim": 16, "use_cuda": False}
    config = configuration.assemble(host, algorithm, None, updates)
    return configuration.merge(config, updates)


def controller_of(config: dict[str, Any]) -> Any:
    """A controller as training builds it, its last layer scaled up so that utilities differ."""
    simulator = build_simulator(catalog.make, config["env_args"], 1)
    args = SimpleNamespace(**config, n_agents=simulator.n_agents, n_actions=simulator.n_actions)
    scheme = {"obs": {"vshape": simulator.obs_dim}, "state": {"vshape": simulator.state_dim}}
    torch.manual_seed(8)
    return catalog.load(CONTROLLERS[config["mac"]])(scheme, {"agents": simulator.n_agents}, args)


def weights_of(config: dict[str, Any]) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in controller_of(config).agent.state_dict().items()}


def values(episodes: list[Episode]) -> list[dict[str, Any]]:
    return [episode.values for episode in episodes]


def assert_same(one: list[Episode], other: list[Episode]) -> None:
    assert values(one) == values(other)
    for a, b in zip(one, other, strict=True):
        assert a.seed == b.seed
        np.testing.assert_array_equal(a.actions, b.actions)


@pytest.mark.parametrize("algorithm", config_names())
def test_every_algorithm_plays_the_same_however_many_episodes_at_once(algorithm: str) -> None:
    """Eleven episodes together, in fours, and the last one alone; their replay finds the same values."""
    config = settings_of(algorithm)
    weights = weights_of(config)
    together = evaluate(config, weights, SEEDS)
    assert SEEDS == [episode.seed for episode in together]
    assert_same(together, evaluate(config, weights, SEEDS, batch_size=4))
    assert_same(together[-1:], evaluate(config, weights, SEEDS[-1:]))
    assert values(together) == replay("async:poac", config["env_args"], together)
    for episode in together:
        assert (episode.values["length"], 3) == episode.actions.shape
        assert 0 < episode.values["decisions"] <= episode.actions.size


@pytest.mark.parametrize("key", list(TASKS))
@pytest.mark.parametrize("algorithm", ["mvd", "mac_iaicc"])
def test_every_family_is_played_and_played_again(algorithm: str, key: str) -> None:
    config = settings_of(algorithm, key)
    played = evaluate(config, weights_of(config), SEEDS)
    assert values(played) == replay(key, config["env_args"], played)


def test_a_task_that_shows_proxies_is_played_with_them() -> None:
    config = settings_of("qmix")
    config = {**config, "env_args": {**config["env_args"], "vsp": True}}
    played = evaluate(config, weights_of(config), SEEDS)
    assert all(episode.actions.shape == (episode.values["length"], 6) for episode in played)
    assert values(played) == replay("async:poac-1", config["env_args"], played)
    alone = [episode._replace(actions=episode.actions[:, :3]) for episode in played]
    assert values(played) == replay("async:poac-1", settings_of("qmix")["env_args"], alone)


@pytest.mark.parametrize("algorithm", ["mvd", "qmix", "ices", "ippo", "na2q"])
def test_networks_play_as_in_the_tests_of_their_run(algorithm: str) -> None:
    """The vector runner's test episodes, in single precision, are those of `evaluate` on their seeds."""
    config = {**settings_of(algorithm), "evaluation_epsilon": 0.0}
    args = SimpleNamespace(**config, device="cpu")
    args.env_args = {name: value for name, value in config["env_args"].items() if value is not None}
    runner = VectorRunner(args, Log(), episode_batch=CountingBatch, make_simulator=catalog.make)
    mac = controller_of(config)
    runner.setup({}, {}, {}, mac)
    tested = runner.evaluate(9)
    played = evaluate(config, mac.agent.state_dict(), [episode_seed(3, TEST, k) for k in range(9)])
    assert tested == [{"seed": episode.seed, **episode.values} for episode in played]


def test_other_networks_and_other_seeds_play_otherwise() -> None:
    config = settings_of("mvd")
    weights = weights_of(config)
    played = evaluate(config, weights, SEEDS)
    other = {name: -value for name, value in weights.items()}
    assert values(played) != values(evaluate(config, other, SEEDS))
    assert values(played) != values(evaluate(config, weights, [seed + 1 for seed in SEEDS]))


def test_an_evaluation_explores_nowhere_and_leaves_the_random_streams_alone() -> None:
    config = {**settings_of("mvd"), "evaluation_epsilon": 1.0}
    weights = weights_of(config)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    assert_same(evaluate(settings_of("mvd"), weights, SEEDS), evaluate(config, weights, SEEDS))
    assert torch.equal(before, torch.get_rng_state())


def test_policies_are_drawn_from_or_with_test_greedy_followed() -> None:
    policy = settings_of("ippo")
    weights = weights_of(policy)
    drawn = evaluate(policy, weights, SEEDS)
    assert_same(drawn, evaluate({**policy, "seed": 4, "epsilon_start": 1.0}, weights, SEEDS))
    likeliest = evaluate({**policy, "test_greedy": True}, weights, SEEDS)
    sharp = {name: 1e6 * value if name.startswith("fc2") else value for name, value in weights.items()}
    assert values(drawn) != values(likeliest)
    assert_same(likeliest, evaluate(policy, sharp, SEEDS))


def test_decisions_are_what_the_actions_say() -> None:
    """A deciding agent's action is neither noop (0) nor continue (1), and nobody else's is another."""
    config = settings_of("mvd")
    for episode in evaluate(config, weights_of(config), SEEDS):
        assert episode.values["decisions"] == (episode.actions >= 2).sum()


# replays of what was not played so


@pytest.fixture(scope="module")
def played() -> list[Episode]:
    config = settings_of("mvd")
    return evaluate(config, weights_of(config), SEEDS[:3])


def refused(episodes: list[Episode], key: str = "async:poac-1") -> str:
    with pytest.raises(ValueError) as caught:
        replay(key, TASKS["async:poac-1"], episodes)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def changed(played: list[Episode], actions: np.ndarray) -> list[Episode]:
    return [played[0], played[1]._replace(actions=actions), played[2]]


@pytest.mark.parametrize("action", [-1, 1, 10**6, 2**62])
def test_an_impossible_action_names_episode_step_and_agent(action: int, played: list[Episode]) -> None:
    actions = played[1].actions.copy()
    step, agent = np.argwhere(actions >= 2)[-1]
    actions[step, agent] = action
    told = refused(changed(played, actions))
    seed = played[1].seed
    assert f"episode with seed {seed}, step {step}, agent {agent}: action {action} is not available" in told


def test_steps_that_lack_or_that_come_after_the_end_are_refused(played: list[Episode]) -> None:
    actions = played[1].actions
    n, seed = len(actions), played[1].seed
    assert f"seed {seed}: its {n - 1} recorded steps end before" in refused(changed(played, actions[:-1]))
    longer = np.concatenate([actions, actions[-1:]])
    assert f"seed {seed}: {n + 1} steps were recorded, but it ends after {n}" in refused(changed(played, longer))
    empty = np.zeros((0, 3), np.int64)
    assert "its 0 recorded steps end before" in refused(changed(played, empty))


@pytest.mark.parametrize("shape", [(30, 2), (30,), (30, 3, 1)])
def test_actions_of_another_shape_are_refused(shape: tuple[int, ...], played: list[Episode]) -> None:
    told = refused(changed(played, np.zeros(shape, np.int64)))
    assert f"actions of shape {list(shape)}, expected [steps, 3] whole numbers" in told
    assert "whole numbers" in refused(changed(played, played[1].actions.astype(float)))


def test_an_unknown_task_or_option_is_refused(played: list[Episode]) -> None:
    assert "unknown family 'poca'. Did you mean 'poac'" in refused(played, key="async:poca-1")
    with pytest.raises(ValueError, match="unknown option 'speedy'"):
        replay("async:poac-1", {"speedy": 1}, played)


# networks in files


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """Networks of MVD as training saves them, as safetensors."""
    torch.save(weights_of(settings_of("mvd")), tmp_path / "agent.th")
    save_weights(tmp_path, tmp_path / "agent.safetensors")
    return tmp_path / "agent.safetensors"


def test_safetensors_hold_the_very_numbers(saved: Path) -> None:
    config = settings_of("mvd")
    weights, loaded = weights_of(config), load_weights(saved)
    assert sorted(weights) == sorted(loaded)
    assert all(torch.equal(weights[name], loaded[name]) for name in weights)
    assert_same(evaluate(config, weights, SEEDS[:2]), evaluate(config, saved, SEEDS[:2]))
    assert ["agent.safetensors", "agent.th"] == sorted(path.name for path in saved.parent.iterdir())


class Malice:
    """Unpickled with trust, it makes a folder."""

    def __reduce__(self) -> Any:
        import os

        return os.mkdir, ("owned",)


def test_a_pickle_is_refused_and_not_run(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for content in (pickle.dumps(Malice()), (tmp_path / "agent.th").read_bytes(), b"", b"\xff" * 100):
        saved.write_bytes(content)
        with pytest.raises(ValueError, match="this is not a safetensors file .* Nothing in it was run") as caught:
            load_weights(saved)
        assert "\n" not in str(caught.value) and not Path("owned").exists()


def test_a_file_cut_short_or_missing_is_refused(saved: Path) -> None:
    saved.write_bytes(saved.read_bytes()[:-1])
    with pytest.raises(ValueError, match="agent.safetensors: this is not a safetensors file"):
        load_weights(saved)
    with pytest.raises(ValueError, match="nothing.safetensors: no such file"):
        load_weights(saved.with_name("nothing.safetensors"))
    with pytest.raises(ValueError, match="no saved networks lie there"):
        save_weights(saved.parent / "elsewhere", saved)


@pytest.mark.parametrize(
    "harm, line",
    [
        (lambda w: w.pop("fc1.weight"), "lacks 'fc1.weight'"),
        (lambda w: w.update(extra=torch.zeros(2)), "holds 'extra', which this run has not"),
        (lambda w: w.update({"fc2.bias": torch.zeros(3)}), "holds 'fc2.bias' of shape [3], expected ["),
        (lambda w: w.update({"fc2.bias": w["fc2.bias"].long()}), "'fc2.bias' holds torch.int64, expected finite"),
        (lambda w: w["fc2.bias"].fill_(float("nan")), "'fc2.bias' holds NaN or infinity, expected finite"),
    ],
)
def test_networks_that_do_not_fit_are_one_line_with_the_file(harm: Any, line: str, saved: Path) -> None:
    from safetensors.torch import save_file

    weights = weights_of(settings_of("mvd"))
    harm(weights)
    save_file(weights, saved)
    with pytest.raises(ValueError) as caught:
        evaluate(settings_of("mvd"), saved, SEEDS[:1])
    assert str(caught.value).startswith(f"{saved}: ") and line in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "changes, line",
    [
        ({"hidden_dim": 32}, "expected [32"),
        ({"hidden_dim": 10**9}, "hidden_dim=1000000000 is more than all"),
        ({"hidden_dim": "16"}, "hidden_dim='16' is not accepted"),
        ({"mac": "basic_mac"}, "mac='basic_mac' is not one of our controllers"),
        ({"agent": "rnn_x"}, "unknown agent 'rnn_x'. Did you mean 'rnn'"),
        ({"env": "gymma"}, "the task 'async:poac-1' is not one of ours"),
        ({"env_args": {"key": "lbforaging:Foraging-8x8-2p-3f-v3"}}, "is not one of ours"),
        ({"env_args": {"key": "async:poac-1", "bott": 1}}, "unknown option 'bott'. Did you mean 'bot'"),
        ({"use_rnn": None}, "use_rnn=None is not accepted"),
    ],
)
def test_a_configuration_that_does_not_fit_is_one_line(changes: dict[str, Any], line: str) -> None:
    config = settings_of("mvd")
    with pytest.raises(ValueError) as caught:
        evaluate({**config, **changes}, weights_of(config), SEEDS[:1])
    assert line in str(caught.value) and "\n" not in str(caught.value)


def test_a_configuration_that_lacks_a_key_names_it() -> None:
    config = {**settings_of("mvd")}
    weights = weights_of(config)
    del config["obs_agent_id"]
    with pytest.raises(ValueError, match="the configuration lacks 'obs_agent_id'"):
        evaluate(config, weights, SEEDS[:1])
