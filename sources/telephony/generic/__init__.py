"""Any telephony: a table of calls as a csv file, a Parquet file, or a table or view of a database.

`company.toml` says which column means what (`GenericColumns`).
"""

from __future__ import annotations

from sources.company.rules import GenericSection
from sources.telephony.generic.tables import CALLS, CallMapping
from sources.telephony.reading import PbxAccess, PbxReader
from sources.telephony.records import RecordReader

TABLES = (CALLS,)


def open_reader(access: PbxAccess) -> PbxReader:
    """The reader of one table of calls.

    Raises:
        SourceError: the table is in a database and there is no usable `database_url`.
        InputError: the file that the rules name is not there.
    """
    section = access.section
    assert isinstance(section, GenericSection)
    mapping = CallMapping.of(section.columns)
    if section.file:
        from sources.telephony import files
        from sources.telephony.generic.files import TableFiles

        records = TableFiles(access, section.file, section.separator, mapping)
        return RecordReader(CALLS, records, access.zone, mapping.prepare, files.SLICE_DAYS)
    assert section.table is not None
    # SQLAlchemy and the drivers take half a second that companies without them need not wait.
    from sources.telephony import databases

    started = section.columns.started_at
    table = databases.DatabaseRecords(access, section.table, (started,), mapping.named.values())
    return RecordReader(CALLS, table, access.zone, mapping.prepare, databases.SLICE_DAYS)
