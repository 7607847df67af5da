"""The simulator contract, for every key and for random tasks, and what else a user relies on."""

import json

import numpy as np
import pytest
from hypothesis import given, settings

from async_envs.core.compile import is_compiled
from async_envs.core.conformance import check_simulator
from async_envs.tabular.family import FAMILY, OPTIONS_OF
from async_envs.tabular.simulator import TabularSimulator, make
from tests.async_envs.tabular.tasks import errands, written
from tests.theory.strategies import Parts, parts

NOT_COMPILED = set() if is_compiled() else {"allocation in a step (kernels are not compiled)"}
ENDS_BY_ITSELF = "no episode was truncated"
DETERMINISTIC = "episodes of different seeds were all the same"


def unchecked(build, n_seeds=16):
    return set(check_simulator(build, range(n_seeds)).unchecked)


@pytest.mark.parametrize(
    "variant, left",
    [
        ("payoff", {ENDS_BY_ITSELF, DETERMINISTIC}),
        ("climbing", {ENDS_BY_ITSELF, DETERMINISTIC}),
        ("relay", {ENDS_BY_ITSELF}),
    ],
)
def test_named_task_keeps_the_contract(variant, left):
    found = unchecked(lambda size: make(f"async:tabular-{variant}", variant, size))
    assert found == left | NOT_COMPILED


def test_task_of_a_file_keeps_the_whole_contract(tmp_path):
    """Ends of both kinds, all three statuses, chance everywhere: nothing goes unchecked."""
    path = tmp_path / "errands.json"
    path.write_text(json.dumps(written(errands())))
    assert unchecked(lambda size: make("async:tabular-file", "file", size, file=str(path))) == NOT_COMPILED


@settings(max_examples=15)
@given(parts().map(Parts.task))
def test_random_tasks_keep_the_contract(task):
    check_simulator(lambda size: TabularSimulator("async:tabular-test", size, task), range(4))


def test_defaults_of_the_instances_are_those_of_the_options():
    defaults = {option.name: option.default for option in FAMILY.options}
    task, other = make("k", "payoff").task, make("k", "payoff", a=1.0, b=2.0, shown=False).task
    assert (defaults["a"], defaults["b"], defaults["shown"]) == (1.0, 2.0, False)
    np.testing.assert_array_equal(task.rewards, other.rewards)


def test_every_option_belongs_to_a_variant():
    assert sorted(name for names in OPTIONS_OF.values() for name in names) == sorted(
        option.name for option in FAMILY.options
    )
    assert set(OPTIONS_OF) <= set(FAMILY.variants)


@pytest.mark.parametrize(
    "variant, options, line",
    [
        ("relay", {"a": 2}, "async:tabular-relay: option a=2.0 is for async:tabular-payoff only. Leave it out."),
        ("climbing", {"shown": True}, "option shown=True is for async:tabular-payoff only"),
        ("payoff", {"file": "x.json"}, "option file='x.json' is for async:tabular-file only"),
        ("file", {"b": 1.0, "file": "x"}, "option b=1.0 is for async:tabular-payoff only"),
        ("file", {}, "async:tabular-file: no file was given, a task in JSON or NPZ is expected. Add file=PATH"),
        ("payoff", {"a": float("nan")}, "option a=nan is not accepted, expected a number from"),
        ("payoff", {"b": float("inf")}, "option b=inf is not accepted, expected a number from"),
        ("payoff", {"shown": "yes"}, "option shown='yes' is a str, expected True or False"),
        ("payoff", {"c": 1.0}, "unknown option 'c'. Known: a, b, file, shown"),
        ("payof", {}, "unknown variant 'payof'. Did you mean 'payoff'"),
    ],
)
def test_a_wrong_option_is_one_line(variant, options, line):
    with pytest.raises(ValueError) as caught:
        make(f"async:tabular-{variant}", variant, **options)
    assert line in str(caught.value) and "\n" not in str(caught.value)


def test_an_unavailable_action_names_what_the_agent_is_doing():
    sim = make("async:tabular-relay", "relay")
    sim.reset([1])
    sim.step([[2, 4]])
    with pytest.raises(ValueError) as caught:
        sim.step([[3, 4]])
    assert str(caught.value) == (
        "async:tabular-relay: episode 0, agent 0: action 3 'right' is not available while executing 'left' "
        "(3 steps left). Available: continue."
    )


def test_pictures_tell_every_agent_in_a_line():
    sim = make("async:tabular-payoff", "payoff", a=3.0)
    sim.reset([1])
    sim.step([[2, 4]])
    assert sim.render(mode="ansi").splitlines() == [
        "step 1 of 2: state 1, reward 0, return 0",
        "  agent 0 observes 1, executing 'a' (1 step left)",
        "  agent 1 observes 1, deciding: a, b",
    ]
    sim.step([[1, 2]])
    assert sim.render().splitlines() == [
        "step 2 of 2 terminated: state 2, reward 9, return 9",
        "  agent 0 observes 2, inactive",
        "  agent 1 observes 2, inactive",
    ]
    with pytest.raises(ValueError, match="unknown render_mode 'rgb_array'. Known: ansi"):
        sim.render(mode="rgb_array")
