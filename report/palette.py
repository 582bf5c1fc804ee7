"""How each model is drawn, on the page and in every figure: a color, a marker and a dash that are its own.

Colors    Okabe and Ito 2008, "Color Universal Design": they differ under deuteranopia and protanopia, too
In grey   markers and dashes part the models; they are the same in light and dark
"""

from collections.abc import Iterable
from dataclasses import dataclass

INK = "#16191d"  # on a light page, and what stands for Okabe and Ito's black: figures exchange it on a dark one
BLUE, GREEN, VERMILLION, ORANGE = "#0072b2", "#009e73", "#d55e00", "#e69f00"
PURPLE, SKY, YELLOW = "#cc79a7", "#56b4e9", "#f0e442"
COLORS = (BLUE, GREEN, VERMILLION, ORANGE, PURPLE, SKY, YELLOW)
SIGNS = {"o": "●", "s": "■", "^": "▲", "D": "◆", "P": "✚", "v": "▼", "X": "✖", "*": "★"}  # matplotlib's marker: text
Dash = str | tuple[float, tuple[float, ...]]


@dataclass(frozen=True)
class Look:
    """One model's color, marker and dash, the last two as matplotlib names them."""

    color: str
    marker: str
    dash: Dash

    @property
    def sign(self) -> str:
        """The marker as a character."""
        return SIGNS[self.marker]


OURS = {
    "dt": Look(BLUE, "o", "-"),
    "tt": Look(GREEN, "s", (0, (6, 2))),
    "gato": Look(VERMILLION, "^", (0, (4, 1.5, 1, 1.5))),
    "gato (": Look(PURPLE, "P", (0, (8, 1.5, 1, 1.5))),  # of several tasks, the first of these
    "bc": Look(ORANGE, "D", (0, (1.5, 1.5))),
    "nearest": Look(INK, "v", (0, (3, 3))),
}
SPARE = tuple(
    Look(color, marker, dash)
    for marker, dash in (("X", "-"), ("*", (0, (6, 2))), ("v", (0, (1.5, 1.5))))
    for color in (SKY, YELLOW, *COLORS[:-2])
)  # for other models: the first have colors of their own, later ones a marker that no one else has with that color


def looks(columns: Iterable[str]) -> dict[str, Look]:
    """Each column's look; that of a model which is not ours depends on which others there are."""
    found: dict[str, Look] = {}
    spare = 0
    for column in sorted(columns, key=lambda column: " (" in column):  # a mixture takes no model's color
        look = OURS.get("gato (" if column.startswith("gato (") else column)
        if look is None or look in found.values():
            look, spare = SPARE[spare % len(SPARE)], spare + 1
        found[column] = look
    return found
