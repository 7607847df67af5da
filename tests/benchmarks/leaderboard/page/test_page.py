"""The page holds what the report holds, as text and nothing else."""

import base64
import copy
import hashlib
import json
import re
from functools import cache
from pathlib import Path
from typing import Any, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.leaderboard.page.figures import MOST_POINTS, figures
from benchmarks.leaderboard.page.names import algorithms_of
from benchmarks.leaderboard.page.page import embedded, page
from benchmarks.leaderboard.report.data import COLUMNS, report_data
from benchmarks.leaderboard.results import read_results
from tests.benchmarks.leaderboard import synthetic
from tests.benchmarks.leaderboard.page import sample
from tests.benchmarks.leaderboard.page.reading import Parsed, parsed

TEXTS = st.one_of(st.sampled_from(sample.HOSTILE), st.text(st.characters(), max_size=40))
NUMBER = r"-?[\d.]+(e-?\d+)?"
SVG = "http://www.w3.org/2000/svg"


@pytest.fixture(scope="module")
def data() -> dict[str, Any]:
    """A report with rows in all states."""
    return sample.report()


@pytest.fixture(scope="module")
def html(data: dict[str, Any]) -> str:
    """Its page."""
    return page(data)


@pytest.fixture(scope="module")
def tree(html: str) -> Parsed:
    """Its page, parsed."""
    return parsed(html)


def test_texts_of_the_data_add_no_element_and_no_attribute(data: dict[str, Any], tree: Parsed) -> None:
    """Every text replaced by one that tries to be markup: the same elements, and the text is there."""
    for hostile in sample.HOSTILE:
        html = page(sample.with_texts(data, lambda text: f"{hostile}{text}{hostile}"))
        html.encode("utf-8")
        assert not set(html) & set("\x00\u2028\u2029\u202e\ud800")
        other = parsed(html)
        assert tree.shape == other.shape
        assert ["doctype html"] == other.others
    for hostile in sample.HOSTILE[:5]:
        other = parsed(page({**data, "title": hostile, "notes": [hostile]}))
        assert hostile == other.named("h1")[0].text == other.named("title")[0].text
        assert hostile in [each.text for each in other.named("li")]


@settings(max_examples=15)
@given(before=TEXTS, after=TEXTS)
def test_any_text_stays_text(before: str, after: str) -> None:
    """Whatever the letters are; the file can be written, too."""
    changed = page(sample.with_texts(sample.report(n_seeds=2, n_tests=3), lambda text: before + text + after))
    assert _small_shape() == parsed(changed).shape
    changed.encode("utf-8")


@given(
    TEXTS,
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
        lambda children: st.lists(children) | st.dictionaries(TEXTS, children),
        max_leaves=20,
    ),
)
def test_embedded_json_is_the_value_and_cannot_end_its_element(key: str, value: Any) -> None:
    """Read back it is equal; it has no character that HTML or JavaScript reads as something else."""
    text = embedded({key: value})
    assert {key: value} == json.loads(text)
    assert text.isascii() and not set("<>&\n\r\x00") & set(text)


def test_script_reads_what_python_counted(data: dict[str, Any], tree: Parsed) -> None:
    """The data element holds the figures, number by number."""
    (element,) = [each for each in tree.named("script") if each.attributes.get("type") == "application/json"]
    read = json.loads(element.text)
    assert figures(data, algorithms_of(data)) == read
    first = data["curves"]["async:poac-1"]["mvd"]
    series = read["charts"]["task-0"]["series"][0]
    assert (first["step"], first["mean"], first["low"]) == (series["x"], series["y"], series["low"])
    assert 3 == series["n"]


def test_page_refers_to_nothing_outside(html: str, tree: Parsed) -> None:
    """No address, no handler, no style of an element, no reference that leaves the file."""
    assert {SVG} == set(re.findall(r"https?:[^\s\"'`)]*", html))
    assert not re.search(
        r"@import|url\(|//cdn|sendBeacon|XMLHttpRequest|fetch\(|import\(|WebSocket|innerHTML|eval\(", html
    )
    for element in tree.elements:
        assert not [
            name for name in element.attributes if name.startswith("on") or name in ("style", "src", "action")
        ]
        reference = element.attributes.get("href")
        assert reference is None or reference == "data:," or reference.startswith("#")
        if reference and reference.startswith("#"):
            assert reference[1:] in {each.attributes.get("id") for each in tree.elements}
    assert {"body", "title", "main"} <= {each.tag for each in tree.elements}


def test_policy_allows_the_page_itself_and_nothing_else(tree: Parsed) -> None:
    """Its two inline texts are allowed by what they are; there is no door for others and none to the network."""
    (policy,) = [
        each.attributes["content"]
        for each in tree.named("meta")
        if each.attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy is not None
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    (script,) = [each.text for each in tree.named("script") if "type" not in each.attributes]
    (style,) = [each.text for each in tree.named("style")]
    assert "'none'" == rules.pop("default-src") == rules.pop("base-uri") == rules.pop("form-action")
    assert _hashed(script) == rules.pop("script-src")
    assert _hashed(style) == rules.pop("style-src")
    assert {"img-src": "data:", "require-trusted-types-for": "'script'"} == rules


def test_every_number_of_the_report_is_in_a_table(data: dict[str, Any], tree: Parsed) -> None:
    """As the exact value that its cell sorts by, and rounded as its text."""
    found = {float(value) for value in _values(tree) if re.fullmatch(NUMBER, value)}
    missing = {value for value in _numbers(data) if value not in found}
    assert not missing
    shown = [element for element in tree.named("td") if "estimate" in (element.attributes.get("class") or "")]
    assert len(shown) > 80
    for cell in shown:
        if cell.attributes["data-value"]:
            _rounds(cell.text, float(cell.attributes["data-value"] or "nan"))


def test_number_has_its_interval_and_n_beside_it(data: dict[str, Any], tree: Parsed) -> None:
    """Of MVD on POAC-1, read off the data by hand."""
    final = data["rows"][0]["final"]
    (cell,) = [
        each
        for each in tree.named("td")
        if each.attributes.get("data-value") == repr(final["mean"])
        and each.attributes["data-label"] == "Final return"
    ]
    assert f"{final['mean']:.2f} n\xa0=\xa03{final['low']:.2f} to {final['high']:.2f}" == cell.text


def test_what_is_not_there_says_why(tree: Parsed) -> None:
    """One run, no run, a task without its family, a failure: in words."""
    text = " ".join(tree.named("main")[0].text.split())
    for words in (
        "one run, no interval",
        "not run",
        "Not available: the family smac is not part of this version.",
        "1 failed",
        "loss is not finite at step 212,480",
        "Not available for this task: win rate.",
        "not ranked: no finished run",
        "not ranked: 1 of 3 runs finished",
    ):
        assert words in text
    assert "39 of 45 runs finished; the rest: 1 failed, 5 not run." in tree.named("header")[0].text


def test_each_row_opens_its_own_provenance(data: dict[str, Any], tree: Parsed) -> None:
    """The button of a row names a drawer that holds the row's runs: seeds, states, commands, in the row's order."""
    drawers = {each.attributes["id"]: each for each in tree.elements if "popover" in each.attributes}
    buttons = [each for each in tree.named("button") if each.within[-1].attributes.get("class") == "runs"]
    assert 15 == len(drawers) == len(buttons)
    for button in buttons:
        drawer = drawers[button.attributes["popovertarget"]]
        row = next(each for each in reversed(button.within) if each.tag == "tr")
        algorithm = next(each.text for each in tree.named("bdi") if row in each.within)
        assert algorithm in drawer.text
        assert drawer.text.count("python src/main.py") in (0, 1, 2, 3)
    finished = data["rows"][0]["runs"][0]
    assert finished["provenance"]["command"] in drawers["row-0-0"].text
    assert finished["provenance"]["commit"] in drawers["row-0-0"].text
    assert "1 h 30 min" in drawers["row-0-0"].text and "311,207" in drawers["row-0-0"].text


def test_report_of_a_results_folder_is_shown_whole(tmp_path: Path) -> None:
    """What `report` counts of a folder with failed and missing runs: every number of it, every state, every note."""
    protocol = synthetic.a_protocol(algorithms=("mvd", "qmix", "vdn_a"))
    states = {("async:poac-1", "qmix", 3): "failed", ("async:poac-1", "vdn_a", 1): "not run"}
    synthetic.write_results(tmp_path, protocol, states=states)
    data = report_data(read_results(tmp_path, COLUMNS))
    tree = parsed(page(data))
    found = {float(value) for value in _values(tree) if re.fullmatch(NUMBER, value)}
    assert not {value for value in _numbers(data) if value not in found}
    assert "16 of 18 runs finished; the rest: 1 failed, 1 not run." in tree.named("header")[0].text
    assert set(data["notes"]) <= {each.text for each in tree.named("li")}


def test_empty_report_is_a_page_that_says_so() -> None:
    """Nothing has been run: no table of numbers, no curve, plain words; and the page without data is small."""
    data = sample.report()
    empty = {
        **data,
        "rows": [],
        "curves": {},
        "aggregates": [],
        "profiles": {"tau": [], "algorithms": {}},
        "improvement": [],
        "efficiency": {"step": [], "algorithms": {}},
        "notes": [],
        "algorithms": [],
        "tasks": [],
    }
    html = page(empty)
    tree = parsed(html)
    assert "No run of this protocol has been started." in tree.named("header")[0].text
    assert not tree.named("figure")
    assert len(html.encode()) < 60_000


def test_long_curves_are_thinned_and_the_page_says_it() -> None:
    """2,500 tests a curve: at most 400 points are drawn, the first and the last among them."""
    data = sample.report(n_tests=2500)
    tree = parsed(page(data))
    (element,) = [each for each in tree.named("script") if each.attributes.get("type") == "application/json"]
    for chart in json.loads(element.text)["charts"].values():
        for series in chart["series"]:
            assert len(series["x"]) == len(series["y"]) == len(series["low"]) == len(series["high"]) <= MOST_POINTS
    series = json.loads(element.text)["charts"]["task-0"]["series"][0]
    steps = data["curves"]["async:poac-1"]["mvd"]["step"]
    assert (steps[0], steps[-1]) == (series["x"][0], series["x"][-1])
    assert "of 2,500 points, evenly spaced, none averaged." in tree.named("figcaption")[-1].text


def test_page_does_not_change_the_report(data: dict[str, Any]) -> None:
    """It reads only."""
    before = copy.deepcopy(data)
    page(data)
    assert before == data


def test_numbers_that_are_none_are_not_shown_as_numbers() -> None:
    """NaN and infinities never reach the page, in tables or in its JSON."""
    data = sample.report()
    data["rows"][0]["final"]["mean"] = float("nan")
    data["rows"][1]["final"]["high"] = float("inf")
    data["curves"]["async:poac-1"]["mvd"]["mean"][3] = float("nan")
    html = page(data)
    assert not re.search(r"\b(nan|inf|NaN|Infinity)\b", re.sub(r"<script>.*</script>", "", html, flags=re.DOTALL))


@cache
def _small_shape() -> list[tuple[str, tuple[str, ...], int]]:
    return parsed(page(sample.report(n_seeds=2, n_tests=3))).shape


def _hashed(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _values(tree: Parsed) -> Iterator[str]:
    for element in tree.elements:
        for name in ("data-value", "data-low", "data-high"):
            yield element.attributes.get(name) or ""


def _numbers(data: dict[str, Any]) -> Iterator[float]:
    for row in data["rows"]:
        for name in ("final", "absolute", "win_rate", "normalised"):
            yield from (value for key, value in (row[name] or {}).items() if value is not None and key != "n")
        for run in row["runs"]:
            yield from (
                run[name] for name in ("steps", "decisions", "wall_s", "final", "absolute") if run[name] is not None
            )
        yield row["n"]
    for entry in data["aggregates"]:
        yield from (entry["n_runs"], entry["n_tasks"])
        for name in ("iqm", "median", "mean", "optimality_gap"):
            yield from (value for value in entry[name].values() if value is not None)
    for pair in data["improvement"]:
        yield from (pair[name] for name in ("point", "low", "high") if pair[name] is not None)


def _rounds(text: str, value: float) -> None:
    first = re.match(r"[−\d,.]+", text)
    assert first is not None, text
    written = first.group().replace("−", "-").replace(",", "")
    decimals = len(written.partition(".")[2])
    assert abs(float(written) - value) <= 0.5000001 * 10.0**-decimals
