"""The line for an unknown name."""

from async_envs.core.errors import unknown_name


def test_unknown_name_offers_the_nearest():
    line = unknown_name("async:poac-5", "option", "sigth_range", ["sight_range", "map_name"])
    assert line == (
        "async:poac-5: unknown option 'sigth_range'. Did you mean 'sight_range'? "
        "Known: map_name, sight_range."
    )


def test_unknown_name_far_from_all_offers_none():
    assert unknown_name("here", "view", "zzz", ["aec"]) == "here: unknown view 'zzz'. Known: aec."


def test_unknown_name_says_when_nothing_is_known():
    assert unknown_name("here", "view", "zzz", []) == "here: unknown view 'zzz'. Known: none."


def test_unknown_name_takes_what_is_no_text():
    assert unknown_name("here", "view", 5, ["aec"]) == "here: unknown view '5'. Known: aec."
