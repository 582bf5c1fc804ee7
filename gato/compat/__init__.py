"""Gato with the call forms of other code bases, GIA's, gato-torch's and mugato's: a subclass each."""
