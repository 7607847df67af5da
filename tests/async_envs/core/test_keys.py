"""Keys and their parts."""

import pytest

from async_envs.core.keys import Key, has_prefix, parse


@pytest.mark.parametrize(
    "text, parts",
    [
        ("async:poac-5", Key("poac", "5")),
        ("async:poac", Key("poac", None)),
        ("async:smac-3s-vs-5z", Key("smac", "3s-vs-5z")),
    ],
)
def test_key_has_a_family_and_perhaps_a_variant(text, parts):
    assert parse(text) == parts
    assert str(parts) == text


@pytest.mark.parametrize(
    "text, line",
    [
        ("poac-5", "key: 'poac-5' does not begin with 'async:'."),
        ("async:", "key: 'async:' names no family."),
        ("async:-5", "key: 'async:-5' names no family."),
        ("async:poac-", "key: 'async:poac-' ends with a dash, expected a variant after it."),
        (
            "async:poac:5-b",
            "key: 'async:poac:5-b' has a colon after its family, not a dash. Did you mean 'async:poac-5-b'?",
        ),
        ("async:po ac", "key: 'async:po ac' holds white space."),
    ],
)
def test_bad_key_is_one_clear_line(text, line):
    with pytest.raises(ValueError) as caught:
        parse(text)
    assert str(caught.value) == line + " Write async:<family> or async:<family>-<variant>, e.g. async:poac-5."


def test_key_that_is_no_text_is_refused():
    with pytest.raises(TypeError, match="key: None is a NoneType, expected a text"):
        parse(None)


def test_prefix_tells_our_keys_from_others():
    assert has_prefix("async:poac")
    assert not has_prefix("lbforaging:Foraging-8x8-2p-3f-v3")
    assert not has_prefix(None)
