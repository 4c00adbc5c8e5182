"""Bitrix24: leads, deals and all around them, by webhook or application, into `raw_bitrix24`.

Cursors: calls, stage history and activities only ever grow by id, so they are read by `>ID`, calls
with a trailing window because the portal fills fields late; CRM objects and tasks are read by
their time of change with an overlap; dictionaries whole; bindings, task history, comments and
product rows owner by owner, as owners change. Facts: the vendor's pages
list-methods-pecularities, huge-data, crm-stage-history-list, voximplant-statistic-get.
"""

from __future__ import annotations

from sources.bitrix24.client import Bitrix24Client
from sources.bitrix24.connector import Bitrix24Connector
from sources.bitrix24.errors import PortalError
from sources.bitrix24.source import bitrix24
from sources.bitrix24.tables import TABLES

__all__ = ["TABLES", "Bitrix24Client", "Bitrix24Connector", "PortalError", "bitrix24"]
