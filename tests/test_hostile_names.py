"""What a record calls its data set or its model is text in every table, page and figure, whatever signs are in it."""

import csv
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from report import csv_table, figures, grid, latex, markdown, page, table
from report.palette import looks
from report.store import Record
from tests.records import made_up
from training.summary import summarize

NAME = "=1+1|`x`[red]</td><script>alert(1)</script>[a](http://b.c) $\\frac{&_^~#$ <!-- table:end --> [a]: http://b.c"
MODEL = 'gru" onload="alert(1)'


def records() -> list[Record]:
    """Of two models and three seeds, so that some run is missing."""
    return [*(made_up(dataset=NAME, seed=seed) for seed in range(2)), made_up(dataset=NAME, model=MODEL, seed=2)]


class Parsed(HTMLParser):
    """The tags of a page, each with its attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_no_name_becomes_markup_of_the_page(tmp_path: Path) -> None:
    tables = table.report(records(), ("tt",), {"<b>": (NAME,)})
    parsed = Parsed(page.page(tables, tmp_path, {}, {"<b>": (NAME,)}, {"x": [NAME]}))
    assert [tag for tag, _ in parsed.tags].count("script") == 1  # its own
    assert not [name for _, attributes in parsed.tags for name in attributes if name.startswith("on")]
    styles = {attributes["style"] for _, attributes in parsed.tags if "style" in attributes}
    assert styles <= {f"color:{look.color}" for look in looks(("dt", MODEL)).values()}
    assert NAME in parsed.text
    assert f"{MODEL}, seed 2" in parsed.text


def test_no_name_becomes_markup_of_a_markdown_table() -> None:
    tables = table.report(records(), ("tt",))
    text = re.sub(r"(?<!\\)(`+) .* \1", "", markdown.document(tables))  # without code, in which nothing is markup
    assert "<script" not in text
    assert not re.search(r"(?<!\\)\](\(http|: http)", text)
    lines = [line for line in text.splitlines() if "frac" in line]
    assert len(lines) > 3
    assert all(len(re.findall(r"(?<!\\)`", line)) % 2 == 0 for line in lines)
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in markdown.grid(tables.scores[0]).splitlines()}) == 1
    before = f"{markdown.BEGIN}\n{markdown.END}\n"
    once = markdown.between_markers(before, markdown.short(tables, markdown.ENGLISH), "README.md")
    assert markdown.between_markers(once, markdown.short(tables, markdown.ENGLISH), "README.md") == once


def test_code_that_holds_backquotes_stays_code() -> None:
    assert markdown.code("a") == "`a`"
    assert markdown.code("a `` b") == "``` a `` b ```"


@pytest.mark.parametrize("name", [NAME, "@x", "+x", "-x", "＝x"])
def test_no_cell_of_the_csv_file_is_a_formula(name: str) -> None:
    rows = grid.rows([made_up(dataset=name, targets=(-15.0,))])
    (line,) = csv.DictReader(io.StringIO(csv_table.long_csv(rows)))
    assert line["dataset"] == f"'{name}"
    assert line["target_return"] == "-15"
    assert not [cell for cell in line.values() if re.match(r"[=+@＝]|-(?!\d)", cell)]


def test_no_name_becomes_a_command_of_latex() -> None:
    text = latex.document(table.report(records()).scores)
    (line,) = [line for line in text.splitlines() if "frac" in line]
    assert r"\textbackslash{}frac\{\&\_\textasciicircum{}\textasciitilde{}\#" in line
    assert len(re.findall(r"(?<!\\)&", line)) == text.splitlines()[text.splitlines().index(r"\toprule") + 1].count("&")
    assert not re.search(r"[<>|]", line)


def test_figures_draw_a_name_as_it_is(tmp_path: Path) -> None:
    drawn = figures.draw(tmp_path / "figures", {}, table.report(records()))
    assert all(path.parent == tmp_path / "figures" for path in drawn)
    (episodes,) = [path for path in drawn if path.name.startswith("episodes") and path.suffix == ".svg"]
    parsed = Parsed(episodes.read_text(encoding="utf-8"))
    assert "script" not in {tag for tag, _ in parsed.tags}
    assert r"$\frac{" in parsed.text


def test_the_last_lines_of_a_run_show_a_name_as_it_is(tmp_path: Path) -> None:
    assert "x[red]y:bomb:[/]" in summarize(made_up(dataset="x[red]y:bomb:[/]"), tmp_path)
