"""results/table.tex: the tables of scores for a paper. They need \\usepackage{booktabs} and \\usepackage{graphicx}."""

import re
from collections.abc import Sequence

from report.cell_text import ABSENT, Table, Text
from report.markdown import EMPTY

SPECIAL = re.compile(r"[&%$#_{}~^<>|\\]")
NAMED = {
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "\\": r"\textbackslash{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
}
SIGNS = {"±": r"$\pm$", ABSENT: "--", "†": r"$^\dagger$", "×": r"$\times$", "−": "$-$"}


def document(tables: Sequence[Table]) -> str:
    """The whole file."""
    return "\n".join(map(environment, tables)) or f"% {EMPTY}\n"


def environment(table: Table) -> str:
    """The table as a table* environment; its notes are its caption."""
    sides = "".join("l" if place < table.numbers else "r" for place in range(len(table.header)))
    lines = [" & ".join(map(escape, table.header)), r"\midrule", *(line(row) for row in table.rows)]
    body = "\n".join(text if text.startswith("\\mid") else f"{text} \\\\" for text in lines)
    caption = escape(" ".join(table.notes))
    return (
        "% Written by python experiments/report.py; edit nothing here.\n"
        "\\begin{table*}\n\\centering\n\\resizebox{\\textwidth}{!}{%\n"
        f"\\begin{{tabular}}{{{sides}}}\n\\toprule\n{body}\n\\bottomrule\n\\end{{tabular}}}}\n"
        f"\\caption{{{caption}}}\n\\label{{table:{table.slug}}}\n\\end{{table*}}\n"
    )


def line(row: tuple[Text, ...]) -> str:
    return " & ".join(map(cell, row))


def cell(text: Text) -> str:
    """The number, and in small print below it what must be read with it."""
    main = rf"\textbf{{{escape(text.main)}}}" if text.bold else escape(text.main)
    small = "".join(rf" \\ \tiny {escape(each)}" for each in text.small)
    return rf"\shortstack[r]{{{main}{small}}}" if small else main


def escape(text: str) -> str:
    """What LaTeX would read as a command, as it should be printed."""
    plain = SPECIAL.sub(lambda found: NAMED.get(found[0], f"\\{found[0]}"), text)
    for sign, command in SIGNS.items():
        plain = plain.replace(sign, command)
    return plain
