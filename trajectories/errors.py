"""Mistakes that the user can mend."""

LONGEST = 500  # characters of a message
BEGINNING, GAP = 300, " ... "


class UserError(Exception):
    """Bad input. The message is one sentence that names the culprit, the value and the next step; exit code 2.

    It stays one line of at most 500 characters, whatever a file put into it: the middle is left out, and what would
    move the cursor or break the line is shown by its code.
    """

    def __init__(self, message: str) -> None:
        line = "".join(each if each.isprintable() else repr(each)[1:-1] for each in message)
        if len(line) > LONGEST:
            line = line[:BEGINNING] + GAP + line[len(GAP) + BEGINNING - LONGEST :]
        super().__init__(line)


class DatasetError(UserError):
    """A data set cannot be used."""
