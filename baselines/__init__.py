"""What every idea has to beat."""
