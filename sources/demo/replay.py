"""Replaying a folder of csv files through the portal: real input without a real portal.

Files and columns (times ISO 8601 with an offset; ids may be any text):

* `stage_history.csv`: history_id, deal_id, stage, entered_at; optional pipeline, user_id
* `deals.csv`: deal_id, created_at; optional title, amount, currency, pipeline, owner_id,
  client_id, source, product, grade
* `stages.csv`: pipeline, stage, semantics (open, won or lost; empty is open), sort
* `users.csv`: user_id, name, active, department
* `calls.csv`: call_id, started_at, duration_seconds; optional deal_id, client_id, phone, user_id,
  direction (in or out), answered

A missing file is derived from the others; `stage_history.csv` alone is enough. The portal speaks
integers: an id column of plain positive integers keeps them, any other is numbered in natural
order of its texts ("D2" before "D10"), equal on every replay of the folder (history_id by time
first). The original text stays beside it: `ORIGIN_ID` of deals and contacts, `XML_ID` of users,
`CALL_ID` of calls.
"""

from __future__ import annotations

import csv
import datetime as dt
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from sources.demo.store import PortalStore, to_microseconds
from sources.errors import InputError

DEFAULT_PIPELINE = "Replay"
EMPTY_CLOCK = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
LARGEST_ID = 2**53
_WEEK = to_microseconds(dt.datetime(1970, 1, 8, tzinfo=dt.UTC))
_END_OF_TIME = to_microseconds(dt.datetime.max.replace(tzinfo=dt.UTC))
_LONGEST_NUMBER = 1_000
"""Digits; Python refuses to read more than 4,300."""

_SEMANTICS: Mapping[str, str | None] = {"open": None, "": None, "won": "S", "lost": "F"}
_TRUE = frozenset({"true", "1", "y", "yes", "t"})
_FALSE = frozenset({"false", "0", "n", "no", "f"})
_DIRECTIONS: Mapping[str, int] = {
    "": 1,
    "out": 1,
    "outbound": 1,
    "outgoing": 1,
    "in": 2,
    "inbound": 2,
    "incoming": 2,
}
_ANSWERED, _MISSED = "200", "304"


@dataclass(frozen=True)
class FileForm:
    """The columns one csv file must and may have."""

    name: str
    required: tuple[str, ...]
    optional: tuple[str, ...] = ()


STAGE_HISTORY = FileForm(
    "stage_history.csv",
    ("history_id", "deal_id", "stage", "entered_at"),
    ("pipeline", "user_id"),
)
DEALS = FileForm(
    "deals.csv",
    ("deal_id", "created_at"),
    (
        "title",
        "amount",
        "currency",
        "pipeline",
        "owner_id",
        "client_id",
        "source",
        "product",
        "grade",
    ),
)
STAGES = FileForm("stages.csv", ("stage",), ("pipeline", "semantics", "sort"))
USERS = FileForm("users.csv", ("user_id",), ("name", "active", "department"))
CALLS = FileForm(
    "calls.csv",
    ("call_id", "started_at", "duration_seconds"),
    ("deal_id", "client_id", "phone", "user_id", "direction", "answered"),
)
FILES = (STAGE_HISTORY, DEALS, STAGES, USERS, CALLS)


@dataclass
class ReplayReport:
    """What a replay found and what it had to derive; counts of records."""

    counts: dict[str, int] = field(default_factory=dict)
    derived: dict[str, int] = field(default_factory=dict)

    def sentence(self) -> str:
        """One line for the user."""
        found = ", ".join(f"{count:,} {name}" for name, count in self.counts.items())
        derived = ", ".join(f"{count:,} {name}" for name, count in self.derived.items() if count)
        return f"Replay: {found}" + (f" (derived: {derived})" if derived else "")


@dataclass(frozen=True)
class _Row:
    """One line of a file, with the place for error messages."""

    form: FileForm
    line: int
    values: Mapping[str, str]

    def __getitem__(self, column: str) -> str:
        return self.values.get(column, "")

    def error(self, column: str, problem: str) -> InputError:
        return InputError(f"{self.form.name}, line {self.line}, column {column}: {problem}")

    def needed(self, column: str) -> str:
        if not self[column]:
            raise self.error(column, "is empty")
        return self[column]

    def instant(self, column: str) -> int:
        text = self.needed(column)
        try:
            instant = dt.datetime.fromisoformat(text)
        except ValueError:
            raise self.error(column, f"{text!r} is not an ISO 8601 time") from None
        if instant.tzinfo is None:
            raise self.error(column, f"{text!r} has no offset; write for instance {text}+03:00")
        try:
            return to_microseconds(instant.astimezone(dt.UTC))
        except OverflowError:
            raise self.error(column, f"{text!r} lies outside of the years 1 to 9999") from None

    def flag(self, column: str, default: bool) -> bool:
        text = self[column].lower()
        if not text:
            return default
        if text not in _TRUE | _FALSE:
            raise self.error(column, f"{self[column]!r} is neither true nor false")
        return text in _TRUE

    def number(self, column: str) -> Decimal:
        text = self.needed(column)
        try:
            number = Decimal(text)
        except InvalidOperation:
            raise self.error(column, f"{text!r} is not a number") from None
        if not number.is_finite():
            raise self.error(column, f"{text!r} is not a number")
        return number

    def one_of(self, column: str, allowed: Mapping[str, Any]) -> Any:
        text = self[column].lower()
        if text not in allowed:
            words = ", ".join(word for word in allowed if word)
            raise self.error(column, f"{self[column]!r} is none of {words}")
        return allowed[text]


def write_replay(folder: Path, store_path: Path) -> ReplayReport:
    """Read the folder and write it into a new portal store.

    Returns:
        What was found and what was derived.

    Raises:
        InputError: the folder holds no usable file, or a file has a missing or unknown column, a
            repeated id, or a value that can't be read; the message names file, line and column.
    """
    return _Replay(Path(folder)).write(store_path)


class _Replay:
    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise InputError(
                f"There is no folder {folder}: give the one that holds stage_history.csv."
            )
        if not any((folder / form.name).exists() for form in (STAGE_HISTORY, DEALS)):
            raise InputError(
                f"{folder} holds neither stage_history.csv nor deals.csv: at least the stage "
                "history (history_id, deal_id, stage, entered_at) is needed for a replay."
            )
        known = {form.name for form in FILES}
        stray = sorted(p.name for p in folder.glob("*.csv") if p.name not in known)
        if stray:
            raise InputError(
                f"{', '.join(stray)}: a replay knows no such file; it reads "
                f"{', '.join(form.name for form in FILES)}."
            )
        self.title = folder.resolve().name
        self.history = list(_read(folder, STAGE_HISTORY, "history_id"))
        self.deals = {row["deal_id"]: row for row in _read(folder, DEALS, "deal_id")}
        self.stage_rows = list(_read(folder, STAGES, None))
        self.users = {row["user_id"]: row for row in _read(folder, USERS, "user_id")}
        self.calls = list(_read(folder, CALLS, "call_id"))
        self.report = ReplayReport()

    def write(self, store_path: Path) -> ReplayReport:
        self._name_pipelines_and_stages()
        self._number_records()
        store_path.parent.mkdir(parents=True, exist_ok=True)
        store_path.unlink(missing_ok=True)
        with PortalStore(store_path) as store:
            store.create()
            store.set_meta("title", f"Replay of {self.title}")
            store.set_meta("utc_offset", 0)
            self._write_dictionaries(store)
            self._write_users(store)
            self._write_deals(store)
            self._write_calls(store)
            clock = max(self.instants, default=to_microseconds(EMPTY_CLOCK))
            store.set_meta("clock", clock)
            if any(text != str(number) for text, number in self.history_ids.items()):
                # The API's rows have no field for them.
                store.set_meta("history_ids", {n: text for text, n in self.history_ids.items()})
            store.finish()
        return self.report

    # Pipelines and stages ------------------------------------------------------------------

    def _name_pipelines_and_stages(self) -> None:
        """Decide the pipeline of every history row and the order of pipelines and stages."""
        pipelines: dict[str, None] = {}
        self.semantics: dict[tuple[str, str], str | None] = {}
        sorts: dict[tuple[str, str], int] = {}
        homes: dict[str, list[str]] = defaultdict(list)
        for row in self.stage_rows:
            pipeline, stage = row["pipeline"] or DEFAULT_PIPELINE, row.needed("stage")
            if (pipeline, stage) in self.semantics:
                raise row.error("stage", f"{stage!r} stands twice in pipeline {pipeline!r}")
            self.semantics[pipeline, stage] = row.one_of("semantics", _SEMANTICS)
            if row["sort"]:
                sorts[pipeline, stage] = int(row.number("sort"))
            homes[stage].append(pipeline)
            pipelines.setdefault(pipeline)
        for row in self.deals.values():
            if row["pipeline"]:
                pipelines.setdefault(row["pipeline"])

        only = next(iter(pipelines)) if len(pipelines) == 1 else DEFAULT_PIPELINE
        self.entries: list[tuple[int, _Row, str, str]] = []
        for row in self.history:
            stage = row.needed("stage")
            deal = self.deals.get(row.needed("deal_id"))
            of_deal = deal["pipeline"] if deal else ""
            if row["pipeline"]:
                pipeline = row["pipeline"]
            elif (of_deal, stage) in self.semantics:
                pipeline = of_deal
            elif len(homes[stage]) == 1:
                pipeline = homes[stage][0]
            else:
                pipeline = of_deal or only
            pipelines.setdefault(pipeline)
            self.entries.append((row.instant("entered_at"), row, pipeline, stage))
        if not pipelines:
            pipelines = {DEFAULT_PIPELINE: None}
        self.pipeline_ids = {name: number for number, name in enumerate(pipelines)}
        self._derive_stages(sorts)

    def _derive_stages(self, sorts: dict[tuple[str, str], int]) -> None:
        """Stages that only the history knows are open and stand in the order deals reach them."""
        first_seen: dict[tuple[str, str], list[int]] = defaultdict(list)
        position: dict[tuple[str, tuple[str, str]], int] = {}
        lengths: dict[str, int] = defaultdict(int)
        for _, row, pipeline, stage in sorted(self.entries, key=lambda entry: entry[0]):
            key = (row["deal_id"], (pipeline, stage))
            if key not in position:
                position[key] = lengths[row["deal_id"]]
                lengths[row["deal_id"]] += 1
                first_seen[pipeline, stage].append(position[key])
        unlisted = [key for key in first_seen if key not in self.semantics]
        unlisted.sort(key=lambda key: sum(first_seen[key]) / len(first_seen[key]))
        self.semantics |= dict.fromkeys(unlisted)
        self.report.derived["stages"] = len(unlisted)

        self.stage_sort: dict[tuple[str, str], int] = {}
        self.stage_ids: dict[tuple[str, str], str] = {}
        for pipeline, category in self.pipeline_ids.items():
            stages = [listed for listed in self.semantics if listed[0] == pipeline]
            if not stages:
                # A pipeline that only deals.csv names still needs a stage to stand on.
                stages = [(pipeline, "New")]
                self.semantics[stages[0]] = None
            for number, place in enumerate(stages, start=1):
                self.stage_sort[place] = sorts.get(place, 10 * number)
                self.stage_ids[place] = (f"C{category}:" if category else "") + f"STAGE_{number}"

    # Ids -----------------------------------------------------------------------------------

    def _number_records(self) -> None:
        deal_ids = dict.fromkeys(self.deals)
        deal_ids |= dict.fromkeys(row["deal_id"] for row in self.history)
        self.report.derived["deals"] = len(deal_ids) - len(self.deals)
        self.known_deals = list(deal_ids)
        deal_ids |= dict.fromkeys(row["deal_id"] for row in self.calls if row["deal_id"])
        self.report.derived["unknown deals of calls"] = len(deal_ids) - len(self.known_deals)
        self.deal_ids = _numbered(deal_ids)

        user_ids = dict.fromkeys(self.users)
        for rows, column in (
            (self.history, "user_id"),
            (self.deals.values(), "owner_id"),
            (self.calls, "user_id"),
        ):
            user_ids |= dict.fromkeys(row[column] for row in rows if row[column])
        self.report.derived["users"] = len(user_ids) - len(self.users)
        self.user_ids = _numbered(user_ids)

        self.client_ids = _numbered(
            dict.fromkeys(
                row["client_id"] for row in (*self.deals.values(), *self.calls) if row["client_id"]
            )
        )
        history_ids = [row["history_id"] for row in self.history]
        if all(_is_plain(text) for text in history_ids):
            self.history_ids = {text: int(text) for text in history_ids}
        else:
            # By time, like a portal's own; history_id is the order within the same second.
            times = {row["history_id"]: entered_at for entered_at, row, _, _ in self.entries}
            order = sorted(history_ids, key=lambda text: (times[text], _natural(text)))
            self.history_ids = {text: number for number, text in enumerate(order, start=1)}

    # Writing -------------------------------------------------------------------------------

    def _write_dictionaries(self, store: PortalStore) -> None:
        store.insert(
            "category",
            (
                {
                    "ID": category,
                    "NAME": name,
                    "SORT": 10 * (category + 1),
                    "IS_DEFAULT": not category,
                }
                for name, category in self.pipeline_ids.items()
            ),
        )
        statuses = [
            {
                "ENTITY_ID": "DEAL_STAGE" + (f"_{category}" if category else ""),
                "STATUS_ID": stage_id,
                "NAME": stage,
                "SORT": self.stage_sort[pipeline, stage],
                "SYSTEM": 0,
                "CATEGORY_ID": category or None,
                "COLOR": "#39A8EF",
                "SEMANTICS": self.semantics[pipeline, stage],
            }
            for (pipeline, stage), stage_id in self.stage_ids.items()
            for category in (self.pipeline_ids[pipeline],)
        ]
        sources = dict.fromkeys(row["source"] for row in self.deals.values() if row["source"])
        self.source_ids = {name: f"SOURCE_{number}" for number, name in enumerate(sources, 1)}
        statuses += [
            {
                "ENTITY_ID": "SOURCE",
                "STATUS_ID": source_id,
                "NAME": name,
                "SORT": 10 * number,
                "SYSTEM": 0,
                "CATEGORY_ID": None,
                "COLOR": "",
                "SEMANTICS": None,
            }
            for number, (name, source_id) in enumerate(self.source_ids.items(), start=1)
        ]
        store.insert("status", ({"ID": n, **row} for n, row in enumerate(statuses, start=1)))
        self.report.counts["pipelines"] = len(self.pipeline_ids)
        self.report.counts["stages"] = len(self.stage_ids)

    def _write_users(self, store: PortalStore) -> None:
        names = dict.fromkeys(row["department"] for row in self.users.values() if row["department"])
        departments = {name: number for number, name in enumerate(names, start=1)}
        store.insert(
            "department",
            ({"ID": number, "NAME": name, "SORT": 500} for name, number in departments.items()),
        )

        def rows() -> Iterator[dict[str, Any]]:
            for text, number in self.user_ids.items():
                row = self.users.get(text)
                department = departments.get(row["department"]) if row else None
                yield {
                    "ID": number,
                    "XML_ID": text,
                    "ACTIVE": row.flag("active", True) if row else True,
                    "NAME": (row["name"] if row else "") or text,
                    "LAST_NAME": "",
                    "UF_DEPARTMENT": [department] if department else [],
                    "USER_TYPE": "employee",
                }

        store.insert("user", rows())
        self.report.counts["users"] = len(self.user_ids)

    def _write_deals(self, store: PortalStore) -> None:
        by_deal: dict[str, list[tuple[int, int, _Row, str, str]]] = defaultdict(list)
        for entered_at, row, pipeline, stage in self.entries:
            history_id = self.history_ids[row["history_id"]]
            by_deal[row["deal_id"]].append((entered_at, history_id, row, pipeline, stage))
        for entries in by_deal.values():
            entries.sort(key=lambda entry: entry[:2])
        self.instants = [entry[0] for entry in self.entries]
        store.insert("stage_history", self._history_rows(by_deal))
        store.insert(
            "deal", (self._deal_row(text, by_deal.get(text, [])) for text in self.known_deals)
        )
        self.report.counts["stage entries"] = len(self.entries)
        self.report.counts["deals"] = len(self.known_deals)

    def _history_rows(
        self, by_deal: Mapping[str, list[tuple[int, int, _Row, str, str]]]
    ) -> Iterator[dict[str, Any]]:
        for text, entries in by_deal.items():
            previous: str | None = None
            for entered_at, history_id, _, pipeline, stage in entries:
                semantics = self.semantics[pipeline, stage]
                kind = 3 if semantics else 2
                if previous is None:
                    kind = 1
                elif previous != pipeline:
                    kind = 5
                previous = pipeline
                yield {
                    "ID": history_id,
                    "TYPE_ID": kind,
                    "OWNER_ID": self.deal_ids[text],
                    "CREATED_TIME": entered_at,
                    "CATEGORY_ID": self.pipeline_ids[pipeline],
                    "STAGE_SEMANTIC_ID": semantics or "P",
                    "STAGE_ID": self.stage_ids[pipeline, stage],
                }

    def _deal_row(
        self, text: str, entries: list[tuple[int, int, _Row, str, str]]
    ) -> dict[str, Any]:
        row = self.deals.get(text)
        created_at = row.instant("created_at") if row else entries[0][0]
        mover = next((e[2]["user_id"] for e in reversed(entries) if e[2]["user_id"]), "")
        if entries:
            moved_at, (pipeline, stage) = entries[-1][0], entries[-1][3:]
            mover = entries[-1][2]["user_id"] or mover
        else:
            assert row is not None
            pipeline = row["pipeline"] or next(iter(self.pipeline_ids))
            stages = [key for key in self.stage_ids if key[0] == pipeline]
            stage = min(stages, key=lambda key: self.stage_sort[key])[1]
            moved_at = created_at
        self.instants.append(created_at)
        semantics = self.semantics[pipeline, stage]
        owner = (row["owner_id"] if row else "") or mover
        custom = {
            field_name: row[column]
            for column, field_name in (("product", "UF_CRM_PRODUCT"), ("grade", "UF_CRM_GRADE"))
            if row and row[column]
        }
        amount = row.number("amount") if row and row["amount"] else None
        return {
            "ID": self.deal_ids[text],
            "TITLE": (row["title"] if row else "") or f"Deal {text}",
            "TYPE_ID": "SALE",
            "CATEGORY_ID": self.pipeline_ids[pipeline],
            "STAGE_ID": self.stage_ids[pipeline, stage],
            "STAGE_SEMANTIC_ID": semantics or "P",
            "IS_NEW": len(entries) <= 1,
            "IS_RECURRING": False,
            "IS_RETURN_CUSTOMER": False,
            "CURRENCY_ID": (row["currency"] if row else "") or None,
            "OPPORTUNITY": None if amount is None else f"{amount:.2f}",
            "IS_MANUAL_OPPORTUNITY": True,
            "CONTACT_ID": self.client_ids.get(row["client_id"]) if row else None,
            "BEGINDATE": created_at,
            # The planned end: Bitrix24's default is a week after creation.
            "CLOSEDATE": min(created_at + _WEEK, _END_OF_TIME),
            "OPENED": True,
            "CLOSED": semantics is not None,
            "ASSIGNED_BY_ID": self.user_ids.get(owner),
            "CREATED_BY_ID": self.user_ids.get(entries[0][2]["user_id"]) if entries else None,
            "MODIFY_BY_ID": self.user_ids.get(mover),
            "MOVED_BY_ID": self.user_ids.get(mover),
            "DATE_CREATE": created_at,
            "DATE_MODIFY": max(created_at, moved_at),
            "MOVED_TIME": moved_at,
            "SOURCE_ID": self.source_ids.get(row["source"]) if row else None,
            "ORIGINATOR_ID": "replay",
            "ORIGIN_ID": text,
            "CUSTOM": custom,
        }

    def _write_calls(self, store: PortalStore) -> None:
        numbers = _numbered(dict.fromkeys(row["call_id"] for row in self.calls))
        phones: dict[str, dict[str, None]] = defaultdict(dict)
        calls: list[dict[str, Any]] = []
        activities: list[dict[str, Any]] = []
        rounded = 0
        for row in self.calls:
            started_at = row.instant("started_at")
            self.instants.append(started_at)
            duration = row.number("duration_seconds")
            rounded += duration != int(duration)
            answered = row.flag("answered", duration > 0)
            call_type = row.one_of("direction", _DIRECTIONS)
            user_id = self.user_ids.get(row["user_id"])
            client_id = self.client_ids.get(row["client_id"])
            if client_id and row["phone"]:
                phones[row["client_id"]].setdefault(row["phone"])
            activity_id = None
            if row["deal_id"] or client_id:
                activity_id = len(activities) + 1
                activities.append(
                    {
                        "ID": activity_id,
                        "OWNER_ID": self.deal_ids.get(row["deal_id"], client_id),
                        "OWNER_TYPE_ID": 2 if row["deal_id"] else 3,
                        "TYPE_ID": 2,
                        "PROVIDER_ID": "VOXIMPLANT_CALL",
                        "PROVIDER_TYPE_ID": "CALL",
                        "SUBJECT": "",
                        "CREATED": started_at,
                        "LAST_UPDATED": started_at,
                        "START_TIME": started_at,
                        "END_TIME": started_at,
                        "DEADLINE": started_at,
                        "COMPLETED": answered,
                        "STATUS": 2 if answered else 1,
                        "RESPONSIBLE_ID": user_id,
                        "PRIORITY": 2,
                        "DIRECTION": 1 if call_type == 2 else 2,
                        "AUTHOR_ID": user_id,
                        "EDITOR_ID": user_id,
                        "ORIGIN_ID": f"VI_{row['call_id']}",
                    }
                )
            calls.append(
                {
                    "ID": numbers[row["call_id"]],
                    "PORTAL_USER_ID": user_id,
                    "PORTAL_NUMBER": "",
                    "PHONE_NUMBER": row["phone"],
                    "CALL_ID": row["call_id"],
                    "CALL_CATEGORY": "external",
                    "CALL_DURATION": round(duration),
                    "CALL_START_DATE": started_at,
                    "CALL_RECORD_URL": "",
                    "COST": "0.0000",
                    "COST_CURRENCY": "",
                    "CALL_FAILED_CODE": _ANSWERED if answered else _MISSED,
                    "CALL_FAILED_REASON": "",
                    "CRM_ENTITY_TYPE": "CONTACT" if client_id else None,
                    "CRM_ENTITY_ID": client_id,
                    "CRM_ACTIVITY_ID": activity_id,
                    "CALL_TYPE": call_type,
                }
            )
        store.insert("activity", activities)
        store.insert("call", calls)
        self._write_contacts(store, phones)
        self.report.counts["calls"] = len(calls)
        self.report.derived["calls rounded to whole seconds"] = rounded

    def _write_contacts(self, store: PortalStore, phones: Mapping[str, Iterable[str]]) -> None:
        created_at = min(self.instants, default=to_microseconds(EMPTY_CLOCK))
        store.insert(
            "contact",
            (
                {
                    "ID": number,
                    "NAME": text,
                    "LAST_NAME": "",
                    "DATE_CREATE": created_at,
                    "DATE_MODIFY": created_at,
                    "ORIGINATOR_ID": "replay",
                    "ORIGIN_ID": text,
                    "PHONE": [
                        {"ID": str(n), "VALUE_TYPE": "WORK", "VALUE": phone, "TYPE_ID": "PHONE"}
                        for n, phone in enumerate(phones.get(text, ()), start=1)
                    ],
                    "EMAIL": [],
                    "CUSTOM": {},
                }
                for text, number in self.client_ids.items()
            ),
        )
        self.report.counts["clients"] = len(self.client_ids)


def _read(folder: Path, form: FileForm, key: str | None) -> Iterator[_Row]:
    path = folder / form.name
    if not path.exists():
        return
    lines: dict[str, int] = {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, strict=True)
            header = [name.strip() for name in next(reader, [])]
            _check_header(form, header)
            for cells in reader:
                if not cells:
                    continue
                if len(cells) != len(header):
                    raise InputError(
                        f"{form.name}, line {reader.line_num}: {len(cells)} values for "
                        f"{len(header)} columns"
                    )
                row = _Row(
                    form, reader.line_num, dict(zip(header, map(str.strip, cells), strict=True))
                )
                if key is not None:
                    text = row.needed(key)
                    if text in lines:
                        raise row.error(key, f"{text!r} stands in line {lines[text]} already")
                    lines[text] = row.line
                yield row
    except UnicodeDecodeError:
        raise InputError(
            f"{form.name}, line {_line_not_utf8(path)}: is not UTF-8; save the file as UTF-8 and "
            "replay again."
        ) from None
    except csv.Error as error:
        raise InputError(
            f"{form.name}, line {reader.line_num}: is not readable as csv ({error})"
        ) from None


def _line_not_utf8(path: Path) -> int:
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        try:
            line.decode("utf-8")
        except UnicodeDecodeError:
            return number
    return 1


def _check_header(form: FileForm, header: list[str]) -> None:
    if not header:
        raise InputError(f"{form.name} is empty: its first line must name the columns.")
    for column in header:
        if column not in form.required + form.optional:
            raise InputError(
                f"{form.name}, line 1: unknown column {column!r}; allowed are "
                f"{', '.join(form.required + form.optional)}."
            )
        if header.count(column) > 1:
            raise InputError(f"{form.name}, line 1: column {column!r} stands twice.")
    missing = [column for column in form.required if column not in header]
    if missing:
        raise InputError(f"{form.name}, line 1: column {', '.join(missing)} is missing.")


def _is_plain(text: str) -> bool:
    if not (text.isascii() and text.isdigit()) or text[0] == "0" or len(text) > _LONGEST_NUMBER:
        return False
    return int(text) < LARGEST_ID


def _numbered(texts: Iterable[str]) -> dict[str, int]:
    """A stable positive integer for every text; plain integers keep their value."""
    given = list(texts)
    if all(_is_plain(text) for text in given):
        return {text: int(text) for text in given}
    return {text: number for number, text in enumerate(sorted(given, key=_natural), start=1)}


def _natural(text: str) -> tuple[list[tuple[int, int, str]], str]:
    parts = re.findall(r"\d+|\D+", text)
    return [
        (0, int(part), "") if part.isdecimal() and len(part) <= _LONGEST_NUMBER else (1, 0, part)
        for part in parts
    ], text
