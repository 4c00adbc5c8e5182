"""Bitrix24's leads as amoCRM's incoming ones: still unsorted, accepted, declined.

A lead in work has been accepted by nobody yet. One that became a deal was accepted: it belongs to
that deal. A failed one was declined, which deletes it (vendor's page unsorted-api): it stands in
the recycle bin for a while, then only its event is left.

How long the bin keeps leads, and whether the list of the unsorted goes on naming accepted ones, is
not documented; here both are `KEPT_DAYS`. The vendor also says that unsorted leads can be had as
leads, on the pipeline's status of type 1: not here, where they would look like deals.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from sources.demo.amocrm.conversion_stages import INCOMING_BASE, PIPELINE_BASE
from sources.demo.amocrm.conversion_work import Work, event_row
from sources.demo.record_store import to_microseconds
from sources.demo.store import PortalStore

KEPT_DAYS = 30
INCOMING_LEADS = 900_000_000
"""Where ids of leads begin that are no deals, and of the contacts that came with them. Contacts of
the unsorted are not in the list of contacts either."""
_SECOND = 1_000_000
_OF_DECLINED = 11 << 40

Row = dict[str, Any]


class Incoming:
    """What became of the portal's leads.

    Args:
        source: the portal.
        work: for authors and deadlines.
        main_category: the pipeline that takes what comes in.
    """

    def __init__(self, source: PortalStore, work: Work, main_category: int) -> None:
        self._source = source
        self._work = work
        self._main = main_category
        self._kept_since = to_microseconds(source.clock) - KEPT_DAYS * 86_400 * _SECOND
        self._sources = {
            row["STATUS_ID"]: row["NAME"]
            for row in source.query("select STATUS_ID, NAME from status where ENTITY_ID = 'SOURCE'")
        }

    def unsorted(self) -> Iterator[Row]:
        """Rows of the entity `unsorted`."""
        waiting = self._source.query(
            "select * from lead where coalesce(STATUS_SEMANTIC_ID, 'P') = 'P' order by ID"
        )
        for row in waiting:
            lead_id = INCOMING_LEADS + row["ID"]
            yield self._item(row, lead_id, row["CONTACT_ID"] or lead_id, self._main)
        accepted = self._source.query(
            "select lead.*, deal.ID as deal_id, deal.CONTACT_ID as client_id, coalesce("
            "(select CATEGORY_ID from stage_history where OWNER_ID = deal.ID "
            "order by CREATED_TIME, ID limit 1), deal.CATEGORY_ID) as category "
            "from lead inner join deal on deal.ID = (select min(ID) from deal as made "
            "where made.LEAD_ID = lead.ID and coalesce(made.IS_RECURRING, 0) = 0) "
            "where lead.STATUS_SEMANTIC_ID = 'S' and deal.DATE_CREATE >= ? order by lead.ID",
            (self._kept_since,),
        )
        for row in accepted:
            yield self._item(row, row["deal_id"], row["client_id"], row["category"])

    def binned_leads(self) -> Iterator[Row]:
        """Rows of the entity `lead` in the recycle bin."""
        for row in self._declined():
            instant, person = _end(row)
            if instant >= self._kept_since:
                yield {
                    "id": INCOMING_LEADS + row["ID"],
                    "name": row["TITLE"],
                    "price": 0,
                    **self._work.authorship(row),
                    "updated_by": person,
                    "updated_at": instant,
                    "status_id": INCOMING_BASE + self._main,
                    "pipeline_id": PIPELINE_BASE + self._main,
                    "is_deleted": 1,
                }

    def events(self) -> Iterator[Row]:
        """Rows of the entity `event`: what was declined."""
        for row in self._declined():
            instant, person = _end(row)
            yield event_row(
                "lead_deleted",
                ("lead", INCOMING_LEADS + row["ID"]),
                instant,
                _OF_DECLINED + row["ID"],
                person,
            )

    def _declined(self) -> list[Any]:
        return self._source.query("select * from lead where STATUS_SEMANTIC_ID = 'F' order by ID")

    def _item(self, row: Any, lead_id: int, contact_id: int | None, category: int) -> Row:
        kind = _category(row)
        return {
            "uid": hashlib.sha256(f"lead {row['ID']}".encode()).hexdigest()[:37],
            "source_uid": None,
            "source_name": self._sources.get(row["SOURCE_ID"], row["SOURCE_ID"]),
            "category": kind,
            "pipeline_id": PIPELINE_BASE + category,
            "created_at": row["DATE_CREATE"],
            "metadata": self._metadata(kind, row),
            "lead_id": lead_id,
            "contact_id": contact_id,
            "company_id": row["COMPANY_ID"] or None,
        }

    def _metadata(self, kind: str, row: Any) -> Row:
        """What the vendor's page names for a category, as far as the portal knows it."""
        came_at = row["DATE_CREATE"] // _SECOND
        name = " ".join(part for part in (row["NAME"], row["LAST_NAME"]) if part)
        phone, e_mail = _first(row["PHONE"]), _first(row["EMAIL"])
        if kind == "sip":
            return {
                "from": phone,
                "phone": None,
                "called_at": came_at,
                "duration": "0",
                "link": None,
                "service_code": None,
            }
        if kind == "chats":
            return {
                "from": name,
                "to": None,
                "received_at": came_at,
                "service": "chat",
                "client": {"name": name, "avatar": None},
                "origin": {"chat_id": str(row["ID"]), "ref": None, "visitor_uid": None},
                "last_message_text": None,
                "source_name": self._sources.get(row["SOURCE_ID"]),
            }
        if kind == "mail":
            return {
                "from": {"email": e_mail, "name": name},
                "received_at": came_at,
                "subject": row["TITLE"],
                "thread_id": str(row["ID"]),
                "message_id": row["ID"],
                "content_summary": None,
            }
        return {
            "form_id": row["SOURCE_ID"],
            "form_name": row["TITLE"],
            "form_page": None,
            "ip": None,
            "form_sent_at": came_at,
            "referer": row["UTM_SOURCE"],
            "visitor_uid": None,
        }


def _category(row: Any) -> str:
    """How a request came in: by chat, by telephone, by a form of the site, else by e-mail."""
    if row["HAS_IMOL"]:
        return "chats"
    if row["SOURCE_ID"] == "CALL":
        return "sip"
    return "mail" if row["HAS_EMAIL"] and row["SOURCE_ID"] != "WEB" else "forms"


def _end(row: Any) -> tuple[int, int]:
    """When a request was declined, and by whom."""
    instant = row["DATE_CLOSED"] or row["MOVED_TIME"] or row["DATE_MODIFY"] or row["DATE_CREATE"]
    return instant, row["MOVED_BY_ID"] or 0


def _first(channels: str | None) -> str | None:
    """The first telephone number or e-mail address."""
    found = json.loads(channels or "[]")
    return found[0]["VALUE"] if found else None
