"""Where agents are measured: one file for each family of environments."""

from trajectories import offscreen

offscreen.choose()
