"""MegaFon's virtual PBX, and Moldcell's on the same engine: a history as CSV without a header."""

from __future__ import annotations

from sources.telephony.megafon.client import MegafonReader, open_reader
from sources.telephony.megafon.tables import TABLES

__all__ = ["TABLES", "MegafonReader", "open_reader"]
