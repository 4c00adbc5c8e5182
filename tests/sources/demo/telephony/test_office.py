"""The exchange of the invented company: same store, same calls; what is planted is there."""

from __future__ import annotations

import contextlib
import csv
import datetime as dt
import itertools
import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from sources.company import read_company
from sources.demo.generator import CompanySize, write_store
from sources.demo.replay import write_replay
from sources.demo.store import PortalStore
from sources.demo.telephony.freepbx import COLUMNS
from sources.demo.telephony.office import ZONE, Planted, read_planted, write_office
from sources.errors import InputError
from sources.telephony.files import written_at
from tests.reference.telephony import PbxCall, Record, pbx_calls, read_cdr
from tests.support.call_databases import FULL_COLUMNS

COMPANIES = Path(__file__).parents[4] / "companies"
HELPDESK = Path(__file__).parents[3] / "data" / "helpdesk"
CALLBACK = dt.timedelta(hours=24)
CONTACT_SECONDS = 10
SUMMER = CompanySize(deals=90, calls=700, contacts=70, months=9, employees=10, heavy_calls=60)


class Office:
    """The exchange's file, and the portal's store it belongs to."""

    def __init__(self, store: PortalStore, path: Path) -> None:
        self.store = store
        self.path = path
        self.planted: Planted = read_planted(path)
        self.records: list[Record] = read_cdr(path, ZONE.key)
        self.calls: Mapping[str, PbxCall] = {one.call_id: one for one in pbx_calls(self.records)}

    def rows(self, sql: str) -> list[Any]:
        with contextlib.closing(sqlite3.connect(self.path)) as connection:
            return connection.execute(sql).fetchall()

    def of_number(self, phone: str) -> list[PbxCall]:
        found = [call for call in self.calls.values() if call.phone_number[-10:] == phone[-10:]]
        return sorted(found, key=lambda call: call.start)


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    folder = tmp_path_factory.mktemp("office")
    write_store(folder / "portal.sqlite")
    with PortalStore(folder / "portal.sqlite", read_only=True) as store:
        write_office(store, folder / "pbx.sqlite")
        yield Office(store, folder / "pbx.sqlite")


def test_the_table_is_that_of_freepbx(office: Office) -> None:
    assert COLUMNS.keys() == FULL_COLUMNS.keys()
    assert [row[1] for row in office.rows("pragma table_info(cdr)")] == list(COLUMNS)
    keys = office.rows("select count(*), count(distinct uniqueid || '/' || sequence) from cdr")
    assert keys[0][0] == keys[0][1] > 20_000


def test_the_same_store_gives_the_same_records(office: Office, tmp_path: Path) -> None:
    write_office(office.store, tmp_path / "again.sqlite")
    assert Office(office.store, tmp_path / "again.sqlite").rows("select * from cdr") == office.rows(
        "select * from cdr"
    )
    with pytest.raises(FileExistsError):
        write_office(office.store, tmp_path / "again.sqlite")


def test_a_company_of_another_size_and_seed_has_an_exchange_too(tmp_path: Path) -> None:
    write_store(tmp_path / "portal.sqlite", SUMMER, seed=7)
    with PortalStore(tmp_path / "portal.sqlite", read_only=True) as store:
        (counts,) = write_office(store, tmp_path / "pbx.sqlite")["counts"]
        of_crm = store.query("select count(*) from call")[0][0]
    assert counts["paired_by_id"] + counts["paired_by_phone"] + counts["crm_only"] == of_crm
    assert min(counts.values()) > 0


def test_a_replayed_company_has_none(tmp_path: Path) -> None:
    write_replay(HELPDESK, tmp_path / "portal.sqlite")
    with (
        PortalStore(tmp_path / "portal.sqlite", read_only=True) as store,
        pytest.raises(InputError, match="holds no invented company"),
    ):
        write_office(store, tmp_path / "pbx.sqlite")


def test_the_files_clock_is_the_portals(office: Office) -> None:
    assert written_at([office.path]) == office.store.clock
    ends = max(record.start + record.duration for record in office.records)
    assert ends <= office.store.clock.timestamp()


def test_every_shape_of_a_call_is_there(office: Office) -> None:
    shapes: dict[str, int] = defaultdict(int)
    legs: dict[str, list[Record]] = defaultdict(list)
    for record in office.records:
        legs[record.linked_id].append(record)
    for call in office.calls.values():
        records = legs[call.call_id]
        rung = {leg.extension for leg in records if leg.extension}
        in_vain = [leg for leg in records if leg.disposition == "NO ANSWER"]
        applications = {leg.application for leg in records}
        shapes[call.direction] += 1
        shapes["one of a group answers"] += len(rung) > 1 and call.is_answered and bool(in_vain)
        shapes["missed by all"] += len(in_vain) == len(records) > 1
        shapes["by a queue"] += "Queue" in applications
        shapes["left in the queue"] += all(not leg.dst_channel for leg in records)
        shapes["to the mailbox"] += "VoiceMail" in applications
        handed_over = {leg.unique_id for leg in records if leg.is_answered and leg.did}
        shapes["handed over"] += len(handed_over) > 1 and "Queue" not in applications
        shapes["colleague asked"] += (
            any(leg.direction == "internal" for leg in records) and call.direction == "inbound"
        )
        shapes["anonymous"] += call.direction == "inbound" and not call.phone_number
        shapes["with the company's number"] += (
            call.direction == "outbound" and len(records[0].src) > 5
        )
    assert min(shapes.values()) > 20, shapes
    assert {len(call.phone_number) - 10 for call in office.calls.values() if call.phone_number} == {
        0, 1, 2,
    }  # fmt: skip
    assert {record.disposition for record in office.records} == {
        "ANSWERED", "NO ANSWER", "BUSY", "FAILED", "UNKNOWN",
    }  # fmt: skip


def test_what_the_exchange_measures_is_near_what_the_crm_says(office: Office) -> None:
    linked = {
        row["EXTERNAL_CALL_ID"]: row
        for row in office.store.query("select * from call where EXTERNAL_CALL_ID is not null")
    }
    pairs = [(linked[name], call) for name, call in office.calls.items() if name in linked]
    assert len(pairs) == office.planted["counts"][0]["paired_by_id"]
    apart = [call.start - row["CALL_START_DATE"] // 1_000_000 for row, call in pairs]
    assert max(apart) <= 7
    # The CRM wrote some later than the window in which a number is compared.
    assert -86_400 < min(apart) < -90
    assert sum(abs(seconds) <= 7 for seconds in apart) > 0.9 * len(apart)
    for row, call in pairs:
        if call.is_known:
            assert call.is_answered == (row["CALL_FAILED_CODE"] == "200")
            seconds = row["CALL_DURATION"] if call.is_answered else 0
            assert abs(call.talk_seconds - seconds) <= 3
    assert len({call.talk_seconds - row["CALL_DURATION"] for row, call in pairs}) > 3


def test_nobody_speaks_in_two_calls_at_once_but_where_that_is_planted(office: Office) -> None:
    known = {row["EXTERNAL_CALL_ID"] for row in office.store.query("select * from call")}
    by_extension: dict[str, list[PbxCall]] = defaultdict(list)
    ends: dict[str, int] = defaultdict(int)
    for record in office.records:
        ends[record.linked_id] = max(ends[record.linked_id], record.start + record.duration)
    numbers = {str(row["PHONE_NUMBER"])[-10:] for row in office.store.query("select * from call")}
    for call in office.calls.values():
        is_alone = call.call_id not in known and call.phone_number[-10:] not in numbers
        if call.is_answered and call.direction != "internal" and call.extension and is_alone:
            by_extension[call.extension].append(call)
    overlapping = set()
    for extension, calls in by_extension.items():
        calls.sort(key=lambda call: call.start)
        for one, other in itertools.pairwise(calls):
            if other.start < ends[one.call_id]:
                overlapping.add((extension, one.call_id, other.call_id))
    assert overlapping == {
        (entry["extension"], *entry["pbx_call_ids"])
        for entry in office.planted["overlapping_calls"]
    }


def test_missed_callers_became_what_is_planted(office: Office) -> None:
    """By the definition alone: a contact is an inbound answered, or an outbound with some talk."""
    clock = office.store.clock
    in_crm = {str(row[0])[-10:] for row in office.store.query("select PHONE_NUMBER from call")}
    states = set()
    for entry in office.planted["missed_cases"]:
        assert entry["phone"][-10:] not in in_crm
        calls = office.of_number(entry["phone"])
        first = calls[0]
        assert first.direction == "inbound"
        assert not first.is_answered
        began = dt.datetime.fromtimestamp(first.start, dt.UTC)
        assert began == dt.datetime.fromisoformat(entry["first_missed_at"])
        contacts = [
            call
            for call in calls
            if call.is_answered
            and (call.direction == "inbound" or call.talk_seconds >= CONTACT_SECONDS)
        ]
        if contacts:
            assert contacts[0].call_id == entry["contact_call_id"]
            waited = contacts[0].start - first.start
            state = "in_time" if waited <= CALLBACK.total_seconds() else "late"
        else:
            state = "pending" if clock - began < CALLBACK else "lost"
        assert state == entry["state"], entry["reason"]
        states.add(state)
    assert states == {"in_time", "late", "pending", "lost"}


def test_the_extension_changed_hands_on_the_day_of_the_file(office: Office) -> None:
    (entry,) = office.planted["moved_extension"]
    moved_on = dt.date.fromisoformat(entry["moved_on"])
    days = set()
    for call in entry["calls"]:
        found = office.calls[call["pbx_call_id"]]
        assert found.extension == entry["extension"]
        day = dt.datetime.fromtimestamp(found.start, ZoneInfo(ZONE.key)).date()
        is_before = call["user_id"] == entry["from_user_id"]
        assert is_before == (day < moved_on)
        days.add(day)
    assert {moved_on - dt.timedelta(days=1), moved_on} <= days


@pytest.mark.parametrize("company", ["demo", "demo_amocrm"])
def test_the_companys_rules_fit_the_exchange(office: Office, company: str) -> None:
    """Ids of employees are the same for every seed, so the file holds for all."""
    rules = read_company(COMPANIES / company).rules
    (connection,) = (one for one in rules.all_connections() if one.system == "asterisk")
    assert (connection.name, connection.section.time_zone) == ("office", ZONE.key)
    with (COMPANIES / company / "extensions.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    users = {row["ID"]: row["UF_PHONE_INNER"] for row in office.store.query("select * from user")}
    assert {int(line["employee_id"]) for line in lines} <= users.keys()
    told: dict[str, set[int]] = defaultdict(set)
    for line in lines:
        told[line["extension"]].add(int(line["employee_id"]))
    (shared,) = office.planted["shared_extension"]
    assert told[shared["extension"]] == set(shared["user_ids"])
    (moved,) = office.planted["moved_extension"]
    assert {(line["employee_id"], line["from_on"], line["until_on"]) for line in lines
            if line["extension"] == moved["extension"]} == {
        (str(moved["from_user_id"]), "", moved["moved_on"]),
        (str(moved["to_user_id"]), moved["moved_on"], ""),
    }  # fmt: skip
    if company == "demo_amocrm":
        # amoCRM knows no extensions: the file names all, but the warehouse's, which is nobody's.
        used = {record.extension for record in office.records if record.extension}
        assert used - told.keys() == {"140"}
    else:
        assert not told.keys() & (set(users.values()) - {moved["extension"]})
