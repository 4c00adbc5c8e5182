"""Telephony: calls as the telephony itself counts them, into `raw_telephony`.

One folder per provider; each offers a `PbxReader`, and `PbxConnector` loads any of them the same
way: windows of time, the last days again at each load, a count of the system where it has one.
"""

from __future__ import annotations

from sources.telephony.connector import PbxConnector
from sources.telephony.reading import PbxAccess, PbxReader, PbxTable, Rows

__all__ = ["PbxAccess", "PbxConnector", "PbxReader", "PbxTable", "Rows"]
