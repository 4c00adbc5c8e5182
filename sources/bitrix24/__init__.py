"""Bitrix24: deals and all around them, by inbound webhook, into `raw_bitrix24`.

Cursors: calls, stage history and activities only ever grow by id, so they are read by `>ID`, calls
with a trailing window because the portal fills fields late; CRM objects are read by
`>=DATE_MODIFY` with an overlap; dictionaries whole. Facts: the vendor's pages
list-methods-pecularities, huge-data, crm-stage-history-list, voximplant-statistic-get.
"""

from __future__ import annotations

from sources.bitrix24.client import Bitrix24Client, PortalError
from sources.bitrix24.connector import Bitrix24Connector, bitrix24
from sources.bitrix24.tables import TABLES

__all__ = ["TABLES", "Bitrix24Client", "Bitrix24Connector", "PortalError", "bitrix24"]
