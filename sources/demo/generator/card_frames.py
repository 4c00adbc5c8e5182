"""Frames of companies, leads, invoices, requests and rows of products."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from sources.demo.generator import names
from sources.demo.generator.columns import CURRENCY, frame, linked, moments, nullable, where
from sources.demo.generator.dictionaries import (
    FIRST_PRODUCT,
    INVOICE_CATEGORY,
    INVOICE_STAGES,
    LEAD_JUNK,
    LEAD_STATUSES,
    REQUEST_STAGES,
    SMART_PROCESS_CATEGORY,
    SMART_PROCESS_TYPE_ID,
    UTM,
    Status,
    lead_fields,
    lead_fields_code,
    payments,
)
from sources.demo.generator.ids import IdSpace, Spaces
from sources.demo.generator.pipelines import SOURCE_IDS
from sources.demo.generator.records import CALL_SOURCE, Items, Plan, Steps
from sources.demo.generator.rhythm import DAY, to_microseconds
from sources.demo.generator.streams import stream

_JUNK_REASONS = ("Спам", "Дубль заявки", "Ошиблись номером", "Не наш профиль", "Ищет работу", None)
_SERVICE_LINES = ("Монтаж вентиляции", "Проект вентиляции", "Доставка", "Пусконаладка")
_GOODS, _SERVICE = 1, 7
"""Types of rows of products (vendor's page crm.item.productrow)."""


class CardWriter:
    """Builds the frames of cards beside contacts and deals."""

    def __init__(self, plan: Plan, spaces: Spaces) -> None:
        self._plan = plan
        self._spaces = spaces
        self._lead_fields = lead_fields()

    def companies(self, number: int, rows: slice) -> pd.DataFrame:
        """The companies that this period's contacts name: each contact has its own."""
        contacts = self._plan.contacts
        seed, clock = self._plan.setting.seed, self._plan.setting.clock
        rng = stream(seed, "company texts", number)
        chosen = np.arange(rows.start, rows.stop)[contacts.company[rows] > 0]
        count = len(chosen)
        ids = contacts.company[chosen]
        created = contacts.created[chosen] - rng.integers(0, 2, size=count)
        owner = contacts.owner[chosen]
        modified = created + (
            rng.exponential(30 * DAY, size=count) * (rng.random(count) < 0.4)
        ).astype(np.int64)
        phones = names.multi_field(
            2 * ids + 1,
            names.print_phones(
                names.spread_number(names.COMPANY_PLACES + chosen),
                rng.integers(0, names.PHONE_FORMATS, size=count),
            ),
            "PHONE",
        )
        e_mails = names.multi_field(
            2 * ids, names.join("office", names.as_text(ids), "@example.com"), "EMAIL"
        )
        return frame(
            "company",
            {
                "ID": ids,
                "TITLE": names.join(
                    names.pick(names.FIRM_FORMS, rng.integers(0, len(names.FIRM_FORMS), count)),
                    " «",
                    names.pick(names.FIRM_WORDS, rng.integers(0, len(names.FIRM_WORDS), count)),
                    "-",
                    names.as_text(ids),
                    "»",
                ),
                "COMPANY_TYPE": "CUSTOMER",
                "INDUSTRY": names.pick(
                    names.INDUSTRIES, rng.integers(0, len(names.INDUSTRIES), count)
                ),
                "ASSIGNED_BY_ID": owner,
                "CREATED_BY_ID": owner,
                "MODIFY_BY_ID": owner,
                "DATE_CREATE": to_microseconds(created),
                "DATE_MODIFY": to_microseconds(np.minimum(modified, clock - 60)),
                "PHONE": where(rng.random(count) < 0.85, names.join("[", phones, "]"), "[]"),
                "EMAIL": where(rng.random(count) < 0.7, names.join("[", e_mails, "]"), "[]"),
                "CUSTOM": "{}",
            },
            count,
        )

    def leads(self, number: int, rows: slice) -> pd.DataFrame:
        """Leads of one period."""
        leads, contacts = self._plan.leads, self._plan.contacts
        count = rows.stop - rows.start
        rng = stream(self._plan.setting.seed, "lead texts", number)
        ids = self._spaces.lead.own(np.arange(rows.start, rows.stop))
        status, contact = leads.status[rows], leads.contact[rows]
        by_call = leads.source[rows] == CALL_SOURCE
        company = np.where(contact >= 0, contacts.company[contact], 0)
        utm = leads.utm[rows]
        contents, terms = adverts(utm, leads.advert[rows])
        phones = names.multi_field(
            4 * ids + 1,
            names.print_phones(
                leads.number[rows], rng.integers(0, names.PHONE_FORMATS, size=count)
            ),
            "PHONE",
        )
        e_mails = names.multi_field(
            4 * ids + 3, names.join("request", names.as_text(ids), "@example.com"), "EMAIL"
        )
        owner, moved = leads.owner[rows], leads.moved[rows]
        has_e_mail = leads.has_e_mail[rows]
        # Who only called has no name yet; who wrote a form often leaves the first one.
        is_named = (contact >= 0) | (rng.random(count) < np.where(by_call, 0.45, 0.95))
        is_full = (contact >= 0) | (rng.random(count) < 0.4)
        reason = rng.integers(0, len(_JUNK_REASONS), size=count)
        return frame(
            "lead",
            {
                "ID": ids,
                "TITLE": names.join(
                    where(by_call, pa.repeat("Звонок: ", count), "Заявка с сайта: "),
                    names.pick([item.name for item in names.PRODUCTS], leads.product[rows]),
                    " № ",
                    names.as_text(ids),
                ),
                "NAME": where(is_named, names.pick(names.GIVEN_NAMES, leads.given[rows])),
                "LAST_NAME": where(
                    is_named & is_full, names.pick(names.SURNAMES, leads.surname[rows])
                ),
                "COMPANY_ID": nullable(company),
                "CONTACT_ID": linked(self._spaces.contact.own(contact), contact),
                "IS_RETURN_CUSTOMER": leads.is_return[rows].astype(np.int64),
                "SOURCE_ID": names.pick(SOURCE_IDS, leads.source[rows]),
                "STATUS_ID": names.pick([item.status_id for item in LEAD_STATUSES], status),
                "STATUS_SEMANTIC_ID": names.pick(_semantics(LEAD_STATUSES), status),
                "STATUS_DESCRIPTION": where(status == LEAD_JUNK, names.pick(_JUNK_REASONS, reason)),
                "CURRENCY_ID": CURRENCY,
                "OPPORTUNITY": names.join(names.as_text(leads.amount[rows]), ".00"),
                "IS_MANUAL_OPPORTUNITY": 0,
                "HAS_PHONE": 1,
                "HAS_EMAIL": has_e_mail.astype(np.int64),
                "HAS_IMOL": leads.has_chat[rows].astype(np.int64),
                "OPENED": 1,
                "ASSIGNED_BY_ID": owner,
                "CREATED_BY_ID": leads.creator[rows],
                "MODIFY_BY_ID": np.where(leads.modified[rows] > moved, owner, leads.mover[rows]),
                "MOVED_BY_ID": leads.mover[rows],
                "DATE_CREATE": to_microseconds(leads.created[rows]),
                "DATE_MODIFY": to_microseconds(leads.modified[rows]),
                "DATE_CLOSED": moments(leads.closed[rows]),
                "MOVED_TIME": to_microseconds(moved),
                "UTM_SOURCE": names.pick([item.source for item in UTM], utm),
                "UTM_MEDIUM": names.pick([item.medium for item in UTM], utm),
                "UTM_CAMPAIGN": names.pick([item.campaign for item in UTM], utm),
                "UTM_CONTENT": contents,
                "UTM_TERM": terms,
                "LAST_ACTIVITY_TIME": to_microseconds(moved),
                "LAST_ACTIVITY_BY": owner,
                "PHONE": names.join("[", phones, "]"),
                "EMAIL": where(has_e_mail, names.join("[", e_mails, "]"), "[]"),
                "CUSTOM": names.pick(
                    self._lead_fields, lead_fields_code(leads.region[rows], leads.interest[rows])
                ),
            },
            count,
        )

    def lead_history(self, rows: slice) -> pd.DataFrame:
        """Moves of leads in one period."""
        steps = self._plan.lead_steps
        return frame(
            "lead_stage_history",
            _history(rows, steps, self._spaces.lead, self._spaces.lead_stage_history)
            | {
                "STATUS_SEMANTIC_ID": names.pick(_semantics(LEAD_STATUSES), steps.stage[rows]),
                "STATUS_ID": names.pick(
                    [item.status_id for item in LEAD_STATUSES], steps.stage[rows]
                ),
            },
            rows.stop - rows.start,
        )

    def invoices(self, rows: slice) -> pd.DataFrame:
        """Smart invoices of one period."""
        ids = self._spaces.invoice.own(np.arange(rows.start, rows.stop))
        serial = names.as_text(np.arange(rows.start, rows.stop) + 1)
        columns = self._items(rows, self._plan.invoices, INVOICE_STAGES)
        return frame(
            "invoice",
            columns
            | {
                "ID": ids,
                "TITLE": names.join("Счёт № ", serial),
                "ACCOUNT_NUMBER": serial,
                "CATEGORY_ID": INVOICE_CATEGORY,
                "CUSTOM": payments(ids),
            },
            rows.stop - rows.start,
        )

    def invoice_history(self, rows: slice) -> pd.DataFrame:
        """Moves of invoices in one period."""
        steps = self._plan.invoice_steps
        return frame(
            "invoice_stage_history",
            _history(rows, steps, self._spaces.invoice, self._spaces.invoice_stage_history)
            | {
                "CATEGORY_ID": INVOICE_CATEGORY,
                "STAGE_SEMANTIC_ID": names.pick(_semantics(INVOICE_STAGES), steps.stage[rows]),
                "STAGE_ID": names.pick(
                    [item.status_id for item in INVOICE_STAGES], steps.stage[rows]
                ),
            },
            rows.stop - rows.start,
        )

    def requests(self, rows: slice) -> pd.DataFrame:
        """Items of the smart process of one period."""
        ids = self._spaces.smart_item.own(np.arange(rows.start, rows.stop))
        columns = self._items(rows, self._plan.requests, REQUEST_STAGES)
        return frame(
            "smart_item",
            columns
            | {
                "ID": ids,
                "ENTITY_TYPE_ID": SMART_PROCESS_TYPE_ID,
                "TITLE": names.join("Монтаж № ", names.as_text(ids)),
                "CATEGORY_ID": SMART_PROCESS_CATEGORY,
            },
            rows.stop - rows.start,
        )

    def _items(self, rows: slice, items: Items, stages: tuple[Status, ...]) -> dict[str, Any]:
        """What invoices and items of smart processes have in common."""
        deals, contacts = self._plan.deals, self._plan.contacts
        deal, stage, before = items.deal[rows], items.stage[rows], items.stage_before[rows]
        created, moved = items.created[rows], items.moved[rows]
        contact = deals.contact[deal]
        stage_ids = [item.status_id for item in stages]
        return {
            "STAGE_ID": names.pick(stage_ids, stage),
            "PREVIOUS_STAGE_ID": where(before >= 0, names.pick(stage_ids, np.maximum(before, 0))),
            "OPPORTUNITY": names.join(names.as_text(items.amount[rows]), ".00"),
            "IS_MANUAL_OPPORTUNITY": 1,
            "TAX_VALUE": "0.00",
            "CURRENCY_ID": CURRENCY,
            "COMPANY_ID": nullable(contacts.company[contact]),
            "CONTACT_ID": self._spaces.contact.own(contact),
            "PARENT_ID_2": self._spaces.deal.own(deal),
            "BEGINDATE": to_microseconds(created - created % DAY),
            "CLOSEDATE": to_microseconds(items.due[rows]),
            "OPENED": 1,
            "ASSIGNED_BY_ID": items.creator[rows],
            "CREATED_BY": items.creator[rows],
            "UPDATED_BY": items.mover[rows],
            "MOVED_BY": items.mover[rows],
            "CREATED_TIME": to_microseconds(created),
            "UPDATED_TIME": to_microseconds(moved),
            "MOVED_TIME": to_microseconds(moved),
            "LAST_ACTIVITY_TIME": to_microseconds(created),
            "LAST_ACTIVITY_BY": items.creator[rows],
            "CUSTOM": "{}",
        }

    def product_rows(self, rows: slice) -> pd.DataFrame:
        """Rows of products of the deals of one period."""
        lines = self._plan.product_lines
        ids = self._spaces.product_row.own(np.arange(rows.start, rows.stop))
        product, discount = lines.product[rows], lines.discount[rows]
        sold = [item.name for item in (*names.PRODUCTS, *names.ACCESSORIES)]
        types = np.array([_SERVICE if name in _SERVICE_LINES else _GOODS for name in sold])
        units = [None if name in _SERVICE_LINES else "шт" for name in sold]
        full = _kopecks(lines.full_price[rows])
        return frame(
            "product_row",
            {
                "ID": ids,
                "OWNER_TYPE": "D",
                "OWNER_ID": self._spaces.deal.own(lines.deal[rows]),
                "PRODUCT_ID": FIRST_PRODUCT + product.astype(np.int64),
                "PRODUCT_NAME": names.pick(sold, product),
                "PRICE": _kopecks(lines.price[rows]),
                "PRICE_NETTO": full,
                "PRICE_BRUTTO": full,
                "QUANTITY": names.join(names.as_text(lines.quantity[rows]), ".0000"),
                "DISCOUNT_TYPE_ID": 2,
                "DISCOUNT_RATE": names.join(names.as_text(discount), ".00"),
                "DISCOUNT_SUM": _kopecks(lines.full_price[rows] - lines.price[rows]),
                "TAX_INCLUDED": 0,
                "MEASURE_CODE": 796,
                "MEASURE_NAME": pc.coalesce(names.pick(units, product), pa.scalar("усл")),
                "SORT": 10 * (lines.place[rows].astype(np.int64) + 1),
                "TYPE": types[product],
            },
            rows.stop - rows.start,
        )


def adverts(utm: npt.NDArray[Any], advert: npt.NDArray[Any]) -> tuple[pa.Array, pa.Array]:
    """UTM_CONTENT and UTM_TERM of a campaign's variants."""
    code = utm.astype(np.int64) * len(UTM[0].contents) + advert
    return (
        names.pick([content for item in UTM for content in item.contents], code),
        names.pick([term for item in UTM for term in item.terms], code),
    )


def _history(rows: slice, steps: Steps, owners: IdSpace, own: IdSpace) -> dict[str, Any]:
    return {
        "ID": own.own(np.arange(rows.start, rows.stop)),
        "TYPE_ID": steps.kind[rows],
        "OWNER_ID": owners.own(steps.owner[rows]),
        "CREATED_TIME": to_microseconds(steps.entered[rows]),
    }


def _semantics(statuses: tuple[Status, ...]) -> list[str]:
    return [status.semantics for status in statuses]


def _kopecks(amounts: npt.NDArray[np.int64]) -> pa.Array:
    """Amounts in kopecks as roubles with two decimals."""
    return names.join(
        names.as_text(amounts // 100),
        ".",
        pc.utf8_lpad(names.as_text(amounts % 100), width=2, padding="0"),
    )
