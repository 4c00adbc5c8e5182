"""Raw phone texts in E.164: `raw_derived.phone_numbers`, only texts that are new.

Calls and contacts write one number in many ways; clients are told apart by E.164.
Numbers that are possible by length count, so that numbers of unassigned ranges compare as well.
"""

from __future__ import annotations

import duckdb
import pandas as pd
import phonenumbers

_CREATE = """
create schema if not exists raw_derived;
create table if not exists raw_derived.phone_numbers (
    raw_text varchar, region varchar, library_version varchar, phone_e164 varchar
)
"""
TABLES_WITH_PHONES: tuple[tuple[str, str], ...] = (
    ("raw_bitrix24", "calls"),
    ("raw_bitrix24", "contacts"),
    ("raw_amocrm", "notes"),
    ("raw_amocrm", "contacts"),
    ("raw_telephony", "asterisk_cdr"),
    ("raw_telephony", "mango_calls"),
    ("raw_telephony", "uis_calls"),
    ("raw_telephony", "megafon_calls"),
    ("raw_telephony", "zadarma_calls"),
    ("raw_telephony", "binotel_calls"),
    ("raw_telephony", "ringostat_calls"),
    ("raw_telephony", "generic_calls"),
)
"""Schema and name of the tables that are read here."""
_RAW_TEXTS = """
select distinct phone as raw_text from (
    select phone_number as phone from raw_bitrix24.calls
    union all
    select unnest(json_extract_string(phone, '$[*].VALUE')) as phone from raw_bitrix24.contacts
    union all
    select json_extract_string(params, '$.phone') as phone from raw_amocrm.notes
    where note_type in ('call_in', 'call_out')
    union all
    select unnest(json_extract_string(field, '$.values[*].value')) as phone from (
        select unnest(json_extract(custom_fields_values, '$[*]')) as field from raw_amocrm.contacts
    )
    where json_extract_string(field, '$.field_code') = 'PHONE'
    union all
    select unnest([src, dst]) as phone from raw_telephony.asterisk_cdr
    union all
    select unnest([from_number, to_number]) as phone from raw_telephony.mango_calls
    union all
    select contact_phone_number as phone from raw_telephony.uis_calls
    union all
    select client as phone from raw_telephony.megafon_calls
    union all
    select unnest([clid, destination]) as phone from raw_telephony.zadarma_calls
    union all
    select external_number as phone from raw_telephony.binotel_calls
    union all
    select unnest([caller, caller_number, dst]) as phone from raw_telephony.ringostat_calls
    union all
    select client_phone as phone from raw_telephony.generic_calls
)
where phone is not null and phone <> ''
"""


def normalise(text: str, region: str) -> str | None:
    """A number in E.164, None where the text can't be a phone number (anonymous callers)."""
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def add_phone_numbers(connection: duckdb.DuckDBPyConnection, region: str) -> int:
    """Normalise the phone texts that `raw_derived.phone_numbers` does not hold yet.

    Args:
        connection: the warehouse, writable; `TABLES_WITH_PHONES` must exist.
        region: where numbers without a country code belong, e.g. "RU".

    Returns:
        How many texts were new. A new version of the library is a reason to parse again.
    """
    connection.execute(_CREATE)
    version = phonenumbers.__version__
    texts = connection.execute(
        f"{_RAW_TEXTS} except select raw_text from raw_derived.phone_numbers "
        "where region = ? and library_version = ?",
        [region, version],
    ).fetchall()
    fresh = pd.DataFrame(
        {
            "raw_text": pd.Series([text for (text,) in texts], dtype="string"),
            "region": pd.Series([region] * len(texts), dtype="string"),
            "library_version": pd.Series([version] * len(texts), dtype="string"),
            "phone_e164": pd.Series([normalise(text, region) for (text,) in texts], dtype="string"),
        }
    )
    if fresh.empty:
        return 0
    connection.register("fresh_phone_numbers", fresh)
    connection.execute("begin")
    connection.execute(
        "delete from raw_derived.phone_numbers where region = ? "
        "and raw_text in (select raw_text from fresh_phone_numbers)",
        [region],
    )
    connection.execute("insert into raw_derived.phone_numbers select * from fresh_phone_numbers")
    connection.execute("commit")
    connection.unregister("fresh_phone_numbers")
    return len(fresh)
