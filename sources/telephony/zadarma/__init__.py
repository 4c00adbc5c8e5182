"""Zadarma: the statistics of the PBX, a row per leg."""

from __future__ import annotations

from sources.telephony.zadarma.client import ZadarmaReader, open_reader
from sources.telephony.zadarma.tables import TABLES

__all__ = ["TABLES", "ZadarmaReader", "open_reader"]
