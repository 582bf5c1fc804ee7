"""Records -> tables, figures, page."""
