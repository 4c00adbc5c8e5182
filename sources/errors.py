"""Errors that users see: each message is one sentence or two that name the remedy."""

from __future__ import annotations


class CallfunnelError(Exception):
    """The base of every error whose message is meant for the user, without a traceback."""


class InputError(CallfunnelError):
    """A file given by the user can't be used; the message names file, line and column."""


class SourceError(CallfunnelError):
    """A source system can't be read; the message names the remedy and never a secret."""
