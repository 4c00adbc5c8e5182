"""Mango Office: a report is ordered, polled, and comes as CSV without a header."""

from __future__ import annotations

from sources.telephony.mango.client import MangoReader, open_reader
from sources.telephony.mango.tables import TABLES

__all__ = ["TABLES", "MangoReader", "open_reader"]
