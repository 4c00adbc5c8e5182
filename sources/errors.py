"""Errors that users see: each message is one sentence or two that name the remedy."""

from __future__ import annotations


class CallfunnelError(Exception):
    """The base of every error whose message is meant for the user, without a traceback."""


class InputError(CallfunnelError):
    """A file given by the user can't be used; the message names file, line and column."""


class SourceError(CallfunnelError):
    """A source system can't be read; the message names the remedy and never a secret."""


class RemoteError(SourceError):
    """A system answered with an error, or not at all; the message names the remedy.

    Attributes:
        code: the system's code in lower case; empty where there was no answer.
        is_refusal: the access or the account lacks this one entity; the others may load.
        is_connection_wide: every other request would fail alike.
    """

    def __init__(
        self,
        message: str,
        code: str = "",
        *,
        is_refusal: bool = False,
        is_connection_wide: bool = False,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.is_refusal = is_refusal
        self.is_connection_wide = is_connection_wide
