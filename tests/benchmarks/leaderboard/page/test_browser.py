"""The page in a real Chromium: what a reader does with a pointer, with a keyboard, on a phone."""

import importlib.util
import os
import re
import shutil
from pathlib import Path
from typing import Any, Iterator

import pytest

from benchmarks.leaderboard.page.page import page
from tests.benchmarks.leaderboard.page import sample

CHROMIUM = os.environ.get("CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None
)
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        importlib.util.find_spec("playwright") is None, reason="needs the extra browser (playwright)"
    ),
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on PATH; name one in CHROMIUM"),
]
WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 360, "height": 740}
POAC_1 = "section.task >> nth=0"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """One browser for all tests."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


class Reader:
    """Opens pages and keeps what they complained of."""

    def __init__(self, chromium: Any, folder: Path) -> None:
        self.chromium, self.folder = chromium, folder
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.contexts: list[Any] = []

    def open(self, data: dict[str, Any], size: dict[str, int] | None = None, **options: Any) -> Any:
        """The page of `data` in a window of its own."""
        path = self.folder / "index.html"
        path.write_text(page(data), encoding="utf-8")
        context = self.chromium.new_context(viewport=size or WIDE, reduced_motion="reduce", **options)
        self.contexts.append(context)
        shown = context.new_page()
        shown.on("console", lambda message: self.complaints.append(message.text))
        shown.on("pageerror", lambda error: self.complaints.append(str(error)))
        shown.on("dialog", lambda dialog: (self.complaints.append(dialog.message), dialog.dismiss()))
        shown.on("request", lambda request: self.requests.append(request.url))
        shown.goto(path.as_uri())
        return shown


@pytest.fixture
def reader(chromium: Any, tmp_path: Path) -> Iterator[Reader]:
    """A reader whose pages complained of nothing and asked the network for nothing."""
    reading = Reader(chromium, tmp_path)
    yield reading
    for context in reading.contexts:
        context.close()
    assert not reading.complaints
    assert [] == [
        url for url in reading.requests if url != (tmp_path / "index.html").as_uri() and not url.startswith("data:")
    ]


def names(shown: Any, table: str) -> list[str]:
    """The algorithms of a table's visible rows, from above."""
    return [text.strip() for text in shown.locator(f"{table} >> table.rows tbody tr:visible th").all_inner_texts()]


def test_header_sorts_by_pointer_and_by_keyboard(reader: Reader) -> None:
    """First the better end, then the other; what is not there stays last; the header says the direction."""
    shown = reader.open(sample.report())
    overcooked = "section.task >> nth=2"
    head = shown.locator(f"{overcooked} >> th", has_text="Absolute metric")
    head.get_by_role("button").click()
    assert "descending" == head.get_attribute("aria-sort")
    best_first = names(shown, overcooked)
    values = [
        row["absolute"]["mean"]
        for row in sorted(
            (row for row in sample.report()["rows"] if row["task"] == "async:overcooked-A" and row["absolute"]),
            key=lambda row: -row["absolute"]["mean"],
        )
    ]
    assert values == [float(value) for value in _values(shown, overcooked, "Absolute metric") if value]
    assert "Qatten(A)" == best_first[-1]
    head.get_by_role("button").focus()
    shown.keyboard.press("Enter")
    assert "ascending" == head.get_attribute("aria-sort")
    assert [*reversed(best_first[:-1]), "Qatten(A)"] == names(shown, overcooked)
    shown.keyboard.press("Shift+Tab")
    shown.keyboard.press("Shift+Tab")
    shown.keyboard.press("Space")
    algorithm = shown.locator(f"{overcooked} >> th[aria-sort]", has_text="Algorithm")
    assert "ascending" == algorithm.get_attribute("aria-sort") and "none" == head.get_attribute("aria-sort")
    assert ["MVD", "Qatten(A)", "QMIX", "QMIX(A)", "VDN(A)"] == names(shown, overcooked)
    head.get_by_role("button").click()
    assert best_first == names(shown, overcooked)


def test_filters_hide_rows_curves_and_tasks(reader: Reader) -> None:
    """An algorithm leaves every table and figure, a task its whole section; None leaves a way back."""
    shown = reader.open(sample.report())
    figure = shown.locator("figure[data-chart=task-0]")
    figure.scroll_into_view_if_needed()
    figure.locator(".curve").first.wait_for()
    assert 5 == figure.locator(".curve").count()
    chip = shown.locator(".chip", has_text=re.compile(r"^\s*QMIX\s*$"))
    chip.click()
    assert "false" == chip.get_attribute("aria-pressed")
    assert 4 == figure.locator(".curve").count()
    assert ["MVD", "QMIX(A)", "VDN(A)", "Qatten(A)"] == names(shown, POAC_1)
    assert "QMIX" not in names(shown, "section[aria-labelledby=overall]")
    shown.locator(".chip", has_text="POAC-2").click()
    assert ["POAC-1", "Overcooked-A"] == shown.locator("section.task:visible h3").all_inner_texts()
    shown.locator("#filters [data-none=task]").click()
    assert not shown.locator("section.task:visible").count()
    shown.get_by_role("button", name="Show all tasks").click()
    assert 5 == shown.locator("section.task:visible").count()
    shown.locator("[data-none=algorithm]").click()
    assert "No algorithm is chosen." == figure.locator(".empty").text_content()
    shown.locator("[data-all=algorithm]").click()
    assert 5 == len(names(shown, POAC_1))


def test_curve_tells_its_nearest_point(reader: Reader) -> None:
    """Over a point of a curve: whose it is, its step, mean, interval and n; off the figure: nothing."""
    data = sample.report()
    shown = reader.open(data)
    figure = shown.locator("figure[data-chart=task-0]")
    figure.scroll_into_view_if_needed()
    figure.locator(".curve").first.wait_for()
    curve = data["curves"]["async:poac-1"]["mvd"]
    at = shown.evaluate(
        "i => { const chart = charts.get(document.querySelector('figure[data-chart=task-0]'));"
        " const series = chart.spec.series[0], box = chart.svg.getBoundingClientRect();"
        " return [box.left + chart.px(series.x[i]), box.top + chart.py(series.y[i])]; }",
        30,
    )
    shown.mouse.move(*at)
    tip = figure.locator(".tip")
    expected = [
        "MVD",
        f"{curve['mean'][30]:.2f}",
        f"95 % interval {curve['low'][30]:.2f} to {curve['high'][30]:.2f}",
        "n = 3, step 310,000",
    ]
    assert expected == [line.strip() for line in tip.inner_text().splitlines()]
    shown.mouse.move(5, 5)
    assert tip.is_hidden()


def test_curve_is_read_by_keyboard(reader: Reader) -> None:
    """Tab to it, arrows along it and between algorithms, Escape; each point is also said aloud."""
    data = sample.report()
    shown = reader.open(data)
    figure = shown.locator("figure[data-chart=task-1]")
    figure.scroll_into_view_if_needed()
    figure.locator(".curve").first.wait_for()
    shown.locator("section.task >> nth=1 >> td.runs button").last.focus()
    shown.keyboard.press("Tab")
    assert "application" == shown.evaluate("document.activeElement.getAttribute('role')")
    tip, curve = figure.locator(".tip"), data["curves"]["async:poac-2"]["mvd"]
    shown.keyboard.press("ArrowRight")
    assert "step 500,000" in tip.inner_text() and "MVD" in tip.inner_text()
    shown.keyboard.press("ArrowLeft")
    assert "step 490,000" in tip.inner_text() and f"{curve['mean'][48]:.2f}" in tip.inner_text()
    shown.keyboard.press("Home")
    assert "step 10,000" in tip.inner_text()
    order = sorted(
        data["curves"]["async:poac-2"], key=lambda name: -data["curves"]["async:poac-2"][name]["mean"][0]
    )
    below = order[(order.index("mvd") + 1) % len(order)]
    shown.keyboard.press("ArrowDown")
    assert sample.NAMES[below] in tip.inner_text() and "step 10,000" in tip.inner_text()
    assert sample.NAMES[below] in figure.locator("[role=status]").text_content()
    shown.keyboard.press("Escape")
    assert tip.is_hidden()


def test_row_opens_its_provenance_and_escape_closes_it(reader: Reader) -> None:
    """By a click anywhere in the row and by its button; focus goes in and comes back."""
    data = sample.report()
    shown = reader.open(data)
    row = shown.locator(f"{POAC_1} >> tr.opens", has_text="QMIX(A)")
    row.locator("td.rank").click()
    drawer = shown.locator(".drawer:popover-open")
    assert 1 == drawer.count()
    text = drawer.inner_text()
    failed = next(row for row in data["rows"] if (row["task"], row["algorithm"]) == ("async:poac-1", "qmix_a"))
    for run in failed["runs"]:
        assert run["provenance"]["command"] in text
    for words in (
        "QMIX(A)",
        "POAC-1",
        "failed",
        "loss is not finite at step 212,480",
        "643a55500e1c",
        "2 cores, 8 GB",
    ):
        assert words in text
    shown.keyboard.press("Escape")
    assert 0 == drawer.count()
    button = row.get_by_role("button")
    button.focus()
    shown.keyboard.press("Enter")
    assert 1 == drawer.count()
    assert "close" == shown.evaluate("document.activeElement.className")
    shown.keyboard.press("Enter")
    assert 0 == drawer.count()
    assert button.evaluate("own => own === document.activeElement")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 360, 768, 1280])
def test_page_never_scrolls_sideways(reader: Reader, width: int, scheme: str) -> None:
    """Nor does an open drawer; long names break."""
    data = sample.with_texts(
        sample.report(), lambda text: text + "_and_a_name_without_end" * 4 if text == "QMIX" else text
    )
    shown = reader.open(data, {"width": width, "height": 740}, color_scheme=scheme)
    _walk(shown)
    assert width >= shown.evaluate("document.documentElement.scrollWidth")
    shown.locator(f"{POAC_1} >> td.runs button >> nth=0").click()
    assert width >= shown.evaluate("document.querySelector('.drawer:popover-open').scrollWidth")
    grounds = {"light": "rgb(252, 251, 248)", "dark": "rgb(21, 23, 26)"}
    assert grounds[scheme] == shown.evaluate("getComputedStyle(document.body).backgroundColor")


def test_phone_has_cards_that_sort(reader: Reader) -> None:
    """At 360 px every value has its name beside it, and a list does what the headers do."""
    shown = reader.open(sample.report(), PHONE)
    cell = shown.locator(f"{POAC_1} >> td.estimate >> nth=0")
    assert '"Final return"' == cell.evaluate("own => getComputedStyle(own, '::before').content")
    shown.locator(f"{POAC_1} >> .sort-by select").select_option(label="Final return, ascending")
    assert ["Qatten(A)", "VDN(A)", "QMIX", "QMIX(A)", "MVD"] == names(shown, POAC_1)
    assert shown.locator(f"{POAC_1} >> td.runs button >> nth=0").bounding_box()["height"] >= 24


def test_hostile_texts_stay_texts(reader: Reader) -> None:
    """Names that are scripts: no dialog, no error, no element of theirs; the text can be read, also in tooltips."""
    drawn = "[...document.querySelectorAll('body *')].map(each => each.tagName).join()"
    plain = reader.open(sample.report())
    _walk(plain)
    for hostile in (sample.HOSTILE[0], "".join(sample.HOSTILE)):
        shown = reader.open(sample.with_texts(sample.report(), lambda text: f"{hostile}{text}{hostile}"))
        _walk(shown)
        assert plain.evaluate(drawn) == shown.evaluate(drawn)
        shown.locator("figure[data-chart=task-0] svg[role=application]").focus()
        shown.keyboard.press("ArrowRight")
        title = shown.locator("figure[data-chart=task-0] .tip b").text_content().strip()
        assert title.startswith("</script><script>alert(1)</script>") and "MVD" in title
        shown.locator(f"{POAC_1} >> td.runs button >> nth=0").click()
        assert "</script><script>alert(1)</script>" in shown.locator(".drawer:popover-open").inner_text()


def test_policy_stops_what_escaping_would_have_missed(reader: Reader) -> None:
    """A script written into the open page does not run, and nothing can be fetched."""
    shown = reader.open(sample.report())
    ran = shown.evaluate("""async () => {
        const script = document.createElement('script');
        try { script.textContent = 'window.ran = true'; document.body.append(script); } catch (error) { /* refused */ }
        const image = new Image(); image.src = 'http://127.0.0.1:9/x.png'; document.body.append(image);
        let fetched = true;
        try { await fetch('http://127.0.0.1:9/'); } catch (error) { fetched = false; }
        return [window.ran === true, fetched];
    }""")
    assert [False, False] == ran
    assert reader.complaints and all(
        "Content Security Policy" in text or "Trusted" in text for text in reader.complaints
    )
    reader.complaints.clear()
    reader.requests[:] = [url for url in reader.requests if ":9/" not in url]


def test_tables_need_no_script(reader: Reader) -> None:
    """Without JavaScript: every row, no filter that does nothing, words in place of curves, provenance by button."""
    shown = reader.open(sample.report(), java_script_enabled=False)
    assert 5 == len(names(shown, POAC_1))
    assert shown.locator("#filters").is_hidden() and not shown.locator("th button:visible").count()
    assert "switched off here" in shown.locator("figure[data-chart=task-0]").inner_text()
    shown.locator(f"{POAC_1} >> td.runs button >> nth=0").click()
    assert 1 == shown.locator(".drawer:popover-open").count()


def test_print_draws_every_curve_and_leaves_out_controls(reader: Reader) -> None:
    """Figures that were never in sight are on paper too."""
    shown = reader.open(sample.report())
    shown.emulate_media(media="print")
    shown.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert [5, 5, 5, 5, 4] == [figure.locator(".curve").count() for figure in shown.locator("figure.chart").all()]
    assert shown.locator("#filters").is_hidden()
    assert len(shown.pdf()) > 10_000


def test_every_control_is_reached_by_tab_and_seen(reader: Reader) -> None:
    """Tab stops in the order of the page; each shows an outline."""
    shown = reader.open(sample.report())
    _walk(shown)
    tops, seen = [], []
    for _ in range(40):
        shown.keyboard.press("Tab")
        tops.append(shown.evaluate("document.activeElement.getBoundingClientRect().top + scrollY"))
        seen.append(
            shown.evaluate(
                "[document.activeElement.className, getComputedStyle(document.activeElement).outlineStyle]"
            )
        )
    assert "skip" == seen[0][0]
    assert all(style != "none" for _, style in seen)
    assert 8 == sum("chip" in name for name, _ in seen)
    assert sum("sort" in name for name, _ in seen) >= 6


def test_much_data_stays_quick(reader: Reader) -> None:
    """250 runs with 2,500 tests each: curves are thinned, and a filter reaches those out of sight when they come."""
    data = sample.report(n_seeds=17, n_tests=2500)
    shown = reader.open(data)
    _walk(shown)
    longest = shown.evaluate("charts.values().next().value.spec.series[0].x.length")
    assert 300 < longest <= 400
    shown.locator(".chip", has_text="VDN(A)").click()
    figure = shown.locator("figure[data-chart=task-0]")
    figure.scroll_into_view_if_needed()
    figure.locator(".curve >> nth=4").wait_for(state="detached")
    assert 4 == figure.locator(".curve").count()


def _walk(shown: Any) -> None:
    """Bring every figure into sight once."""
    for figure in shown.locator("figure.chart:visible").all():
        figure.scroll_into_view_if_needed()
        figure.locator("svg[role=application] .axis").first.wait_for(state="attached")
    shown.evaluate("scrollTo(0, 0)")


def _values(shown: Any, table: str, label: str) -> list[str]:
    return [
        cell.get_attribute("data-value") for cell in shown.locator(f"{table} >> td[data-label='{label}']").all()
    ]
