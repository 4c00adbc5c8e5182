"""Asterisk and FreePBX: call detail records, out of the PBX's database or out of `Master.csv`.

A record (leg) is written when it ends and hardly ever changes; one call has several, told together
by `linkedid`. Facts of the formats: Asterisk's `cdr_csv.c` and `cdr.conf`; the table as FreePBX
makes it.
"""

from __future__ import annotations

from sources.company.rules import AsteriskSection
from sources.telephony.asterisk.tables import CDR, prepare
from sources.telephony.reading import PbxAccess, PbxReader
from sources.telephony.records import RecordReader

TABLES = (CDR,)


def open_reader(access: PbxAccess) -> PbxReader:
    """The reader of one PBX: of its files if the rules name some, else of its database.

    Raises:
        SourceError: there is no usable `database_url`.
        InputError: the file that the rules name is not there.
    """
    section = access.section
    assert isinstance(section, AsteriskSection)
    if section.file:
        from sources.telephony.asterisk.master_csv import MasterCsv
        from sources.telephony.files import SLICE_DAYS

        return RecordReader(CDR, MasterCsv(access, section.file), access.zone, prepare, SLICE_DAYS)
    # SQLAlchemy and the drivers take half a second that companies without a PBX need not wait.
    from sources.telephony import databases

    records = databases.DatabaseRecords(access, section.table, ("calldate", "start"))
    return RecordReader(CDR, records, access.zone, prepare, databases.SLICE_DAYS)
