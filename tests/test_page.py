"""results/index.html: it stands alone, and a real browser shows it, sorts it and filters it without an error."""

import re
import shutil
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from report import figures, latex, page, palette, plotting, table
from report.curve import Curve, curves_of
from report.store import Record
from tests.records import made_up, write

QUIET = [  # no sandbox, which root cannot have, and nothing that looks for a network
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
]
SUITES = {"hoppers": ("hopper-medium", "hopper-expert"), "walkers": ("walker2d-medium",)}


def records() -> list[Record]:
    scores = {"dt": (60.0, 64.0), "bc": (50.0, 51.0), "tt": (70.0,)}
    targets = {"dt": (3600.0, 1800.0)}
    return [
        made_up(model=model, dataset=dataset, seed=seed, score=score, targets=targets.get(model, (None,)))
        for dataset in ("hopper-medium", "hopper-expert", "walker2d-medium")
        for model, of_model in scores.items()
        for seed, score in enumerate(of_model)
    ]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results") / "runs"
    for record in write(folder, *records()):
        curve = Curve(folder / record.name)
        for update in range(100, 1000, 100):
            column = "return/3600" if record.model == "dt" else "return/any"
            curve.append({"update": update, "seconds": 0.1 * update, "loss/total": 30 / update, column: 2.0 * update})
    return folder


OUTSIDE = r"""(?:src|href)=["'](?!#|data:|runs/)|@import|url\(|fetch\(|https?://(?!www\.w3\.org)"""


@pytest.fixture(scope="module")
def text(runs: Path) -> str:
    """The page of these runs, with its figures."""
    report = table.report(records(), suites=SUITES)
    drawn = figures.draw(runs.parent / "figures", curves_of(records(), runs), report)
    return page.page(report, runs, {path.stem: path.read_text(encoding="utf-8") for path in drawn}, SUITES, {})


def test_the_page_stands_alone(text: str) -> None:
    assert not re.search(OUTSIDE, text)
    assert "prefers-color-scheme: dark" in text
    assert 'name="viewport"' in text


def test_the_page_escapes_what_it_is_given(tmp_path: Path) -> None:
    nasty = made_up(dataset="</script><script>alert(1)</script>-medium")
    text = page.page(table.report([nasty]), tmp_path, {}, {"</script>": (nasty.dataset,)}, {nasty.name: ["<b>why</b>"]})
    assert text.count("<script") == 1  # its own
    assert "<b>why</b>" not in text


def test_what_only_this_machine_knows_is_not_compared(tmp_path: Path) -> None:
    record, runs = records()[0], tmp_path
    (runs / record.name).mkdir()
    report = table.report(records())
    stale = page.page(report, runs, {}, {}, {record.name: ["code has changed"]})
    (runs / record.name / "hopper.mp4").touch()
    fresh = page.page(report, runs, {}, {}, {})
    assert "code has changed" in stale
    assert f"{record.name}/hopper.mp4" in fresh
    assert page.portable(stale) == page.portable(fresh)


def test_every_run_has_a_section_with_its_command_and_its_settings(text: str) -> None:
    for record in records():
        assert f'<details id="{record.name}"' in text
    assert text.count("<template>") == len(records())  # opened, and built, one by one
    assert "python experiments/run.py --model bc --env walker2d-medium --source reroll --seed 1" in text
    assert "context 20" in text


def test_the_latex_table_escapes_what_latex_would_read() -> None:
    text = latex.document(table.report([made_up(dataset="a_b&c%-medium", seed=seed) for seed in range(2)]).scores)
    assert r"a\_b\&c\%-medium" in text
    assert r"60.0 $\pm$ 0.0" in text
    assert len({line.count(" & ") for line in text.splitlines() if line.endswith("\\\\")}) == 1


# ---- in a browser ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium: playwright's own, or the one that is installed."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    installed = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with playwright.sync_playwright() as started:
        try:
            chromium = started.chromium.launch(executable_path=installed, args=QUIET)
        except playwright.Error:
            pytest.skip("there is no Chromium here: apt-get install chromium, or playwright install chromium")
        yield chromium
        chromium.close()


@pytest.fixture
def shown(browser: Any, text: str, tmp_path: Path) -> Iterator[tuple[Any, list[str]]]:
    """The page in a browser without a network, and its errors and requests."""
    place = tmp_path / "index.html"
    place.write_text(text, encoding="utf-8")
    view = browser.new_page(viewport={"width": 1200, "height": 900})
    problems: list[str] = []
    view.on("console", lambda message: problems.append(message.text) if message.type != "log" else None)
    view.on("pageerror", lambda error: problems.append(str(error)))
    view.on(
        "request",
        lambda request: None if request.url.startswith(("file:", "data:")) else problems.append(request.url),
    )
    view.goto(place.as_uri())
    yield view, problems
    view.close()


def column(view: Any, place: int) -> list[str]:
    """The visible main texts of one column of the first table."""
    cells = view.locator("table").first.locator(f"tbody tr:visible td:nth-child({place})")
    return [text.splitlines()[0] for text in cells.all_inner_texts()]


def test_a_browser_shows_every_figure_without_an_error(shown: tuple[Any, list[str]]) -> None:
    view, problems = shown
    images = view.locator("figure img")
    assert images.count() == 18  # 5 a row and 3 of the suite
    for image in images.all():
        image.scroll_into_view_if_needed()  # before that it is not drawn, so that a large page opens at once
        assert image.evaluate("async (image) => { await image.decode(); return image.naturalWidth; }") > 300
    view.locator("details").first.locator("summary").click()
    view.locator("details").first.locator("dl").first.wait_for()
    assert problems == []


def test_a_browser_sorts_the_table_by_number_and_back(shown: tuple[Any, list[str]]) -> None:
    view, problems = shown
    head = view.locator("table").first.locator("th button")
    head.nth(0).click()
    assert column(view, 1) == ["hopper-expert", "hopper-medium", "walker2d-medium"]
    head.nth(0).click()
    assert column(view, 1) == ["walker2d-medium", "hopper-medium", "hopper-expert"]
    published = view.locator("table").first.locator("th").all_inner_texts().index("DT, paper") + 1
    head.nth(published - 1).click()
    assert column(view, published) == ["74.0 ± 1.4 †", "67.6 ± 1.0 †", "—"]
    head.nth(published - 1).click()
    assert column(view, published) == ["67.6 ± 1.0 †", "74.0 ± 1.4 †", "—"]  # what is missing is last either way
    assert problems == []


def test_a_browser_filters_by_suite(shown: tuple[Any, list[str]]) -> None:
    view, problems = shown
    view.locator("#suite").select_option("walkers")
    assert column(view, 1) == ["walker2d-medium"]
    assert view.locator("details:visible").count() == 5
    assert view.get_by_text("Over several data sets").is_hidden()
    assert view.locator("#answer").is_hidden()  # it is of the other suite
    assert view.locator("section:has(figure):visible h2").all_inner_texts() == ["walker2d-medium · reroll"]
    view.locator("#suite").select_option("")
    assert len(column(view, 1)) == 3
    assert problems == []


def test_a_link_to_a_run_shows_it_whatever_the_filter_hides(shown: tuple[Any, list[str]]) -> None:
    view, problems = shown
    view.locator("#suite").select_option("walkers")
    name = records()[0].name
    view.evaluate("name => { location.hash = name; }", name)
    view.locator(f"[id='{name}'] dl").first.wait_for()
    assert view.locator("#suite").input_value() == ""
    assert problems == []


def test_the_first_screen_says_who_leads_and_the_menu_stays(shown: tuple[Any, list[str]]) -> None:
    view, _ = shown
    top = view.locator("#answer")
    assert top.locator("p").first.inner_text().startswith("DT leads on hoppers, reroll: interquartile mean 62.0")
    assert top.locator("img").count() == 2
    assert top.bounding_box()["y"] + top.bounding_box()["height"] < 900
    view.evaluate("scrollTo(0, document.body.scrollHeight)")
    assert 0 <= view.get_by_role("link", name="Who leads").bounding_box()["y"] < 40


def test_a_hidden_column_is_announced_and_models_come_first_on_a_phone(shown: tuple[Any, list[str]]) -> None:
    view, _ = shown
    view.set_viewport_size({"width": 390, "height": 844})
    frame = view.locator(".frame").first
    view.wait_for_function("document.querySelector('.frame').classList.contains('right')")
    right = frame.bounding_box()["x"] + frame.bounding_box()["width"]
    heads = frame.locator("th")
    inside = [head.inner_text() for head in heads.all() if head.bounding_box()["x"] < right - 40]
    assert [name.split()[-1] for name in inside[1:4]] == ["DT", "TT", "BC"]
    inner = frame.locator(".scroll")
    inner.evaluate("inner => { inner.scrollLeft = inner.scrollWidth; }")
    view.wait_for_function("document.querySelector('.frame').className === 'frame left'")
    assert heads.first.bounding_box()["x"] == pytest.approx(frame.bounding_box()["x"], abs=2)  # it stays


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 390, 1280, 1920])
def test_a_browser_fits_the_page_to_a_phone_and_to_a_wide_screen(
    shown: tuple[Any, list[str]], width: int, scheme: Any
) -> None:
    view, problems = shown
    view.emulate_media(color_scheme=scheme)
    view.set_viewport_size({"width": width, "height": 800})
    assert view.evaluate("document.documentElement.scrollWidth") <= width
    used = view.locator(".frame").first.bounding_box()["width"]
    assert used > 0.9 * width  # a wide screen is used
    if width >= 1280:  # the published columns are in sight
        assert view.locator(".scroll").first.evaluate("inner => inner.scrollWidth - inner.clientWidth") == 0
    assert problems == []


def test_a_browser_shows_page_and_figures_in_light_and_dark(shown: tuple[Any, list[str]]) -> None:
    view, _ = shown
    image = view.locator("figure img").first
    image.scroll_into_view_if_needed()
    grounds, corners = [], []
    for scheme in ("light", "dark"):
        view.emulate_media(color_scheme=scheme)
        grounds.append(view.evaluate("getComputedStyle(document.body).backgroundColor"))
        with Image.open(BytesIO(image.screenshot())) as picture:
            corners.append("rgb" + str(picture.convert("RGB").getpixel((2, 2))))
    assert grounds == corners == ["rgb(255, 255, 255)", "rgb(18, 22, 26)"]


@pytest.mark.usefixtures("text")
def test_every_color_of_a_figure_has_one_for_a_dark_page(runs: Path) -> None:
    for path in (runs.parent / "figures").glob("*.svg"):
        used = set(re.findall(r"(?:fill|stroke): (#[0-9a-f]{6})", path.read_text().partition("</style>")[2]))
        assert used <= {*plotting.DARK, *palette.COLORS}, path.name
