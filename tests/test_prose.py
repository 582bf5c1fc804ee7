"""Numbers in prose come from the records: what a marker may name, and that none is typed on our own pages."""

import re
from pathlib import Path

import pytest

from experiments import report as command
from report import prose, table
from report.markdown import CHINESE
from report.prompts import Ablation, Prompted
from report.store import Evaluation
from tests.records import made_up, write
from tests.test_report import seeds
from trajectories.errors import UserError

ROOT = Path(__file__).resolve().parent.parent
PAGES = ("results/README.md", "README.md", "README_zh.md")
MODELS = ("gato/README.md", "trajectory_transformer/README.md")
ROBOTS = {"robots": ("hopper-medium", "walker2d-medium")}


@pytest.fixture
def numbers() -> prose.Numbers:
    """Three models on two robots, one run under two prompts, and a row of figures."""
    gato = made_up(model="gato", dataset="walker2d-medium", score=30.0, targets=(None,))
    cloning = [made_up(model="bc", dataset=name, seed=seed, score=50.0 + seed, targets=(None,))
               for name in ROBOTS["robots"] for seed in (0, 1)]  # fmt: skip
    walkers = [made_up(dataset="walker2d-medium", seed=seed, score=70.0 + seed) for seed in (0, 1)]
    longer = made_up(updates=100_000, score=66.0)
    records = [*seeds(60.0, 64.0), longer, *walkers, *cloning, gato]
    played = [
        Prompted(name, Evaluation.of(None, [value] * 4, [9] * 4, 0.0)) for name, value in (("end", 6), ("best", 17))
    ]
    ablation = Ablation(prompted=tuple(played), seeds=(0, 1, 2, 3), seconds=1.0, device="cpu", versions={},
                        commit="c" * 40, dirty=False, command="")  # fmt: skip
    figures = {"an update, 64 windows": {"ours": "1.69 ms", "ratio": 10.26}}
    return prose.Numbers(table.report(records, (), ROBOTS), [(gato, ablation)], figures)


@pytest.mark.parametrize(
    ("marker", "text"),
    [
        ("hopper-medium, reroll, dt", "62.0 ± 2.8"),
        ("hopper-medium, reroll, dt, interval", "[60.0, 64.0]"),
        ("hopper-medium, reroll, dt, lowest", "60.0"),
        ("hopper-medium, reroll, dt, seed 1", "64.0"),
        ("hopper-medium, reroll, dt, score at 1800", "42.0 ± 2.8"),
        ("hopper-medium, reroll, dt, return", "1997.6"),
        ("hopper-medium, reroll, dt, return at 1800", "1346.6"),
        ("hopper-medium, reroll, dt, less dt_paper", "-5.6"),
        ("hopper-medium, reroll, dt, updates", "20,000"),
        ("hopper-medium, reroll, dt, time", "60 s"),
        ("hopper-medium, reroll, dt, time of evaluation", "9 s"),
        ("hopper-medium, reroll, dt, gigabytes", "0.9"),
        ("hopper-medium, reroll, dt, won", "8"),
        ("hopper-medium, reroll, dt with updates 100000", "66.0"),
        ("hopper-medium, reroll, dt with updates 100000, updates", "100,000"),
        ("hopper-medium, reroll, behavior", "45.2"),
        ("hopper-medium, reroll, behavior, best", "2,600"),
        ("hopper-medium, dt_paper", "67.6 ± 1.0"),
        ("walker2d-medium, reroll, gato, return after end", "6.0"),
        ("walker2d-medium, reroll, gato, score after best", "1.1"),
        ("robots, reroll, bc, iqm", "50.5"),
        ("robots, reroll, dt over bc", "100%"),
        ("robots, reroll, dt over bc, interval", "[100%, 100%]"),
        ("robots, reroll, dt, within dt_paper", "5.6"),
        ("ratio of an update, 64 windows", "10.3"),
        ("ours of an update, 64 windows", "1.69 ms"),
    ],
)
def test_a_marker_names_its_number_in_the_words_of_the_tables(numbers: prose.Numbers, marker: str, text: str) -> None:
    page = f"It has <!--number: {marker}-->999<!--/--> points."
    assert numbers.filled(page, "page") == f"It has <!--number: {marker}-->{text}<!--/--> points."


def test_a_page_in_chinese_has_chinese_units(numbers: prose.Numbers) -> None:
    page = "<!--number: hopper-medium, reroll, dt, time--><!--/-->"
    assert "60 秒" in numbers.filled(page, "page", CHINESE.line)


@pytest.mark.parametrize(
    "marker", ["hopper-medium, reroll, tt", "ant, reroll, dt", "hopper-medium", "hopper-medium, reroll, dt, socre",
               "hopper-medium, reroll, dt, return at noon", "hopper-medium, dt_unknown", "ratio of nothing",
               "robots, reroll, dt over tt"],
)  # fmt: skip
def test_a_number_that_the_records_lack_is_a_dash_and_named(
    numbers: prose.Numbers, marker: str, capsys: pytest.CaptureFixture[str]
) -> None:
    page = f"<!--number: {marker}-->62.0<!--/-->"
    assert numbers.filled(page, f"{marker}.md") == f"<!--number: {marker}-->—<!--/-->"
    assert f"`{marker}`" in capsys.readouterr().err


def test_a_marker_without_its_end_is_refused_before_anything_is_written(numbers: prose.Numbers) -> None:
    for page in ("<!--number: hopper-medium, dt_paper-->67.6", "<!--number: a--> <!--number: b-->1<!--/-->"):
        with pytest.raises(UserError, match=r"page\.md: one of its"):
            numbers.filled(page, "page.md")


def test_the_report_fills_the_numbers_and_its_check_finds_a_typed_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = tmp_path / "results" / "runs"
    write(runs, *seeds(60.0, 64.0))
    page = tmp_path / "results" / "README.md"
    page.write_text("DT has <!--number: hopper-medium, reroll, dt--><!--/-->.\n")
    assert command.main(command.Options(runs, figures=False)) == 0
    assert page.read_text() == "DT has <!--number: hopper-medium, reroll, dt-->62.0 ± 2.8<!--/-->.\n"
    page.write_text(page.read_text().replace("62.0", "72.0"))
    capsys.readouterr()
    assert command.main(command.Options(runs, figures=False, check=True)) == 1
    assert "results/README.md" in capsys.readouterr().out


def test_readmes_of_rooms_are_filled_with_the_readme_option(tmp_path: Path, numbers: prose.Numbers) -> None:
    (tmp_path / "README.md").write_text("<!-- table:begin --><!-- table:end -->\n")
    for room, text in (("gato", "<!--number: hopper-medium, reroll, dt--><!--/-->"), ("other", "as it is")):
        (tmp_path / room).mkdir()
        (tmp_path / room / "README.md").write_text(f"It has {text}.\n")
    files = command.readmes(tmp_path, numbers)
    assert set(files) == {tmp_path / "README.md", tmp_path / "gato" / "README.md"}
    assert "62.0 ± 2.8" in files[tmp_path / "gato" / "README.md"]


@pytest.mark.parametrize("page", PAGES)
def test_no_decimal_is_typed_in_the_prose_of_a_page(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    text = re.sub(
        r"<!-- table:begin -->.*<!-- table:end -->|<!--number:.*?<!--/-->|`[^`]*`|\]\([^)]*\)", "", text, flags=re.S
    )
    prose_lines = [line for line in text.splitlines() if not line.startswith(("    ", "|"))]
    assert [line for line in prose_lines if re.search(r"(?<![\w.:])(?<!Python )\d+\.\d", line)] == []


@pytest.mark.parametrize("page", PAGES + MODELS)
def test_every_number_marked_on_a_page_has_a_record(page: str) -> None:
    filled = dict(prose.MARKED.findall((ROOT / page).read_text(encoding="utf-8")))
    assert [marker for marker, text in filled.items() if text in ("", "—")] == []


@pytest.mark.parametrize("page", PAGES + MODELS)
def test_no_line_begins_with_a_marker_which_would_end_its_paragraph(page: str) -> None:
    assert re.findall(r"^\s*<!--number:.*", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE) == []
