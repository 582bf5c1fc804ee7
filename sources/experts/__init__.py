"""Behavior policies: D4RL's own, read from its files, and ours, trained by train.py and stored beside their cards."""
