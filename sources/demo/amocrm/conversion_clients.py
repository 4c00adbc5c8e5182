"""Contacts and companies of the converted company, and what their events tell."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from sources.demo.amocrm.conversion_fields import CustomFields, stable_id
from sources.demo.amocrm.conversion_work import Work, event_row
from sources.demo.store import PortalStore

_OF_CONTACT, _OF_COMPANY, _OF_MERGE = (kind << 40 for kind in (12, 13, 14))
_CONTACTS_PER_MERGE = 20


class Clients:
    """The clients of the account."""

    def __init__(self, source: PortalStore, fields: CustomFields, work: Work) -> None:
        self._source = source
        self._fields = fields
        self._work = work

    def contacts(self) -> Iterator[dict[str, Any]]:
        """Rows of the entity `contact`."""
        for row in self._source.query("select * from contact"):
            yield {
                "id": row["ID"],
                "name": full_name(row["NAME"], row["LAST_NAME"]),
                "first_name": row["NAME"] or "",
                "last_name": row["LAST_NAME"] or "",
                **self._work.authorship(row),
                "closest_task_at": self._work.closest_task_at("contacts", row["ID"]),
                "is_deleted": 0,
                "custom_fields_values": self._fields.values("contact", dict(row)),
                "tags": [],
                "company_id": row["COMPANY_ID"] or None,
            }

    def companies(self) -> Iterator[dict[str, Any]]:
        """Rows of the entity `company`."""
        for row in self._source.query("select * from company"):
            yield {
                "id": row["ID"],
                "name": row["TITLE"],
                **self._work.authorship(row),
                "closest_task_at": self._work.closest_task_at("companies", row["ID"]),
                "is_deleted": 0,
                "custom_fields_values": self._fields.values("company", dict(row)),
                "tags": [],
            }

    def links(self, deals: Iterable[Any]) -> Iterator[dict[str, Any]]:
        """Events of leads that got their contact or company: at the creation of the later one.

        Since when a card is linked the portal doesn't know; it can't be earlier.
        """
        for entity, column, order in (
            ("contact", "CONTACT_ID", _OF_CONTACT),
            ("company", "COMPANY_ID", _OF_COMPANY),
        ):
            made = {
                row["ID"]: (row["DATE_CREATE"], row["CREATED_BY_ID"])
                for row in self._source.query(
                    f"select ID, DATE_CREATE, CREATED_BY_ID from {entity}"
                )
            }
            for deal in deals:
                client_id = deal[column]
                if not client_id:
                    continue
                instant, author = max(
                    (deal["DATE_CREATE"], deal["CREATED_BY_ID"]),
                    made.get(client_id, (0, None)),
                    key=lambda creation: creation[0],
                )
                yield event_row(
                    "entity_linked",
                    ("lead", deal["ID"]),
                    instant,
                    order + deal["ID"],
                    author,
                    after=[{"link": {"entity": {"type": entity, "id": client_id}}}],
                )

    def merges(self) -> Iterator[dict[str, Any]]:
        """Events of contacts that took in a duplicate, which is gone since.

        In the invented company only, whose portal knows no duplicates: there some contacts' last
        change is told as a merge. An event of a merge names nobody but who is left.
        """
        if self._source.meta("planted") is None:
            return
        for row in self._source.query(
            "select contact.ID, DATE_MODIFY, MODIFY_BY_ID from contact "
            # What nobody did must not be the last own action of a dismissed employee.
            "inner join user on user.ID = MODIFY_BY_ID and ACTIVE = 1 "
            "where DATE_MODIFY > DATE_CREATE order by contact.ID"
        ):
            if stable_id("merge", row["ID"]) % _CONTACTS_PER_MERGE == 0:
                yield event_row(
                    "entity_merged",
                    ("contact", row["ID"]),
                    row["DATE_MODIFY"],
                    _OF_MERGE + row["ID"],
                    row["MODIFY_BY_ID"],
                )


def full_name(first: str | None, last: str | None) -> str:
    """A person's name as amoCRM prints it."""
    return " ".join(part for part in (first, last) if part)
