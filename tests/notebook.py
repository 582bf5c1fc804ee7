"""Runs a notebook from its top, cell by cell, as Jupyter does, and without Jupyter.

    python -m tests.notebook notebooks/generalist.ipynb --write      # keeps what the cells show in the file
    python tests/notebook.py notebooks/generalist.ipynb --then "assert scores.mean > 0"

Shown are what is printed and the last expression of a cell that does not end in a semicolon: as HTML, Markdown or PNG
where it offers these, else as text. Of Jupyter's magics there is `%%writefile FILE`.
"""

import argparse
import ast
import base64
import io
import json
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

WRITEFILE = "%%writefile "
LONGEST = 6_000  # characters that are kept of what a cell prints


def run(notebook: dict[str, Any], names: dict[str, Any]) -> None:
    """Run every cell, and put what it shows into the notebook."""
    count = 0
    for cell in notebook["cells"]:
        if cell["cell_type"] != "code":
            continue
        count += 1
        printed, shown = run_cell("".join(cell["source"]), names)
        outputs: list[dict[str, Any]] = []
        if printed:
            outputs.append({"name": "stdout", "output_type": "stream", "text": lines(printed[:LONGEST])})
        if shown:
            result = {"execution_count": count, "metadata": {}, "output_type": "execute_result"}
            outputs.append({"data": shown, **result})
        cell |= {"execution_count": count, "outputs": outputs}


def run_cell(source: str, names: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """What a cell prints, and what its last expression is, by type."""
    if source.startswith(WRITEFILE):
        first, _, rest = source.partition("\n")
        file = first.removeprefix(WRITEFILE).strip()
        Path(file).write_text(rest, encoding="utf-8")
        return f"Writing {file}\n", {}
    parsed = ast.parse(source)
    last = parsed.body[-1] if parsed.body else None
    shows = isinstance(last, ast.Expr) and not source.rstrip().endswith(";")
    printed, value = io.StringIO(), None
    with redirect_stdout(printed):
        exec(compile(ast.Module(parsed.body[:-1] if shows else parsed.body, []), "<cell>", "exec"), names)
        if shows:
            assert isinstance(last, ast.Expr)
            value = eval(compile(ast.Expression(last.value), "<cell>", "eval"), names)
    return printed.getvalue(), {} if value is None else representations(value)


def representations(value: Any) -> dict[str, Any]:
    """An object by the types that a notebook can show."""
    found: dict[str, Any] = {"text/plain": lines(repr(value))}
    if hasattr(value, "_repr_html_") and (page := value._repr_html_()):
        found["text/html"] = lines(page)
    if hasattr(value, "_repr_markdown_"):
        found["text/markdown"] = lines(value._repr_markdown_())
    if hasattr(value, "_repr_png_") and (picture := value._repr_png_()):
        found["image/png"] = base64.b64encode(picture).decode()
    return found


def lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("notebook", type=Path)
    parser.add_argument("--write", action="store_true", help="keep what the cells show in the file")
    parser.add_argument("--then", default="", help="code that is run behind the last cell")
    options = parser.parse_args()
    notebook = json.loads(options.notebook.read_text(encoding="utf-8"))
    names: dict[str, Any] = {"__name__": "__main__"}
    run(notebook, names)
    exec(options.then, names)
    if options.write:
        options.notebook.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
