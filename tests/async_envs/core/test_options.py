"""What a user may choose, and each line that says otherwise."""

import pytest

from async_envs.core.options import Option
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
