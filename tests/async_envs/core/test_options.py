"""What a user may choose, and each line that says otherwise."""

import numpy as np
import pytest

from async_envs.core.options import Option, StepsOption
from tests.toy import FAMILY

KEY = "async:toy-3"


@pytest.mark.parametrize(
    "given, line",
    [
        (
            {"sesaon": "dry"},
            "async:toy-3: unknown option 'sesaon'. Did you mean 'season'? "
            "Known: deadly, episode_limit, goal, season.",
        ),
        (
            {"episode_limit": 0},
            "async:toy-3: option episode_limit=0 is not accepted, expected a whole number from 1 to 10000. "
            "Steps before an episode is cut off.",
        ),
        (
            {"episode_limit": 10_001},
            "async:toy-3: option episode_limit=10001 is not accepted, "
            "expected a whole number from 1 to 10000. Steps before an episode is cut off.",
        ),
        (
            {"episode_limit": 2.0},
            "async:toy-3: option episode_limit=2.0 is a float, expected a whole number from 1 to 10000. "
            "Steps before an episode is cut off.",
        ),
        (
            {"episode_limit": True},
            "async:toy-3: option episode_limit=True is a bool, expected a whole number from 1 to 10000. "
            "Steps before an episode is cut off.",
        ),
        (
            {"goal": "much"},
            "async:toy-3: option goal='much' is a str, expected a number of at least 0.5. "
            "Gold that wins the episode.",
        ),
        (
            {"goal": float("nan")},
            "async:toy-3: option goal=nan is not accepted, expected a number of at least 0.5. "
            "Gold that wins the episode.",
        ),
        (
            {"season": "cold"},
            "async:toy-3: option season='cold' is not accepted, expected one of dry, wet. "
            "Wet mines give half the gold.",
        ),
        (
            {"deadly": 1},
            "async:toy-3: option deadly=1 is a int, expected True or False. Whether digging can kill.",
        ),
    ],
)
def test_bad_option_is_one_clear_line(given, line):
    with pytest.raises(ValueError) as caught:
        FAMILY.check_options(KEY, given)
    assert str(caught.value) == line


def test_good_options_pass_and_null_ones_are_left_out():
    given = {"episode_limit": 5, "goal": 3, "season": None, "deadly": False}
    checked = FAMILY.check_options(KEY, given)
    assert checked == {"episode_limit": 5, "goal": 3.0, "deadly": False}
    assert type(checked["goal"]) is float


@pytest.mark.parametrize("option", [Option("name", str, None, "Help."), Option("n", int, None, "Help.")])
def test_option_without_bounds_names_its_type(option):
    kind = "a text" if option.type is str else "a whole number"
    with pytest.raises(ValueError, match=f"expected {kind}. Help."):
        option.check(KEY, 1.5)


STEPS = StepsOption("durations", str, "even", "Steps of each agent.", rules=("even", "odd"), longest=9)


@pytest.mark.parametrize(
    "given", ["1,2,9", " 1, 2 ,9", [1, 2, 9], (1, "2", 9), np.array([1, 2, 9]), [np.int32(1), 2, 9]]
)
def test_numbers_of_steps_may_be_written_in_many_ways(given):
    checked = STEPS.check(KEY, given)
    assert checked == (1, 2, 9) and {int} == set(map(type, checked))


@pytest.mark.parametrize("given", [4, "4", np.int64(4), [4], np.array(4)])
def test_a_single_number_of_steps_is_a_list_of_one(given):
    assert (4,) == STEPS.check(KEY, given)


@pytest.mark.parametrize("given", ["even", "odd"])
def test_a_rule_stays_its_name(given):
    assert given == STEPS.check(KEY, given)


@pytest.mark.parametrize(
    "given", ["", "1,,2", "uneven", [], [0], [10], [True, 2], [1.0], 1.5, [[1, 2]], {1: 2}, None]
)
def test_what_is_no_number_of_steps_is_refused_in_one_line(given):
    with pytest.raises(ValueError) as caught:
        STEPS.check(KEY, given)
    accepted = "is not accepted, expected one of even, odd, or whole numbers from 1 to 9 (1,2,3). Steps of each agent."
    assert str(caught.value) == f"{KEY}: option durations={given!r} {accepted}"


def test_an_array_that_is_refused_is_told_in_one_line_too():
    """NumPy would break the line after some twenty numbers."""
    with pytest.raises(ValueError, match=r"^async:toy-3: option durations=\[1.0, .* is not accepted, [^\n]*$"):
        STEPS.check(KEY, np.ones(50))
