"""Ringostat: the call log of a project."""

from __future__ import annotations

from sources.telephony.ringostat.client import RingostatReader, open_reader
from sources.telephony.ringostat.tables import TABLES

__all__ = ["TABLES", "RingostatReader", "open_reader"]
