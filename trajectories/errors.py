"""Mistakes that the user can mend."""


class UserError(Exception):
    """Bad input. The message is one sentence that names the culprit, the value and the next step; exit code 2."""


class DatasetError(UserError):
    """A data set cannot be used."""
