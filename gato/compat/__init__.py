"""Gato with the call forms of other code bases, gato-torch's and GIA's: a subclass each."""
