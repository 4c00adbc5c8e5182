"""An extraction from a portal: what its resources share, the reader included."""

from __future__ import annotations

from sources.bitrix24.reading import Reader
from sources.connection import Tally
from sources.extraction import Extraction


class PortalExtraction(Extraction):
    """What the resources of one extraction from a portal share."""

    def __init__(self, reader: Reader, source_key: str, tally: Tally) -> None:
        super().__init__(source_key, tally)
        self.reader = reader
        self.client = reader.client
