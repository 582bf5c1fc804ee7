"""The machine: settings, training, evaluation, records."""
