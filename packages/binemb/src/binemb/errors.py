"""Errors that a caller of binemb may want to catch by name."""

from __future__ import annotations


class VectorFileError(ValueError):
    """A vector file is damaged, cut short or of another form than its reader expects.

    The message begins with the path and, where there is one, the line or row.
    """


class UnknownWordError(KeyError, ValueError):
    """A word that the vectors do not have. Its text is a plain sentence with close words, if any."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def __str__(self) -> str:
        # KeyError would show the quoted repr of its argument.
        return self.message


class TooFewKnownError(ValueError):
    """An evaluation that cannot be done: too few of its words, or of its rows, are there."""
