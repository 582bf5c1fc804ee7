"""D4RL's mazes, drawn: # wall, G goal, S where the ant starts.

Source   github.com/Farama-Foundation/D4RL at 34141f3, d4rl/pointmaze/maze_model.py and d4rl/locomotion/maze_env.py
"""

POINT_MAZES = {
    "open": (
        "#######",
        "#     #",
        "#  G  #",
        "#     #",
        "#######",
    ),
    "umaze": (
        "#####",
        "#G  #",
        "### #",
        "#   #",
        "#####",
    ),
    "medium": (
        "########",
        "#  ##  #",
        "#  #   #",
        "##   ###",
        "#  #   #",
        "# #  # #",
        "#   # G#",
        "########",
    ),
    "large": (
        "############",
        "#    #     #",
        "# ## # # # #",
        "#      #   #",
        "# #### ### #",
        "#  # #     #",
        "## # # # ###",
        "#  #   # G #",
        "############",
    ),
}

ANT_MAZES = {
    "umaze": (
        "#####",
        "#S  #",
        "### #",
        "#G  #",
        "#####",
    ),
    "medium": (
        "########",
        "#S ##  #",
        "#  #   #",
        "##   ###",
        "#  #   #",
        "# #  # #",
        "#   # G#",
        "########",
    ),
    "large": (
        "############",
        "#S   #     #",
        "# ## # # # #",
        "#      #   #",
        "# #### ### #",
        "#  # #     #",
        "## # # # ###",
        "#  #   # G #",
        "############",
    ),
}


def cells(maze: tuple[str, ...], kind: str) -> list[tuple[int, int]]:
    """Row and column of every cell of a kind."""
    return [(row, column) for row, line in enumerate(maze) for column, cell in enumerate(line) if cell == kind]
