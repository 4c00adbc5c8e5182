"""The providers: their tables, and a reader for a connection of the company's rules."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType

from sources.telephony import asterisk, binotel, generic, mango, megafon, ringostat, uis, zadarma
from sources.telephony.reading import PbxAccess, PbxReader, PbxTable

_PROVIDERS: Mapping[str, ModuleType] = {
    "asterisk": asterisk,
    "binotel": binotel,
    "generic": generic,
    "mango": mango,
    "megafon": megafon,
    "ringostat": ringostat,
    "uis": uis,
    "zadarma": zadarma,
}

TABLES: Mapping[str, tuple[PbxTable, ...]] = {
    name: provider.TABLES for name, provider in _PROVIDERS.items()
}
"""By provider, the lists that are read from it."""


def open_reader(provider: str, access: PbxAccess) -> PbxReader:
    """The reader of one connection.

    Raises:
        SourceError: it has no usable secrets.
        InputError: a file that the rules name is not there.
    """
    reader: PbxReader = _PROVIDERS[provider].open_reader(access)
    return reader
