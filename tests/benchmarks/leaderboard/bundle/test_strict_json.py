"""JSON of bundles: what readers could stumble over is refused."""

import json

import pytest

from benchmarks.leaderboard.bundle.limits import Limits
from benchmarks.leaderboard.bundle.refusal import Refused
from benchmarks.leaderboard.bundle.strict_json import lines, parse


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e999", "[1, -1e400]", '{"a": NaN}'])
def test_numbers_that_are_not_finite_are_refused(text: str) -> None:
    with pytest.raises(Refused, match="expected finite numbers"):
        parse(text.encode(), "claims.json")


@pytest.mark.parametrize("depth", [25, 1000, 100_000])
def test_deep_json_is_refused(depth: int) -> None:
    for opening, closing in (("[", "]"), ('{"a":', "}")):
        text = opening * depth + "1" + closing * depth
        with pytest.raises(Refused, match="lie in each other"):
            parse(text.encode(), "claims.json")


def test_json_as_deep_as_accepted_is_read() -> None:
    assert parse(b"[" * 23 + b"1" + b"]" * 23, "claims.json") is not None


@pytest.mark.parametrize("text", ["9" * 21, "-" + "9" * 30, "1" * 10_000])
def test_huge_whole_numbers_are_refused(text: str) -> None:
    with pytest.raises(Refused, match="a whole number of"):
        parse(text.encode(), "claims.json")
    assert parse(str(2**64 - 1).encode(), "claims.json") == 2**64 - 1


def test_a_name_twice_in_an_object_is_refused() -> None:
    """Readers differ in which of the two they take."""
    with pytest.raises(Refused, match="'mean' is twice in one object"):
        parse(b'{"mean": 1, "mean": 2}', "claims.json")


@pytest.mark.parametrize("data", [b"", b"{", b"[1,]", b"\xff\xfe", b"{'a': 1}", b"1 2"])
def test_what_is_not_json_is_refused(data: bytes) -> None:
    with pytest.raises(Refused, match="this is not JSON"):
        parse(data, "claims.json")


def test_a_long_text_is_refused() -> None:
    with pytest.raises(Refused, match="a text of 20001 characters"):
        parse(json.dumps(["x" * 20_001]).encode(), "claims.json")


def test_lines_are_read_one_by_one() -> None:
    assert list(lines(b"1\n[2]\n", "tests.jsonl")) == [1, [2]]
    assert list(lines(b"", "tests.jsonl")) == []
    with pytest.raises(Refused, match="line 2: this is not JSON"):
        list(lines(b"1\n\n", "tests.jsonl"))
    with pytest.raises(Refused, match="does not end with a line feed"):
        list(lines(b"1\n2", "tests.jsonl"))
    with pytest.raises(Refused, match="line 1 has more than 10 bytes"):
        list(lines(b"[1, 2, 3, 4, 5]\n", "tests.jsonl", Limits(line=10)))
