"""Binotel: incoming and outgoing calls of a period."""

from __future__ import annotations

from sources.telephony.binotel.client import BinotelReader, open_reader
from sources.telephony.binotel.tables import TABLES

__all__ = ["TABLES", "BinotelReader", "open_reader"]
