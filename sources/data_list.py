"""What `data.py list` prints."""

import textwrap
from pathlib import Path

from sources.inventory import Listed

TERMINAL = 80  # characters of a line
NAME = 26  # characters of a data set's name; longer ones stand above their line


def print_list(rows: list[Listed], folder: Path) -> None:
    """A line for each data set, and one for what the cache has of it, without a network."""
    lines = [("data set", "sources", "steps", "episodes")]
    for one in rows:
        steps, episodes = (f"{number:,}" if number else "" for number in (one.steps, one.episodes))
        lines.append((one.name, " ".join(one.sources), steps, episodes))
    widths = [max(map(len, column)) for column in list(zip(*lines, strict=True))[1:]]
    for place, (name, sources, steps, episodes) in enumerate(lines):
        above = f"{name}\n" if len(name) > NAME else ""
        text = f"{'' if above else name:{NAME}}  {sources:{widths[0]}}  {steps:>{widths[1]}}  {episodes:>{widths[2]}}"
        print(above + text.rstrip())
        if place and rows[place - 1].kept:
            print(textwrap.fill(in_cache(rows[place - 1]), TERMINAL, initial_indent="  ", subsequent_indent="    "))
    print(f"{len(rows)} data sets; the cache is {folder}.")


def in_cache(one: Listed) -> str:
    """How much the cache has of a data set, by source, and how much of that is columns."""
    sizes: dict[str, int] = {}
    for kept in one.kept:
        part = "unfinished" if kept.unfinished else "columns" if kept.columns else kept.source
        sizes[part] = sizes.get(part, 0) + kept.size
    return "in the cache: " + ", ".join(f"{part} {size / 1e6:,.1f} MB" for part, size in sizes.items())
