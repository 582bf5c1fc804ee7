"""One file a format: each reads a foreign file into Trajectories by `read(path, spec, name, source, trailing_zeros)`.

Files of one's own, whatever their format, are read by own_files.py. Minari's data sets are folders, and name their own
environments: sources/loading.py calls formats/minari.py itself.
"""
