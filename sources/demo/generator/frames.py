"""From the plan's arrays to the store's columns, one period at a time."""

from __future__ import annotations

import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from sources.demo.generator import dictionaries, names, pipelines
from sources.demo.generator.card_frames import CardWriter, adverts
from sources.demo.generator.columns import (
    ARROW_TEXT,
    CONTACT_OWNER,
    CURRENCY,
    DEAL_OWNER,
    frame,
    frame_of_rows,
    nullable,
    where,
)
from sources.demo.generator.dictionaries import UTM, deal_fields, deal_fields_code
from sources.demo.generator.ids import Spaces
from sources.demo.generator.pipelines import DEAL_TYPE_OF_CATEGORY, PIPELINES, SOURCE_IDS, STAGES
from sources.demo.generator.records import (
    ACTIVITY_OF_DEAL,
    ANONYMOUS,
    ANSWERED,
    CLIENT_ONLY,
    E_MAIL,
    FAILED_CODES,
    INCOMING,
    IS_FINAL,
    MEETING,
    MISSED,
    REDIRECTED,
    Plan,
)
from sources.demo.generator.rhythm import DAY, Seconds, to_microseconds
from sources.demo.generator.streams import stream
from sources.demo.generator.work_frames import WorkWriter

RECORD_ADDRESS = "https://records.example.com/"
CALL_COST_CURRENCY = "RUR"
FAILED_REASONS: Mapping[str, str] = {
    "200": "Success call",
    "304": "Skipped call",
    "603": "Decline",
    "603-S": "Call canceled",
    "486": "Busy",
    "480": "Temporarily unavailable",
    "404": "Invalid number",
    "484": "Address incomplete",
}
CALL_APPLICATION = (12, "Интеграция телефонии")
_TASK_KINDS: tuple[tuple[int, str, str | None, str], ...] = (
    (6, "CRM_TODO", "TODO", "Связаться с клиентом"),
    (4, "CRM_EMAIL", "EMAIL", "Коммерческое предложение"),
    (1, "CRM_MEETING", "MEETING", "Встреча с клиентом"),
)


@dataclass(frozen=True)
class Chunk:
    """One period of the company, or everything of one planted trouble.

    Attributes:
        label: the period (`2026-06`) or the trouble's name.
        frames: for every entity of the store a DataFrame with exactly its columns: `Int64` for
            integers, instants (microseconds UTC) and flags, `string` for the rest.
        planted: what the trouble consists of, plain JSON values; empty for a period.
    """

    label: str
    frames: Mapping[str, pd.DataFrame]
    planted: tuple[Mapping[str, Any], ...] = field(default=())


class Writer:
    """Builds the frames of each chunk of a plan."""

    def __init__(self, plan: Plan, spaces: Spaces) -> None:
        self._plan = plan
        self._spaces = spaces
        self._cards = CardWriter(plan, spaces)
        self._work = WorkWriter(plan, spaces)
        self._deal_fields = deal_fields()
        self._stage_ids = tuple(stage.stage_id for stage in STAGES)
        self._semantics = tuple(stage.semantics for stage in STAGES)
        self._category_of_stage = np.array(
            [pipeline.category_id for pipeline in PIPELINES for _ in pipeline.stages]
        )
        self._first_stages = np.array(
            [self._stage_ids.index(pipeline.stages[0].stage_id) for pipeline in PIPELINES]
        )

    def chunk(self, number: int) -> Chunk:
        """The records that came to be in one period; dictionaries and staff with the first."""
        low, high = self._plan.setting.edges[number], self._plan.setting.edges[number + 1]
        first, last = number == 0, number == len(self._plan.setting.edges) - 2
        month = np.datetime64(int(low) // DAY, "D").astype("datetime64[M]")

        def rows(times: Seconds) -> slice:
            start = 0 if first else int(np.searchsorted(times, low))
            stop = len(times) if last else int(np.searchsorted(times, high))
            return slice(start, stop)

        plan = self._plan
        staff = plan.setting.staff
        return Chunk(
            label=str(month),
            frames={
                "category": frame_of_rows("category", _categories() if first else []),
                "status": frame_of_rows("status", _statuses() if first else []),
                "user": frame_of_rows("user", staff.users if first else []),
                "department": frame_of_rows("department", staff.departments if first else []),
                "currency": frame_of_rows(
                    "currency", dictionaries.currency_rows(int(low)) if first else []
                ),
                "custom_field": frame_of_rows(
                    "custom_field", dictionaries.custom_field_rows() if first else []
                ),
                "product": frame_of_rows(
                    "product", dictionaries.product_rows(int(low)) if first else []
                ),
                "contact": self._contacts(number, rows(plan.contacts.created)),
                "deal": self._deals(number, rows(plan.deals.created)),
                "stage_history": self._history(rows(plan.visits.entered[plan.history_order])),
                "activity": pd.concat(
                    [
                        self._activities(number, rows(plan.activity_times)),
                        self._work.traces(rows(plan.traces.created)),
                    ],
                    ignore_index=True,
                ),
                "call": self._calls(number, rows(plan.calls.start + plan.calls.seconds)),
                "company": self._cards.companies(number, rows(plan.contacts.created)),
                "lead": self._cards.leads(number, rows(plan.leads.created)),
                "lead_stage_history": self._cards.lead_history(rows(plan.lead_steps.entered)),
                "invoice": self._cards.invoices(rows(plan.invoices.created)),
                "invoice_stage_history": self._cards.invoice_history(
                    rows(plan.invoice_steps.entered)
                ),
                "smart_item": self._cards.requests(rows(plan.requests.created)),
                "product_row": self._cards.product_rows(
                    rows(plan.deals.created[plan.product_lines.deal])
                ),
                "task": self._work.tasks(rows(plan.assignments.created)),
                "task_history": self._work.task_history(rows(plan.task_events.time)),
                "timeline_comment": self._work.comments(rows(plan.comments.created)),
                "binding": self._work.bindings(rows(plan.bindings.created)),
            },
        )

    def _contacts(self, number: int, rows: slice) -> pd.DataFrame:
        contacts = self._plan.contacts
        count = rows.stop - rows.start
        rng = stream(self._plan.setting.seed, "contact texts", number)
        ids = self._spaces.contact.own(np.arange(rows.start, rows.stop))
        drawn = names.draw_names(rng, count)
        first = names.multi_field(
            4 * ids + 1,
            names.print_phones(
                contacts.number[rows], rng.integers(0, names.PHONE_FORMATS, size=count)
            ),
            "PHONE",
        )
        # The placeholder keeps ten digits where there is no second number; it is not printed.
        second_number = contacts.second[rows]
        second = names.multi_field(
            4 * ids + 2,
            names.print_phones(
                np.where(second_number > 0, second_number, names.CONTACT_NUMBERS),
                rng.integers(0, names.PHONE_FORMATS, size=count),
            ),
            "PHONE",
            "MOBILE",
        )
        phones = pc.if_else(
            pa.array(second_number > 0),
            names.join("[", first, ",", second, "]"),
            names.join("[", first, "]"),
        )
        e_mail = names.multi_field(
            4 * ids + 3, names.join("client", names.as_text(ids), "@example.com"), "EMAIL"
        )
        modified = contacts.created[rows] + (
            rng.exponential(20 * DAY, size=count) * (rng.random(count) < 0.5)
        ).astype(np.int64)
        owner = contacts.owner[rows]
        return frame(
            "contact",
            {
                "ID": ids,
                "NAME": names.pick(names.GIVEN_NAMES, drawn.given),
                "LAST_NAME": names.pick(names.SURNAMES, drawn.surname),
                "SECOND_NAME": where(
                    rng.random(count) < 0.4, names.pick(names.PATRONYMICS, drawn.patronymic)
                ),
                "COMPANY_ID": nullable(contacts.company[rows]),
                "SOURCE_ID": names.pick(SOURCE_IDS, contacts.source[rows]),
                "ASSIGNED_BY_ID": owner,
                "CREATED_BY_ID": owner,
                "MODIFY_BY_ID": owner,
                "DATE_CREATE": to_microseconds(contacts.created[rows]),
                "DATE_MODIFY": to_microseconds(np.minimum(modified, self._plan.setting.clock - 60)),
                "PHONE": phones,
                "EMAIL": pc.if_else(
                    pa.array(rng.random(count) < 0.6), names.join("[", e_mail, "]"), "[]"
                ),
                "CUSTOM": "{}",
            },
            count,
        )

    def _deals(self, number: int, rows: slice) -> pd.DataFrame:
        deals = self._plan.deals
        contacts = self._plan.contacts
        count = rows.stop - rows.start
        ids = self._spaces.deal.own(np.arange(rows.start, rows.stop))
        created, moved = deals.created[rows], deals.moved[rows]
        stage, contact = deals.stage[rows], deals.contact[rows]
        owner, mover = deals.owner[rows], deals.mover[rows]
        is_closed = IS_FINAL[stage]
        modified, utm = deals.modified[rows], deals.utm[rows]
        product, lead = deals.product[rows], deals.lead[rows]
        contents, terms = adverts(utm, deals.advert[rows])
        return frame(
            "deal",
            {
                "ID": ids,
                "TITLE": names.join(
                    names.pick([item.name for item in names.PRODUCTS], product),
                    " № ",
                    names.as_text(ids),
                ),
                "TYPE_ID": names.pick(DEAL_TYPE_OF_CATEGORY, deals.category[rows]),
                "CATEGORY_ID": deals.category[rows],
                "STAGE_ID": names.pick(self._stage_ids, stage),
                "STAGE_SEMANTIC_ID": names.pick(self._semantics, stage),
                "IS_NEW": (stage == self._first_stages[deals.category[rows]]).astype(np.int64),
                "IS_RECURRING": 0,
                "IS_RETURN_CUSTOMER": deals.is_repeat[rows].astype(np.int64),
                "CURRENCY_ID": CURRENCY,
                "OPPORTUNITY": names.join(names.as_text(deals.amount[rows]), ".00"),
                "IS_MANUAL_OPPORTUNITY": 1,
                "LEAD_ID": pa.array(self._spaces.lead.own(lead), mask=lead < 0),
                "COMPANY_ID": nullable(contacts.company[contact]),
                "CONTACT_ID": self._spaces.contact.own(contact),
                "BEGINDATE": to_microseconds(created - created % DAY),
                "CLOSEDATE": to_microseconds(deals.planned[rows]),
                "OPENED": 1,
                "CLOSED": is_closed.astype(np.int64),
                "ASSIGNED_BY_ID": owner,
                "CREATED_BY_ID": deals.creator[rows],
                "MODIFY_BY_ID": np.where(modified > moved, owner, mover),
                "MOVED_BY_ID": mover,
                "DATE_CREATE": to_microseconds(created),
                "DATE_MODIFY": to_microseconds(modified),
                "MOVED_TIME": to_microseconds(moved),
                "SOURCE_ID": names.pick(SOURCE_IDS, deals.source[rows]),
                "UTM_SOURCE": names.pick([item.source for item in UTM], utm),
                "UTM_MEDIUM": names.pick([item.medium for item in UTM], utm),
                "UTM_CAMPAIGN": names.pick([item.campaign for item in UTM], utm),
                "UTM_CONTENT": contents,
                "UTM_TERM": terms,
                "LAST_ACTIVITY_TIME": to_microseconds(deals.last_activity[rows]),
                "LAST_ACTIVITY_BY": owner,
                "CUSTOM": names.pick(
                    self._deal_fields,
                    deal_fields_code(
                        product, deals.grade[rows], deals.region[rows], deals.interest[rows]
                    ),
                ),
            },
            count,
        )

    def _history(self, rows: slice) -> pd.DataFrame:
        visits = self._plan.visits
        chosen = self._plan.history_order[rows]
        stage = visits.stage[chosen]
        return frame(
            "stage_history",
            {
                "ID": self._spaces.stage_history.own(np.arange(rows.start, rows.stop)),
                "TYPE_ID": visits.kind[chosen],
                "OWNER_ID": self._spaces.deal.own(visits.deal[chosen]),
                "CREATED_TIME": to_microseconds(visits.entered[chosen]),
                "CATEGORY_ID": self._category_of_stage[stage],
                "STAGE_SEMANTIC_ID": names.pick(self._semantics, stage),
                "STAGE_ID": names.pick(self._stage_ids, stage),
            },
            rows.stop - rows.start,
        )

    def _calls(self, number: int, rows: slice) -> pd.DataFrame:
        plan, calls = self._plan, self._plan.calls
        count = rows.stop - rows.start
        rng = stream(plan.setting.seed, "call texts", number)
        ids = self._spaces.call.own(np.arange(rows.start, rows.stop))
        start, code = calls.start[rows], calls.code[rows]
        contact, binding = calls.contact[rows], calls.binding[rows]
        named = binding >= CLIENT_ONLY
        by_company = named & calls.names_company[rows]
        client = np.where(
            by_company,
            plan.contacts.company[contact],
            self._spaces.contact.own(contact),
        )
        activity = plan.call_activity[rows]
        seconds = calls.seconds[rows].astype(np.int64)
        cost = np.where(code == ANSWERED, -(-seconds // 60) * 2, 0)
        return frame(
            "call",
            {
                "ID": ids,
                "PORTAL_USER_ID": calls.talker[rows],
                "PORTAL_NUMBER": names.pick([*names.LINES, names.LINES[0]], calls.category[rows]),
                "PHONE_NUMBER": where(
                    calls.number[rows] != ANONYMOUS,
                    names.print_caller_ids(
                        np.where(
                            calls.number[rows] == ANONYMOUS,
                            names.STRANGER_NUMBERS,
                            calls.number[rows],
                        ),
                        rng.integers(0, names.CALLER_FORMATS, size=count),
                    ),
                    "",
                ),
                "CALL_ID": self._call_ids(np.arange(rows.start, rows.stop)),
                "EXTERNAL_CALL_ID": names.join(
                    names.as_text(_epoch(start)), ".", names.as_text(ids)
                ),
                "CALL_CATEGORY": "external",
                "CALL_DURATION": seconds,
                "CALL_START_DATE": to_microseconds(start),
                "CALL_RECORD_URL": where(
                    seconds >= 5, names.join(RECORD_ADDRESS, names.as_text(ids), ".mp3")
                ),
                "COST": names.join(names.as_text(cost), ".0000"),
                "COST_CURRENCY": CALL_COST_CURRENCY,
                "CALL_FAILED_CODE": names.pick(FAILED_CODES, code),
                "CALL_FAILED_REASON": names.pick(
                    [FAILED_REASONS[code] for code in FAILED_CODES], code
                ),
                "CRM_ENTITY_TYPE": where(
                    named, pc.if_else(pa.array(by_company), "COMPANY", "CONTACT")
                ),
                "CRM_ENTITY_ID": pa.array(client, mask=~named),
                "CRM_ACTIVITY_ID": pa.array(self._spaces.activity.own(activity), mask=activity < 0),
                "REST_APP_ID": CALL_APPLICATION[0],
                "REST_APP_NAME": CALL_APPLICATION[1],
                "CALL_TYPE": calls.kind[rows],
            },
            count,
        )

    def _activities(self, number: int, rows: slice) -> pd.DataFrame:
        plan, calls, tasks = self._plan, self._plan.calls, self._plan.tasks
        count = rows.stop - rows.start
        source = plan.activity_order[rows]
        is_call = source < len(plan.activity_calls)
        call = plan.activity_calls[np.where(is_call, source, 0)]
        task = np.where(is_call, 0, source - len(plan.activity_calls))
        # A missed call waits to be dealt with; half of them are ticked off sooner or later.
        ticked = stream(plan.setting.seed, "activity texts", number).random(count) < 0.5
        kind = tasks.kind[task]
        incoming = np.isin(calls.kind[call], (INCOMING, REDIRECTED))
        missed = calls.code[call] == MISSED
        done = np.where(is_call, ~missed | ticked, tasks.is_done[task])
        created = np.where(is_call, calls.start[call], tasks.created[task])
        ended = np.where(is_call, calls.start[call] + calls.seconds[call], tasks.deadline[task])
        of_deal = np.where(is_call, calls.binding[call] == ACTIVITY_OF_DEAL, True)
        deal = np.where(is_call, calls.deal[call], tasks.deal[task])
        client = calls.contact[call]
        responsible = np.where(is_call, calls.talker[call], plan.deals.owner[deal])
        task_texts = [*_TASK_KINDS, (2, "VOXIMPLANT_CALL", "CALL", "")]
        which = np.where(is_call, len(_TASK_KINDS), kind)
        subject = pc.if_else(
            pa.array(is_call),
            pc.if_else(pa.array(incoming), "Входящий звонок", "Исходящий звонок"),
            names.pick([text[3] for text in task_texts], which),
        )
        call_key = names.join("VI_", self._call_ids(call))
        begins = np.where(is_call | (kind == E_MAIL), created, tasks.deadline[task])
        return frame(
            "activity",
            {
                "ID": self._spaces.activity.own(np.arange(rows.start, rows.stop)),
                "OWNER_ID": np.where(
                    of_deal, self._spaces.deal.own(deal), self._spaces.contact.own(client)
                ),
                "OWNER_TYPE_ID": np.where(of_deal, DEAL_OWNER, CONTACT_OWNER),
                "TYPE_ID": np.array([text[0] for text in task_texts])[which],
                "PROVIDER_ID": names.pick([text[1] for text in task_texts], which),
                "PROVIDER_TYPE_ID": names.pick([text[2] for text in task_texts], which),
                "SUBJECT": subject,
                "CREATED": to_microseconds(created),
                "LAST_UPDATED": to_microseconds(np.where(is_call, ended, tasks.updated[task])),
                "START_TIME": to_microseconds(begins),
                "END_TIME": to_microseconds(ended),
                "DEADLINE": to_microseconds(np.where(is_call, created, ended)),
                "COMPLETED": done.astype(np.int64),
                "STATUS": np.where(done, 2, 1),
                "RESPONSIBLE_ID": responsible,
                "PRIORITY": 2,
                "DIRECTION": pa.array(
                    np.where(is_call & incoming, 1, 2), mask=~is_call & (kind == MEETING)
                ),
                "AUTHOR_ID": responsible,
                "EDITOR_ID": responsible,
                "ORIGIN_ID": where(is_call, call_key),
            },
            count,
        )

    def _call_ids(self, calls: npt.NDArray[Any]) -> pa.Array:
        """`externalCall.<32 hexadecimal digits>.<start>`.

        A function of the call, not a draw: the call and its activity may be in different chunks.
        """
        halves = [_mixed(calls, 2 * self._plan.setting.seed + half) for half in (0, 1)]
        digits = binascii.hexlify(np.stack(halves, axis=1).astype(">u8").tobytes())
        text = pa.array(np.frombuffer(digits, dtype="S32")).cast(ARROW_TEXT)
        return names.join(
            "externalCall.", text, ".", names.as_text(_epoch(self._plan.calls.start[calls]))
        )


def _mixed(numbers: npt.NDArray[Any], salt: int) -> npt.NDArray[np.uint64]:
    """Numbers spread over 64 bits, one to one (the finalizer of SplitMix64)."""
    golden = np.uint64(0x9E3779B97F4A7C15)
    with np.errstate(over="ignore"):
        mixed = (numbers.astype(np.uint64) + np.uint64(1)) * golden + np.uint64(salt) * np.uint64(
            0xD1342543DE82EF95
        )
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return np.asarray(mixed ^ (mixed >> np.uint64(31)))


def _categories() -> list[dict[str, Any]]:
    return [*pipelines.category_rows(), *dictionaries.category_rows()]


def _statuses() -> list[dict[str, Any]]:
    # New dictionaries come last: the ids of the others stay.
    rows = [*pipelines.status_rows(), *dictionaries.status_rows()]
    return [{"ID": 2 * number + 1} | row for number, row in enumerate(rows)]


def _epoch(local: Seconds) -> Seconds:
    """Seconds since 1970 in UTC."""
    return to_microseconds(local) // 1_000_000
