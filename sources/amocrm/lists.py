"""How each list of amoCRM is read: path, order, filters, and what finds its changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sources.amocrm import tables
from sources.amocrm.paging import Listing
from sources.raw_tables import RawTable

SWEEP_DAYS = 7
"""People delete cards and tasks; the system has no count that would tell."""
IDS_PER_REQUEST = 100
"""250 of them, in PHP's brackets, would be too long for an address."""
BY_ID: Mapping[str, str] = {"id": "asc"}
"""The one order that every list knows, that is total, and in which no change moves a row."""


@dataclass(frozen=True)
class AmoList:
    """One list.

    Attributes:
        table: where its rows go.
        path: below `/api/v4/`.
        entity: its name in logs and reconciliation; the table's unless several share it.
        parameters: sent with every page, e.g. what to read with it.
        filters: of every page.
        order: the order of its pages.
        key: the field that tells its rows apart.
        constants: fields that every row gets, since the API doesn't print them.
        is_whole: read whole by every load, since nothing tells what has changed.
        filters_created: whether it can be asked for a window of creation.
        restored: the event that tells of records taken out of the recycle bin.
        is_core: without it no report is right.
        sweep_days: how often its ids are compared.
    """

    table: RawTable
    path: str
    entity: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    filters: Mapping[str, Any] = field(default_factory=dict)
    order: Mapping[str, str] = field(default_factory=lambda: BY_ID)
    key: str = "id"
    constants: Mapping[str, Any] = field(default_factory=dict)
    is_whole: bool = False
    filters_created: bool = False
    restored: str | None = None
    is_core: bool = False
    sweep_days: int | None = None

    @property
    def name(self) -> str:
        """The entity's name in logs and reconciliation."""
        return self.entity or self.table.name

    @property
    def condition(self) -> str:
        """SQL that tells its rows from others' in the same raw table."""
        told = [f"{name} = '{value}'" for name, value in self.constants.items()]
        return " and ".join(told) or "true"

    def listing(self, filters: Mapping[str, Any] | None = None) -> Listing:
        """The pages of the list, with these filters beside its own."""
        merged = {**self.filters, **(filters or {})}
        asked = {**self.parameters, "order": self.order}
        return Listing(self.path, {**asked, "filter": merged} if merged else asked)

    def by_ids(self, ids: Sequence[int]) -> Iterator[tuple[Sequence[int], Listing]]:
        """Ids in parts, and the list of the rows with these, of one page."""
        for first in range(0, len(ids), IDS_PER_REQUEST):
            part = ids[first : first + IDS_PER_REQUEST]
            yield part, self.listing({"id": part})

    def newest(self) -> dict[str, Any]:
        """Parameters of a page that holds the row with the highest id."""
        filters = {"filter": self.filters} if self.filters else {}
        return {**filters, "order": {"id": "desc"}, "limit": 1}

    def rows(self, rows: list[Any]) -> list[Any]:
        """The rows of an answer, with the constants."""
        if not self.constants:
            return rows
        return [{**row, **self.constants} if isinstance(row, dict) else row for row in rows]


NOTE_TYPES = (
    "call_in",
    "call_out",
    "common",
    "amomail_message",
    "sms_in",
    "sms_out",
    "attachment",
)
"""What people do: calls, comments, e-mails, text messages, files. Left out: what the system and
integrations write about themselves (service_message and its like)."""
NOTED = ("leads", "contacts", "companies")


def _notes(entity_type: str) -> AmoList:
    return AmoList(
        tables.NOTES,
        f"{entity_type}/notes",
        f"{entity_type.removesuffix('s') if entity_type != 'companies' else 'company'}_notes",
        filters={"note_type": NOTE_TYPES},
        constants={"entity_type": entity_type},
    )


LEADS = AmoList(
    tables.LEADS,
    "leads",
    parameters={
        "with": "contacts,loss_reason,catalog_elements,source_id,is_price_modified_by_robot"
    },
    filters_created=True,
    restored="lead_restored",
    is_core=True,
    sweep_days=SWEEP_DAYS,
)
CONTACTS = AmoList(
    tables.CONTACTS,
    "contacts",
    parameters={"with": "leads"},
    filters_created=True,
    restored="contact_restored",
    sweep_days=SWEEP_DAYS,
)
COMPANIES = AmoList(
    tables.COMPANIES,
    "companies",
    parameters={"with": "leads,contacts"},
    filters_created=True,
    restored="company_restored",
    sweep_days=SWEEP_DAYS,
)
TASKS = AmoList(tables.TASKS, "tasks", sweep_days=SWEEP_DAYS)
DELETED_LEADS = AmoList(
    tables.DELETED_LEADS,
    "leads",
    parameters={"with": "only_deleted"},
    # The latest deletion comes in at the end.
    order={"updated_at": "asc"},
    is_whole=True,
)
UNSORTED = AmoList(
    tables.UNSORTED,
    "leads/unsorted",
    order={"created_at": "asc"},
    key="uid",
    is_whole=True,
)
NOTES = tuple(_notes(entity_type) for entity_type in NOTED)
LISTS = (COMPANIES, CONTACTS, LEADS, DELETED_LEADS, UNSORTED, *NOTES, TASKS)
"""In loading order: clients before cards, cards before what points to them."""
