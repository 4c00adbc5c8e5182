"""amoCRM and Kommo: leads, contacts, calls and all around them, into `raw_amocrm`.

Cursors: cards, tasks and notes by their time of change with an overlap, events by closed windows of
their creation; dictionaries, the inbox (unsorted) and the recycle bin whole. There are no totals:
pages are read so that none can be skipped, and ids are swept every few days. Facts: the vendor's
pages limitations, http-codes, events-and-notes.
"""

from __future__ import annotations

from sources.amocrm.client import AmoClient, LongLivedToken
from sources.amocrm.connector import AmoConnector
from sources.amocrm.errors import AmoError
from sources.amocrm.oauth import AmoOAuth
from sources.amocrm.source import amocrm
from sources.amocrm.tables import TABLES

__all__ = [
    "TABLES",
    "AmoClient",
    "AmoConnector",
    "AmoError",
    "AmoOAuth",
    "LongLivedToken",
    "amocrm",
]
