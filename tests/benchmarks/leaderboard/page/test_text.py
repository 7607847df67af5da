"""Numbers and words as a page writes them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.leaderboard.page.figures import MOST_POINTS, kept
from benchmarks.leaderboard.page.text import decimals_for, duration, number, plural, short, shown, whole


@pytest.mark.parametrize(
    "value, decimals, text",
    [
        (1234.5, 1, "1,234.5"),
        (-0.25, 2, "−0.25"),
        (-0.0001, 2, "0.00"),
        (0, 3, "0.000"),
        (-1234567, 0, "−1,234,567"),
        (None, 3, "–"),
        (float("nan"), 3, "–"),
        (float("-inf"), 3, "–"),
        ("7", 3, "–"),
        (True, 0, "–"),
    ],
)
def test_number(value: object, decimals: int, text: str) -> None:
    """A real minus, commas between thousands, no minus before a zero, a dash for what is no number."""
    assert text == number(value, decimals)


@pytest.mark.parametrize(
    "value, text", [(20.0, "20"), (-2.5, "−2.5"), (0.0, "0"), (205, "205"), (1000.0, "1,000"), (0.1234, "0.123")]
)
def test_short_number_has_no_zeros_at_its_end(value: float, text: str) -> None:
    """Zeros of a whole number stay."""
    assert text == short(value)


@pytest.mark.parametrize(
    "seconds, text",
    [
        (0.4, "0 s"),
        (59.6, "1 min 00 s"),
        (3599, "59 min 59 s"),
        (3600, "1 h 00 min"),
        (5412.7, "1 h 30 min"),
        (None, "–"),
        (4_000_000, "1,111 h 06 min"),
    ],
)
def test_duration(seconds: float | None, text: str) -> None:
    """As people say it."""
    assert text == duration(seconds)


def test_counted_words() -> None:
    """One is singular."""
    assert ["1 run", "0 runs", "12,000 runs", "1 entry", "2 entries"] == [
        plural(1, "run"),
        plural(0, "run"),
        plural(12000, "run"),
        plural(1, "entry", "entries"),
        plural(2, "entry", "entries"),
    ]
    assert "500,000" == whole(500000)


def test_decimals_follow_the_largest() -> None:
    """About four digits."""
    assert [3, 3, 2, 1, 0] == [
        decimals_for(each) for each in ([], [0.5, -9.9, None], [12.0, 1.0], [-205.0], [5000.0])
    ]


@pytest.mark.parametrize(
    "text, seen",
    [
        ("a\u202egnp.exe", "a\ufffdgnp.exe"),
        ("a\u2028b\u2029c", "a\ufffdb\ufffdc"),
        ("a\x00\x1b[31m", "a\ufffd\ufffd[31m"),
        ("\ud800", "\ufffd"),
        ("tab\tand\nline", "tab\tand\nline"),
        ("Grüße 雪 👩‍🔬", "Grüße 雪 👩‍🔬"),
    ],
)
def test_text_that_could_pass_for_another_is_marked(text: str, seen: str) -> None:
    """Directions, separators, controls, halves of letters; letters of any script stay."""
    assert seen == shown(text)


def test_endless_text_is_cut_and_its_length_said() -> None:
    """One name cannot fill the page."""
    assert "x" * 4000 + "… (1,000,000 characters)" == shown("x" * 1_000_000)


@given(st.integers(0, 5000))
def test_thinning_keeps_order_ends_and_even_steps(n: int) -> None:
    """Few points are all kept; of many every k-th and the last."""
    chosen = kept(n)
    assert len(chosen) == n if n <= MOST_POINTS else MOST_POINTS // 2 <= len(chosen) <= MOST_POINTS
    if n:
        assert (0, n - 1) == (chosen[0], chosen[-1])
    steps = {after - before for before, after in zip(chosen[:-1], chosen[1:-1])}
    assert len(steps) <= 1
