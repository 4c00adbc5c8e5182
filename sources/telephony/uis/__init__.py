"""UIS, CoMagic and CallGear: sessions of calls and their legs, over JSON-RPC."""

from __future__ import annotations

from sources.telephony.uis.client import UisReader, open_reader
from sources.telephony.uis.tables import TABLES

__all__ = ["TABLES", "UisReader", "open_reader"]
