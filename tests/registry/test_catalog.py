"""Keys, families and views."""

import json

import pytest

import registry
from registry import catalog


def test_every_key_builds_and_its_options_are_described(tmp_path):
    task = tmp_path / "task.json"
    one = {"transitions": [[[1]]], "rewards": [[0]], "durations": [[1]], "observations": [[0]], "start": 0}
    task.write_text(json.dumps({**one, "episode_limit": 1}))
    for key in catalog.keys():
        simulator = registry.make(key, **({"file": str(task)} if key == "async:tabular-file" else {}))
        assert key == simulator.key
        assert simulator.n_agents > 0
    assert all(option.help for name in catalog.FAMILIES for option in catalog.family(name).options)


def test_the_short_key_stands_for_the_familys_first_task():
    assert "async:poac-1" == catalog.canonical_key("async:poac") == registry.make("async:poac").key


def test_null_options_are_not_handed_on():
    assert registry.make("async:poac", episode_limit=None).episode_limit == 600


@pytest.mark.parametrize(
    "key, line",
    [
        ("async:poca", "unknown family 'poca'. Did you mean 'poac'"),
        ("async:poac-6", "Did you mean 'async:poac-5'"),
        ("poac-2", "Write 'async:poac-2'"),
        ("lbforaging:Foraging", "unknown key 'lbforaging:Foraging'"),
        ("async:", "names no family"),
    ],
)
def test_a_wrong_key_is_one_line_with_the_nearest_names(key, line):
    with pytest.raises(ValueError) as caught:
        registry.make(key)
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_wrong_option_is_one_line_with_the_nearest_name():
    with pytest.raises(ValueError, match="async:poac-1: unknown option 'bott'. Did you mean 'bot'"):
        registry.make("async:poac", bott="KAI1")


def test_views_show_one_episode():
    view = registry.make("async:poac", view="gymnasium", invalid_actions="replace", episode_limit=7)
    view.reset(seed=1)
    assert 3 == len(view.action_space)
    with pytest.raises(ValueError, match="shows one episode, batch_size=2"):
        registry.make("async:poac", batch_size=2, view="parallel")
    with pytest.raises(ValueError, match="unknown view 'paralel'. Did you mean 'parallel'"):
        registry.make("async:poac", view="paralel")
    with pytest.raises(ValueError, match="unknown option 'invalid_actions'"):
        registry.make("async:poac", invalid_actions="raise")


def test_an_unknown_attribute_of_the_package_is_an_attribute_error():
    with pytest.raises(AttributeError, match="mak"):
        registry.mak
