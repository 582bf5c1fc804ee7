"""Foreign files -> Trajectories, by `read(path, spec, name, source, trailing_zeros, long_episodes)`.

own_files.py reads single files of any format, D4RL's among them; minari.py and dqn_replay.py read folders.
"""
