"""Personal columns: hashed, masked, shown or hidden, as the company says."""

from __future__ import annotations

import hashlib
import hmac
import random
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from pydantic import SecretStr

from orchestration.publishing.privacy import define_functions, hash_key, keyed_hash
from orchestration.publishing.tables import check_choices, published_tables, registers
from orchestration.settings import Settings
from sources.company import read_company
from sources.errors import InputError
from sources.masking import without_contacts

pytestmark = pytest.mark.scattered


def manifest() -> dict[str, Any]:
    """A register with every kind of column."""
    columns = {
        "call_key": ("bigint", {"pii": "none"}),
        "phone_e164": ("varchar", {"pii": "phone"}),
        "client_name": ("varchar", {"pii": "name"}),
        "contact_email": ("varchar", {"pii": "email"}),
        "recording_url": ("varchar", {"pii": "text"}),
        "deal_title": ("varchar", {"pii": "text"}),
        "sentence": ("varchar", {"pii": "none"}),
        "product_name": ("varchar", {"pii": "none"}),
        "talker_employee_key": ("bigint", {"pii": "none", "is_hidden": True}),
        "forgotten": ("varchar", {}),
    }
    return {
        "nodes": {
            "model.x": {
                "resource_type": "model",
                "schema": "metrics",
                "name": "metric_call_register__by_call",
                "columns": {
                    name: {"name": name, "data_type": kind, "config": {"meta": meta}}
                    for name, (kind, meta) in columns.items()
                },
            }
        }
    }


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        define_functions(opened, b"key")
        opened.execute("create schema metrics")
        opened.execute(
            "create table metrics.metric_call_register__by_call as select 1::bigint as call_key, "
            "'+79161234567' as phone_e164, 'Anna' as client_name, 'a@b.example' as contact_email, "
            "'https://pbx.example/89161234567.wav' as recording_url, "
            "'Anna, 8 (916) 123-45-67, a@b.example' as deal_title, "
            "'ask a@b.example about 2026-03-02 18:00' as sentence, "
            "'article 4601234567890' as product_name, 7::bigint as talker_employee_key, "
            "'x' as forgotten"
        )
        yield opened


def published(
    connection: duckdb.DuckDBPyConnection, choices: dict[str, Any] | None = None
) -> dict[str, object]:
    (table,) = published_tables(
        manifest(),
        {f"metric_call_register__by_call.{name}": told for name, told in (choices or {}).items()},
    )
    values = connection.execute(f"select {table.selected} from metrics.{table.name}").fetchone()
    assert values is not None
    return dict(zip(table.columns, values, strict=True))


def of_key(told: str) -> str:
    return hmac.new(b"key", told.encode(), hashlib.sha256).hexdigest()[:32]


def test_by_default_contacts_are_hashed_texts_hidden_and_sentences_masked(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    assert published(connection) == {
        "call_key": 1,
        "phone_e164_hash": of_key("+79161234567"),
        "client_name_hash": of_key("Anna"),
        "contact_email_hash": of_key("a@b.example"),
        "sentence": "ask *** about 2026-03-02 18:00",
        "product_name": "article 4601234567890",
    }


def test_the_company_chooses_per_column(connection: duckdb.DuckDBPyConnection) -> None:
    chosen = published(
        connection,
        {
            "phone_e164": "show",
            "client_name": "hide",
            "contact_email": "mask",
            "deal_title": "mask",
            "recording_url": "hash",
        },
    )
    assert chosen == {
        "call_key": 1,
        "phone_e164": "+79161234567",
        "contact_email": "***",
        "recording_url_hash": of_key("https://pbx.example/89161234567.wav"),
        "deal_title": "Anna, ***, ***",
        "sentence": "ask *** about 2026-03-02 18:00",
        "product_name": "article 4601234567890",
    }


def test_registers_show_whom_to_call_and_nothing_else_more(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    (table,) = registers(manifest())
    assert set(table.columns) == {
        "call_key", "phone_e164", "client_name", "contact_email", "sentence", "product_name"
    }  # fmt: skip
    other = manifest()
    other["nodes"]["model.x"]["name"] = "fct_calls"
    assert registers(other) == ()


@pytest.mark.parametrize("key", [b"", b"k", b"k" * 64, b"k" * 65, bytes(range(256))])
@pytest.mark.parametrize("told", ["", "+79161234567", "Ірина Шевчук", "x" * 200])
def test_the_hash_is_hmac(key: bytes, told: str) -> None:
    expected = hmac.new(key, told.encode(), hashlib.sha256).hexdigest()[:32]
    with duckdb.connect() as connection:
        define_functions(connection, key)
        row = connection.execute("select keyed_hash(?), keyed_hash(null)", [told]).fetchone()
    assert row == (expected, None)
    assert keyed_hash(key, told) == expected


def test_the_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    one = Settings(company="one", data_root=tmp_path)
    made = hash_key(one)
    assert len(made) == 64
    assert hash_key(one) == made
    assert stat.S_IMODE(one.hash_key_file.stat().st_mode) == 0o600
    assert hash_key(one.for_company("two")) != made


def test_publishers_that_start_together_use_the_same_key(tmp_path: Path) -> None:
    settings = Settings(company="one", data_root=tmp_path)
    begin = threading.Barrier(8)
    made: list[bytes] = []

    def ask() -> None:
        begin.wait()
        made.append(hash_key(settings))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 8
    assert len(set(made)) == 1


def test_the_environment_may_give_the_key(tmp_path: Path) -> None:
    settings = Settings(
        data_root=tmp_path,
        publish_key=SecretStr("for all"),
        company_publish_key={"one": SecretStr("for one")},
    )
    assert hash_key(settings.for_company("one")) == b"for one"
    assert hash_key(settings.for_company("two")) == b"for all"
    assert not list(tmp_path.rglob("publishing.key"))


TOML = """[company]
name = "Acme"
time_zone = "Europe/Kyiv"

[connections]

[publish]
contacts_in_files = true

[publish.columns]
"metric_call_register__by_call.deal_title" = "mask"
{line}
"""


def choices_of(folder: Path, line: str) -> None:
    company = folder / "acme"
    company.mkdir()
    (company / "company.toml").write_text(TOML.format(line=line))
    publish = read_company(company).rules.publish
    assert publish.contacts_in_files
    check_choices(manifest(), publish.columns, company / "company.toml")


def test_good_choices_pass(tmp_path: Path) -> None:
    choices_of(tmp_path, '"metric_call_register__by_call.phone_e164" = "show"')


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('"metric_call_register__by_call.fone" = "show"', "no column with personal data: one of"),
        ('"metric_call_register__by_call.sentence" = "mask"', "no column with personal data"),
        ('"metric_call_register__by_call.talker_employee_key" = "show"', "no column with personal"),
        ('"metric_call_register__by_call.forgotten" = "show"', "no column with personal data"),
        ('"metric_call_register__by_call.recording_url" = "mask"', "hide, hash or show it"),
        ('"metric_call_register__by_call.client_name" = "blur"', "'show', 'hash', 'mask' or"),
        ('"client_name" = "show"', "should match pattern"),
    ],
)
def test_a_wrong_choice_is_named_with_its_line(tmp_path: Path, line: str, said: str) -> None:
    with pytest.raises(InputError) as told:
        choices_of(tmp_path, line)
    assert "companies/acme/company.toml, line 12" in str(told.value)
    assert said in str(told.value)


def test_what_the_company_hides_is_hidden_from_callers_too() -> None:
    (register,) = registers(manifest(), {"metric_call_register__by_call.client_name": "hide"})
    assert "client_name" in registers(manifest())[0].columns
    assert "client_name" not in register.columns
    assert "phone_e164" in register.columns


def test_engine_and_python_mask_alike() -> None:
    """The engine asks Python only about texts that may hold a contact: none is left out."""
    chance = random.Random(5)
    pieces = [*"0123456789", *"+-–()./_@ #a\u00a0я", "22-33-44", "a@b.ru", "wa.me/", "https://x/"]
    texts = ["".join(chance.choices(pieces, k=chance.randint(1, 24))) for _ in range(20_000)]
    with duckdb.connect() as connection:
        define_functions(connection, b"key")
        rows = connection.execute(
            "select told, masked(told) from (select unnest(?) as told)", [texts]
        ).fetchall()
    assert sum(told != masked for told, masked in rows) > 3_000
    assert [(told, masked) for told, masked in rows if masked != without_contacts(told)] == []


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        (
            "https://wa.me/79161234567 or https://t.me/+79161234567",
            "https://wa.me/*** or https://t.me/+***",
        ),
        ("https://x.example/?phone=%2B79161234567&a=1", "https://x.example/?phone=%2B***&a=1"),
        ("тел89161234567", "тел***"),
        ("Ivan_89161234567Anna", "Ivan_***Anna"),
        ("8 916 123–45–67 or 8/916/123/45/68", "*** or ***"),
        ("ring 22-33-44 or a@b.ru", "ring *** or ***"),
        ("8\u00a0(916)\u00a0123\u00a045\u00a067", "***"),
        # Ids are no numbers.
        ("https://demo.example/crm/deal/details/771850/", None),
        ("http://127.0.0.1:3000/runs/1b4e28ba-2fa1-11d2-883f-001623342427", None),
        ("deal 77185 on 2026-03-02 18:00, call 1700000000.12345", None),
        ("hash deadbeef1234567890123456", None),
    ],
)
def test_numbers_are_found_however_they_are_typed(text: str, masked: str | None) -> None:
    assert without_contacts(text) == (masked or text)
