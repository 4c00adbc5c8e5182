"""The invented company, or a replay, as amoCRM would hold it.

What has a counterpart:

* deals: leads with the same ids; `closed_at` is the last move to 142 or 143, the price whole
  units, recurring templates are left out
* deal pipelines and stages: pipelines and statuses, success 142, the first stage of failure 143;
  a further stage of failure is 143 too, with its name as the loss reason
* stage history: `lead_added`, `lead_status_changed`, the first stage in the first `value_before`.
  The last move is by the deal's last mover, the others, of which Bitrix24 knows no actor, by the
  present owner
* users: with the same ids, `rights.is_active`; departments: user groups
* contacts, companies: with the same ids, phones and e-mails as PHONE and EMAIL
* fields of the company's own, SOURCE, UTM marks: custom fields; a deal of a returning customer
  gets a tag
* products and the rows of deals: a catalog of products and `catalog_elements` with quantities
* calls: a note on every card they are bound to, and an event each; `params.uniq` is the
  id that the telephony has registered, else the call id
* tasks, to-dos and meetings: tasks; deadlines and owners that moved, completion: events on them.
  A task without deadline, which amoCRM does not know, has none here either
* comments: common notes; e-mails: `amomail_message` notes; chats: events of messages
* leads: incoming ones. One in work is unsorted, with an id that no lead has; one that became a
  deal lately was accepted and names that deal's lead; a failed one was declined: an event of a
  deleted lead, which stands in the recycle bin if it is recent (see `conversion_incoming`)
* the contact and the company of a deal: events of links, at the earliest possible instant
* a stage that no dictionary names any more: a status id that only events and leads name; a
  pipeline likewise: an archived one, with the statuses that every pipeline has
* in the invented company some changes of contacts are told as merges

What has none: Bitrix24's leads' own stages with their history, calls, tasks and comments, invoices
and smart processes, currencies (a price keeps its number) and discounts, planned dates, calls by
unknown numbers and informational ones.

What an account could have and this one has not, since the portal knows nothing of it and reports
of both systems would differ: changes of a lead's owner (only the present one is known; a robot that
created a deal never owned it), an archived pipeline that no deal was in, users who were removed,
deleted contacts and companies.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

from sources.demo.amocrm.conversion_clients import Clients, full_name
from sources.demo.amocrm.conversion_fields import CustomFields
from sources.demo.amocrm.conversion_incoming import Incoming
from sources.demo.amocrm.conversion_stages import History, Stage, Stages, reason_id
from sources.demo.amocrm.conversion_work import Work, event_row
from sources.demo.amocrm.store import LOST_ID, WON_ID, AmoStore, lead_status
from sources.demo.record_store import to_microseconds
from sources.demo.store import PortalStore

ACCOUNT_ID = 30_000_001
PRODUCTS_ID = 1
RETURNING_TAG = {"id": 1, "name": "Повторный клиент"}
_ADDED, _MOVED, _MOVED_AT_LAST = (kind << 40 for kind in (1, 2, 3))
"""Events of one millisecond are in this order."""


def write_amo_store(source: PortalStore, path: Path) -> None:
    """Write an amoCRM account with what a Bitrix24 portal holds.

    The same record always gets the same id, also from a source that has grown since.

    Args:
        source: a portal's store, of the generator or of a replay.
        path: the file to write; it must not exist.

    Raises:
        FileExistsError: there is a file already.
    """
    if path.exists():
        raise FileExistsError(f"{path} is there already; remove it or take another path")
    with AmoStore(path) as store:
        store.create()
        _Conversion(source, store).run()
        store.finish()
        for row in source.query("select key, value from meta"):
            store.set_meta(row["key"], json.loads(row["value"]))


class _Conversion:
    def __init__(self, source: PortalStore, store: AmoStore) -> None:
        self.source = source
        self.store = store
        self.fields = CustomFields(source)
        self.stages = Stages(source)
        self.groups = {
            row["ID"]: _first(json.loads(row["UF_DEPARTMENT"] or "[]"))
            for row in source.query("select ID, UF_DEPARTMENT from user")
        }
        self.work = Work(source, self.groups)
        self.clients = Clients(source, self.fields, self.work)
        self.incoming = Incoming(source, self.work, self.stages.main)
        self.elements = self._product_rows()

    def run(self) -> None:
        """Write everything."""
        insert = self.store.insert
        histories = {history.lead_id: history for history in self.stages.histories()}
        deals = self.source.query("select * from deal where coalesce(IS_RECURRING, 0) = 0")
        insert("account", [self._account()])
        insert("user_group", self._user_groups())
        insert("user", self._users())
        insert("lead", (self._lead(deal, histories.get(deal["ID"])) for deal in deals))
        insert(
            "event", (e for deal in deals for e in self._events(deal, histories.get(deal["ID"])))
        )
        insert("event", self.clients.links(deals))
        insert("contact", self.clients.contacts())
        insert("company", self.clients.companies())
        insert("event", self.clients.merges())
        insert("unsorted", self.incoming.unsorted())
        insert("lead", self.incoming.binned_leads())
        insert("event", self.incoming.events())
        insert("pipeline", self.stages.pipeline_rows())
        insert("status", self.stages.status_rows())
        insert("loss_reason", self.stages.loss_reason_rows(self._began))
        insert("custom_field", self.fields.definitions())
        insert("tag", [{**RETURNING_TAG, "entity_type": "leads"}])
        insert("catalog", [self._catalog()])
        insert("catalog_element", self._products())
        insert("task", self.work.tasks())
        insert("note", self.work.notes())
        insert("event", self.work.events())

    @property
    def _began(self) -> int:
        """When the account was opened: before its first user, or now."""
        (row,) = self.source.query("select min(DATE_REGISTER) from user")
        return int(row[0]) if row[0] is not None else to_microseconds(self.source.clock)

    def _account(self) -> dict[str, Any]:
        minutes = self.source.utc_offset
        sign, hours, rest = "-" if minutes < 0 else "+", *divmod(abs(minutes), 60)
        currencies = self.source.query(
            "select CURRENCY_ID from deal where CURRENCY_ID is not null "
            "group by 1 order by count(*) desc, 1 limit 1"
        )
        return {
            "id": ACCOUNT_ID,
            "name": self.source.meta("title", "Demo"),
            "subdomain": "demo",
            "created_at": self._began,
            "created_by": 1,
            "updated_at": self._began,
            "updated_by": 1,
            "current_user_id": 1,
            "country": "RU",
            "currency": currencies[0][0] if currencies else "RUB",
            "customers_mode": "disabled",
            "is_unsorted_on": 1,
            "is_loss_reason_enabled": 1,
            "timezone": "Europe/Moscow" if minutes == 180 else "UTC",
            "timezone_offset": f"{sign}{hours:02}:{rest:02}",
        }

    def _user_groups(self) -> Iterator[dict[str, Any]]:
        for row in self.source.query("select ID, NAME from department"):
            yield {"id": row["ID"], "name": row["NAME"]}

    def _users(self) -> Iterator[dict[str, Any]]:
        for place, row in enumerate(self.source.query("select * from user order by ID")):
            yield {
                "id": row["ID"],
                "name": full_name(row["NAME"], row["LAST_NAME"]),
                "email": row["EMAIL"],
                "lang": "ru",
                "is_admin": place == 0,
                "is_free": 0,
                "is_active": row["ACTIVE"] if row["ACTIVE"] is not None else 1,
                "group_id": self.groups[row["ID"]],
            }

    def _lead(self, deal: Any, history: History | None) -> dict[str, Any]:
        stage = self._stage(deal)
        authorship = self.work.authorship(deal)
        # A move changes a lead, also one that Bitrix24 doesn't count as a change.
        moved_at = [move.moved_at for move in history.moves] if history is not None else []
        authorship["updated_at"] = max(
            authorship["updated_at"], deal["MOVED_TIME"] or 0, *moved_at[-1:]
        )
        return {
            "id": deal["ID"],
            "name": deal["TITLE"],
            "price": _whole(deal["OPPORTUNITY"]),
            **authorship,
            "status_id": stage.status_id,
            "pipeline_id": stage.pipeline_id,
            "loss_reason_id": reason_id(stage.reason) if stage.reason else None,
            "closed_at": self._closed_at(deal, stage, history),
            "closest_task_at": self.work.closest_task_at("leads", deal["ID"]),
            "is_deleted": 0,
            "custom_fields_values": self.fields.values("deal", dict(deal)),
            "is_price_modified_by_robot": 0,
            "tags": [RETURNING_TAG] if deal["IS_RETURN_CUSTOMER"] else [],
            "contacts": [{"id": deal["CONTACT_ID"], "is_main": True}] if deal["CONTACT_ID"] else [],
            "company_id": deal["COMPANY_ID"] or None,
            "catalog_elements": self.elements.get(deal["ID"], []),
        }

    def _stage(self, deal: Any) -> Stage:
        return self.stages.stage(deal["CATEGORY_ID"], deal["STAGE_ID"], deal["STAGE_SEMANTIC_ID"])

    def _closed_at(self, deal: Any, stage: Stage, history: History | None) -> int | None:
        if stage.status_id not in (WON_ID, LOST_ID):
            return None
        instant: int = deal["MOVED_TIME"] or deal["DATE_CREATE"]
        if history is None or history.last.key != stage.key:
            return instant
        return history.moves[-1].moved_at if history.moves else deal["DATE_CREATE"] or instant

    def _events(self, deal: Any, history: History | None) -> Iterator[dict[str, Any]]:
        lead_id, owner, mover = deal["ID"], deal["ASSIGNED_BY_ID"] or 0, deal["MOVED_BY_ID"]
        card = ("lead", lead_id)
        yield event_row(
            "lead_added", card, deal["DATE_CREATE"], _ADDED + lead_id, deal["CREATED_BY_ID"]
        )
        moves = history.moves if history is not None else ()
        stage, last = self._stage(deal), history.last if history is not None else None
        is_behind = last is not None and last.key != stage.key
        for place, move in enumerate(moves, start=1):
            is_last = place == len(moves) and not is_behind
            yield event_row(
                "lead_status_changed",
                card,
                move.moved_at,
                _MOVED + move.number,
                mover if is_last and mover is not None else owner,
                before=_stage_value(move.before),
                after=_stage_value(move.after),
            )
        if last is not None and is_behind:
            # The history ends before the stage on which the deal stands.
            times = (deal["MOVED_TIME"] or 0, deal["DATE_CREATE"], *(m.moved_at for m in moves))
            yield event_row(
                "lead_status_changed",
                card,
                max(times),
                _MOVED_AT_LAST + lead_id,
                owner if mover is None else mover,
                before=_stage_value(last),
                after=_stage_value(stage),
            )

    def _catalog(self) -> dict[str, Any]:
        return {
            "id": PRODUCTS_ID,
            "name": "Товары",
            "created_by": 1,
            "updated_by": 1,
            "created_at": self._began,
            "updated_at": self._began,
            "sort": 10,
            "type": "products",
            "can_add_elements": 1,
            "can_show_in_cards": 0,
            "can_link_multiple": 1,
            "can_be_deleted": 0,
        }

    def _products(self) -> Iterator[dict[str, Any]]:
        for row in self.source.query("select * from product"):
            price = {
                "field_id": 7,
                "field_name": "Цена",
                "field_code": "PRICE",
                "field_type": "price",
                "values": [{"value": str(_number(row["PRICE"]))}],
            }
            yield {
                "id": row["ID"],
                "catalog_id": PRODUCTS_ID,
                "name": row["NAME"],
                "created_by": row["CREATED_BY"] or 0,
                "updated_by": row["MODIFIED_BY"] or 0,
                "created_at": row["DATE_CREATE"],
                "updated_at": row["TIMESTAMP_X"],
                "is_deleted": 0,
                "custom_fields_values": None if row["PRICE"] is None else [price],
            }

    def _product_rows(self) -> dict[int, list[dict[str, Any]]]:
        """By deal; several rows of one product are one element."""
        quantities: dict[int, dict[int, Decimal]] = {}
        for row in self.source.query(
            "select OWNER_ID, PRODUCT_ID, QUANTITY from product_row "
            "where OWNER_TYPE = 'D' and PRODUCT_ID in (select ID from product) order by SORT, ID"
        ):
            of_deal = quantities.setdefault(row["OWNER_ID"], {})
            quantity = Decimal(row["QUANTITY"] or 1)
            of_deal[row["PRODUCT_ID"]] = of_deal.get(row["PRODUCT_ID"], Decimal(0)) + quantity
        return {
            deal_id: [
                {
                    "id": product_id,
                    "metadata": {"quantity": _number(quantity), "catalog_id": PRODUCTS_ID},
                }
                for product_id, quantity in of_deal.items()
            ]
            for deal_id, of_deal in quantities.items()
        }


def _stage_value(stage: Stage) -> list[dict[str, Any]]:
    return [lead_status(stage.status_id, stage.pipeline_id)]


def _first(values: list[Any]) -> int | None:
    return int(values[0]) if values else None


def _whole(amount: str | None) -> int:
    """Prices are whole units of money in amoCRM."""
    return int(Decimal(amount or 0).to_integral_value(ROUND_HALF_UP))


def _number(value: Any) -> int | float:
    number = Decimal(value)
    return int(number) if number == number.to_integral_value() else float(number)
