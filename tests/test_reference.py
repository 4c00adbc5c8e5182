"""The reference against small cases worked out by hand from docs/definitions.md."""

from __future__ import annotations

import datetime as dt
import random
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.reference.calls import Call, call_load, calls
from tests.reference.random_portal import (
    RANDOM_RULES,
    random_portal,
    write_portal,
    write_portals,
)
from tests.reference.records import (
    Activity,
    CallRow,
    Contact,
    Deal,
    HistoryRow,
    Lead,
    LeadHistoryRow,
    Portal,
    Status,
    read_store,
)
from tests.reference.rules import DAY, MINUTE, SECOND, PipelineRole, Rules
from tests.reference.stages import (
    LEADS_PIPELINE,
    Close,
    DealClose,
    LeadClose,
    Visit,
    closes,
    deal_closes,
    lead_closes,
    repeat_deals,
    visits,
)

START = 1_706_745_600 * SECOND  # 2024-02-01 00:00 UTC, 03:00 in Moscow
CUT = START + 400 * DAY
SALES, SETTER, SERVICE, IGNORED = 0, 1, 2, 3
ROLES: dict[int, PipelineRole] = {SETTER: "setter", SERVICE: "service", IGNORED: "ignore"}
RULES = Rules(pipeline_roles=ROLES)
Move = tuple[int, float, str] | tuple[int, float, str, int]
"""History id, minute, stage[, category]."""
PHONE, OTHER_PHONE = "+79123456701", "+79123456702"
DEAL_STAGES = [("NEW", None), ("WORK", ""), ("WON", "S"), ("LOST", "F"), ("JUNK", "F")]
# Ids of deals' stages, one with other semantics.
LEAD_STATUSES = [
    ("NEW", None), ("WORK", ""), ("WON", None), ("CONVERTED", "S"), ("JUNK", "F"), ("SPAM", "F"),
]  # fmt: skip
STATUSES = tuple(
    Status(id=place * 10 + number, entity_id=entity, status_id=stage_id, semantics=semantics)
    for place, (entity, stages) in enumerate(
        [
            ("DEAL_STAGE", DEAL_STAGES),
            ("DEAL_STAGE_1", DEAL_STAGES),
            ("DEAL_STAGE_2", DEAL_STAGES),
            ("DEAL_STAGE_3", DEAL_STAGES),
            ("STATUS", LEAD_STATUSES),
        ]
    )
    for number, (stage_id, semantics) in enumerate(stages)
)


def at(minutes: float) -> int:
    return START + int(minutes * MINUTE)


def deal(deal_id: int, created: float = 0, stage: str = "NEW", **fields: Any) -> Deal:
    fields = {"category_id": SALES, **fields}
    return Deal(id=deal_id, date_create=at(created), stage_id=stage, **fields)


def moves(deal_id: int, *rows: Move) -> list[HistoryRow]:
    """History of a deal from (history id, minute, stage[, category])."""
    return [
        HistoryRow(row[0], deal_id, at(row[1]), row[3] if len(row) == 4 else SALES, row[2])
        for row in rows
    ]


def lead(lead_id: int, created: float = 0, status: str = "NEW", **fields: Any) -> Lead:
    return Lead(id=lead_id, date_create=at(created), status_id=status, **fields)


def lead_moves(lead_id: int, *rows: tuple[int, float, str]) -> list[LeadHistoryRow]:
    """History of a lead from (history id, minute, status)."""
    return [LeadHistoryRow(row[0], lead_id, at(row[1]), row[2]) for row in rows]


def portal(
    deals: list[Deal],
    history: list[HistoryRow] | None = None,
    rows: list[CallRow] | None = None,
    contacts: list[Contact] | None = None,
    activities: list[Activity] | None = None,
    leads: list[Lead] | None = None,
    lead_history: list[LeadHistoryRow] | None = None,
) -> Portal:
    return Portal(
        clock=CUT,
        statuses=STATUSES,
        contacts=tuple(contacts or ()),
        deals=tuple(deals),
        stage_history=tuple(history or ()),
        leads=tuple(leads or ()),
        lead_history=tuple(lead_history or ()),
        activities=tuple(activities or ()),
        calls=tuple(rows or ()),
    )


def stays(found: Portal) -> list[tuple[str | None, float, float | None]]:
    """(stage, entered, left) in minutes of all visits."""

    def minute(instant: int) -> float:
        return (instant - START) / MINUTE

    return [
        (v.stage_id, minute(v.entered_at), None if v.left_at is None else minute(v.left_at))
        for v in visits(found, RULES)
    ]


def call_row(row_id: int, minutes: float, **fields: Any) -> CallRow:
    fields = {"call_duration": 60, "call_failed_code": "200", "phone_number": PHONE, **fields}
    return CallRow(id=row_id, call_start_date=at(minutes), **fields)


def only_call(
    deals: list[Deal],
    history: list[HistoryRow],
    minutes: float,
    *,
    contacts: list[Contact] | None = None,
    activities: list[Activity] | None = None,
    leads: list[Lead] | None = None,
    lead_history: list[LeadHistoryRow] | None = None,
    **fields: Any,
) -> Call:
    """The one call of a portal; by default it is known by the number of contact 1."""
    people = [Contact(1, phones=(PHONE,))] if contacts is None else contacts
    rows = [call_row(1, minutes, **fields)]
    found = portal(deals, history, rows, people, activities, leads, lead_history)
    (call,) = calls(found, RULES)
    return call


def match(call: Call) -> tuple[str, int | None, str | None]:
    """Method, deal and stage of a call that is no lead's."""
    assert call.card_type == (None if call.card_id is None else "deal")
    return call.match_method, call.card_id, call.stage_id


def lead_match(call: Call) -> tuple[str, int | None, str | None]:
    """Method, lead and status of a lead's call."""
    assert (call.card_type, call.category_id) == ("lead", LEADS_PIPELINE)
    return call.match_method, call.card_id, call.stage_id


class TestVisits:
    def test_a_visit_lasts_from_its_row_to_the_next_and_the_last_stays_open(self) -> None:
        found = portal([deal(5)], moves(5, (1, 0, "NEW"), (2, 10, "WORK"), (3, 30, "WON")))
        assert visits(found, RULES) == [
            Visit("deal", 5, 1, SALES, "NEW", "open", at(0), at(10), False, False),
            Visit("deal", 5, 2, SALES, "WORK", "open", at(10), at(30), False, False),
            Visit("deal", 5, 3, SALES, "WON", "won", at(30), None, False, False),
        ]

    def test_the_first_visit_starts_at_creation(self) -> None:
        found = portal([deal(5)], moves(5, (1, 7, "WORK")))
        assert stays(found) == [("WORK", 0, None)]

    @pytest.mark.parametrize(("first", "second"), [(9, 10), (99, 100), (999, 1000)])
    def test_ties_are_broken_by_the_id_as_a_number(self, first: int, second: int) -> None:
        rows = moves(5, (1, 0, "NEW"), (second, 10, "WON"), (first, 10, "WORK"))
        assert stays(portal([deal(5)], rows)) == [
            ("NEW", 0, 10),
            ("WORK", 10, 10),  # zero seconds, and stays
            ("WON", 10, None),
        ]

    def test_time_comes_before_the_id(self) -> None:
        rows = moves(5, (1, 0, "NEW"), (2, 20, "WON"), (3, 10, "WORK"))
        assert [stage for stage, _, _ in stays(portal([deal(5)], rows))] == ["NEW", "WORK", "WON"]

    def test_equal_neighbours_collapse_and_a_return_is_a_new_visit(self) -> None:
        rows = moves(5, (1, 0, "NEW"), (2, 5, "NEW"), (3, 10, "WORK"), (4, 20, "NEW"))
        assert stays(portal([deal(5)], rows)) == [
            ("NEW", 0, 10),
            ("WORK", 10, 20),
            ("NEW", 20, None),
        ]

    def test_the_same_stage_id_in_another_pipeline_is_another_stage(self) -> None:
        rows = moves(5, (1, 0, "NEW"), (2, 5, "NEW", SETTER))
        found = visits(portal([deal(5)], rows), RULES)
        assert [(v.category_id, v.stage_id, v.position) for v in found] == [
            (SALES, "NEW", 1),
            (SETTER, "NEW", 2),
        ]

    def test_history_before_creation_counts_at_creation_and_is_flagged(self) -> None:
        rows = moves(5, (9, -10, "NEW"), (8, -5, "WORK"), (7, 0, "WON"), (10, 5, "LOST"))
        found = portal([deal(5)], rows)
        # In the order of their real times, though the ids run the other way.
        assert stays(found) == [
            ("NEW", 0, 0),
            ("WORK", 0, 0),
            ("WON", 0, 5),
            ("LOST", 5, None),
        ]
        assert [v.is_before_creation for v in visits(found, RULES)] == [True, True, False, False]

    def test_an_open_deal_without_history_gets_one_inferred_visit(self) -> None:
        found = portal([deal(5, stage="WORK", moved_time=at(10))])
        assert visits(found, RULES) == [
            Visit("deal", 5, 1, SALES, "WORK", "open", at(0), None, True, False)
        ]

    def test_a_closed_deal_without_history_gets_two(self) -> None:
        found = portal([deal(5, stage="LOST", moved_time=at(10))])
        assert visits(found, RULES) == [
            Visit("deal", 5, 1, SALES, None, "open", at(0), at(10), True, False),
            Visit("deal", 5, 2, SALES, "LOST", "lost", at(10), None, True, False),
        ]

    def test_a_deal_moved_before_its_creation_has_no_negative_stay(self) -> None:
        found = portal([deal(5, stage="WON", moved_time=at(-10))])
        assert stays(found) == [(None, 0, 0), ("WON", 0, None)]
        assert [v.is_before_creation for v in visits(found, RULES)] == [False, True]

    def test_an_inferred_close_after_the_cut_waits(self) -> None:
        found = portal([deal(5, stage="WON", moved_time=CUT + 1)])
        assert stays(found) == [(None, 0, None)]

    def test_rows_at_the_cut_are_there_and_later_ones_wait(self) -> None:
        rows = moves(5, (1, 0, "NEW"), (2, 10, "WORK"), (3, 11, "WON"))
        found = portal([deal(5), deal(6, created=10), deal(7, created=10.1)], rows)
        rules = replace(RULES, cut=at(10))
        assert [(v.card_id, v.stage_id) for v in visits(found, rules)] == [
            (5, "NEW"),
            (5, "WORK"),
            (6, "NEW"),
        ]

    def test_templates_of_recurring_deals_are_left_out(self) -> None:
        found = portal([deal(5, is_recurring=True)], moves(5, (1, 0, "NEW")))
        assert visits(found, RULES) == []
        assert deal_closes(found, RULES) == []

    def test_a_stage_missing_in_the_dictionary_has_the_semantics_of_its_row(self) -> None:
        rows = [
            HistoryRow(1, 5, at(0), SALES, "GONE", "S"),
            HistoryRow(2, 5, at(1), SALES, "AWAY", "X"),
            HistoryRow(3, 5, at(2), SALES, "WORK", "F"),  # known: the dictionary says open
        ]
        assert [v.semantics for v in visits(portal([deal(5)], rows), RULES)] == [
            "won",
            "open",
            "open",
        ]


class TestVisitsOfLeads:
    def test_they_are_in_a_pipeline_of_their_own(self) -> None:
        found = portal(
            [deal(5)],
            moves(5, (1, 0, "WON")),
            leads=[lead(5, contact_id=1)],
            # Ids of deals, of their history and of their stages.
            lead_history=lead_moves(5, (1, 0, "NEW"), (2, 10, "WON"), (3, 30, "CONVERTED")),
        )
        assert visits(found, RULES) == [
            Visit("deal", 5, 1, SALES, "WON", "won", at(0), None, False, False),
            Visit("lead", 5, 1, -1, "NEW", "open", at(0), at(10), False, False),
            Visit("lead", 5, 2, -1, "WON", "open", at(10), at(30), False, False),
            Visit("lead", 5, 3, -1, "CONVERTED", "won", at(30), None, False, False),
        ]

    def lead_stays(
        self, rows: list[LeadHistoryRow], cut: int | None = None, **fields: Any
    ) -> list[tuple[str | None, str, int, int | None]]:
        found = portal([], leads=[lead(5, **fields)], lead_history=rows)
        return [
            (v.stage_id, v.semantics, v.entered_at, v.left_at)
            for v in visits(found, replace(RULES, cut=cut))
        ]

    def test_ties_returns_and_repetitions_are_as_those_of_deals(self) -> None:
        rows = lead_moves(5, (10, 10, "NEW"), (9, 10, "WORK"), (8, 7, "NEW"), (11, 12, "NEW"))
        assert self.lead_stays(rows) == [
            ("NEW", "open", at(0), at(10)),
            ("WORK", "open", at(10), at(10)),
            ("NEW", "open", at(10), None),
        ]

    def test_history_before_creation_counts_at_creation_and_is_flagged(self) -> None:
        found = portal([], leads=[lead(5)], lead_history=lead_moves(5, (1, -9, "NEW")))
        (visit,) = visits(found, RULES)
        assert (visit.entered_at, visit.is_before_creation) == (at(0), True)

    def test_without_history_an_open_lead_gets_one_inferred_visit(self) -> None:
        found = portal([], leads=[lead(5, status="WORK", date_closed=at(10))])
        assert visits(found, RULES) == [
            Visit("lead", 5, 1, -1, "WORK", "open", at(0), None, True, False)
        ]

    def test_without_history_a_closed_lead_gets_two_by_the_date_it_was_closed(self) -> None:
        found = portal([], leads=[lead(5, status="JUNK", date_closed=at(10))])
        assert visits(found, RULES) == [
            Visit("lead", 5, 1, -1, None, "open", at(0), at(10), True, False),
            Visit("lead", 5, 2, -1, "JUNK", "lost", at(10), None, True, False),
        ]

    def test_without_that_date_it_was_closed_at_creation(self) -> None:
        assert self.lead_stays([], status="CONVERTED") == [
            (None, "open", at(0), at(0)),
            ("CONVERTED", "won", at(0), None),
        ]
        assert self.lead_stays([], status="CONVERTED", date_closed=at(-10)) == [
            (None, "open", at(0), at(0)),
            ("CONVERTED", "won", at(0), None),
        ]

    def test_what_lies_after_the_cut_waits(self) -> None:
        rows = lead_moves(5, (1, 0, "NEW"), (2, 10, "JUNK"))
        assert self.lead_stays(rows, cut=at(9)) == [("NEW", "open", at(0), None)]
        closed: dict[str, Any] = {"status": "JUNK", "date_closed": at(10)}
        assert self.lead_stays([], cut=at(9), **closed) == [(None, "open", at(0), None)]
        assert self.lead_stays([], cut=at(-1)) == []
        # All its rows wait: it has no history yet.
        assert self.lead_stays(rows[1:], cut=at(9), **closed) == [(None, "open", at(0), None)]

    def test_a_status_missing_in_the_dictionary_has_the_semantics_of_its_row(self) -> None:
        rows = [
            LeadHistoryRow(1, 5, at(0), "GONE", "S"),
            # Known among deals' stages alone: it stays what its row says.
            LeadHistoryRow(2, 5, at(1), "LOST", "P"),
        ]
        assert [semantics for _, semantics, *_ in self.lead_stays(rows)] == ["won", "open"]
        unknown: dict[str, Any] = {"status": "GONE", "status_semantic_id": "F"}
        assert self.lead_stays([], date_closed=at(1), **unknown)[1][:2] == ("GONE", "lost")

    def test_their_present_close(self) -> None:
        found = portal(
            [],
            leads=[lead(5), lead(6), lead(7, status="CONVERTED", date_closed=at(3))],
            lead_history=[
                *lead_moves(5, (1, 0, "NEW"), (2, 10, "JUNK"), (3, 20, "SPAM")),
                *lead_moves(6, (4, 0, "NEW"), (5, 10, "CONVERTED"), (6, 20, "WORK")),
            ],
        )
        assert lead_closes(found, RULES) == [
            LeadClose(5, "lost", at(10), "SPAM", at(10)),
            LeadClose(6, "open", None, "WORK", at(10)),
            LeadClose(7, "won", at(3), "CONVERTED", at(3)),
        ]
        assert deal_closes(found, RULES) == []
        assert closes(found, RULES) == []


class TestCloses:
    def close(self, *rows: Move) -> DealClose:
        (close,) = deal_closes(portal([deal(5)], moves(5, *rows)), RULES)
        return close

    def test_an_open_deal_has_no_close(self) -> None:
        assert self.close((1, 0, "NEW")) == DealClose(5, "open", None, SALES, "NEW", None)

    def test_another_lost_stage_does_not_move_the_date(self) -> None:
        close = self.close((1, 0, "NEW"), (2, 10, "LOST"), (3, 20, "JUNK"))
        assert close == DealClose(5, "lost", at(10), SALES, "JUNK", at(10))

    def test_another_pipeline_moves_the_date(self) -> None:
        close = self.close((1, 0, "NEW"), (2, 10, "LOST"), (3, 20, "LOST", SETTER))
        assert close == DealClose(5, "lost", at(20), SETTER, "LOST", at(10))

    def test_won_after_lost_is_a_new_close(self) -> None:
        close = self.close((1, 0, "NEW"), (2, 10, "LOST"), (3, 20, "WON"))
        assert (close.outcome, close.closed_at) == ("won", at(20))

    def test_a_reopened_deal_is_open_and_keeps_its_first_close(self) -> None:
        close = self.close((1, 0, "NEW"), (2, 10, "WON"), (3, 20, "WORK"))
        assert close == DealClose(5, "open", None, SALES, "WORK", at(10))

    def test_closed_again_after_a_reopening_dates_from_the_second_time(self) -> None:
        close = self.close((1, 0, "NEW"), (2, 10, "LOST"), (3, 20, "WORK"), (4, 20, "LOST"))
        assert (close.closed_at, close.first_closed_at) == (at(20), at(10))


class TestEveryClose:
    def closes(self, *rows: Move) -> list[Close]:
        return closes(portal([deal(5)], moves(5, *rows)), RULES)

    def test_an_open_deal_has_none(self) -> None:
        assert self.closes((1, 0, "NEW"), (2, 10, "WORK")) == []

    def test_another_lost_stage_is_the_same_close(self) -> None:
        assert self.closes((1, 0, "NEW"), (2, 10, "LOST"), (3, 20, "JUNK")) == [
            Close(5, 1, "lost", SALES, "LOST", at(10), None, is_reopened=False, is_counted=True)
        ]

    def test_won_directly_after_lost_ends_the_loss_without_a_reopening(self) -> None:
        assert self.closes((1, 0, "NEW"), (2, 10, "LOST"), (3, 20, "WON")) == [
            Close(5, 1, "lost", SALES, "LOST", at(10), at(20), False, False),
            Close(5, 2, "won", SALES, "WON", at(20), None, False, True),
        ]

    def test_a_reopened_close_stays_a_row_and_does_not_count(self) -> None:
        rows: list[Move] = [(1, 0, "NEW"), (2, 10, "WON"), (3, 20, "WORK")]
        reopened = Close(5, 1, "won", SALES, "WON", at(10), at(20), True, False)
        assert self.closes(*rows) == [reopened]
        assert self.closes(*rows, (4, 30, "WON")) == [
            reopened,
            Close(5, 2, "won", SALES, "WON", at(30), None, False, True),
        ]

    def test_a_reopening_of_zero_seconds_is_one(self) -> None:
        assert self.closes((1, 0, "LOST"), (2, 10, "NEW"), (3, 10, "LOST")) == [
            Close(5, 1, "lost", SALES, "LOST", at(0), at(10), True, False),
            Close(5, 2, "lost", SALES, "LOST", at(10), None, False, True),
        ]

    def test_another_pipeline_is_another_close(self) -> None:
        assert self.closes((1, 0, "NEW"), (2, 10, "LOST"), (3, 20, "LOST", SERVICE)) == [
            Close(5, 1, "lost", SALES, "LOST", at(10), at(20), False, False),
            Close(5, 2, "lost", SERVICE, "LOST", at(20), None, False, True),
        ]

    def test_a_move_does_not_undo_a_setters_win(self) -> None:
        assert self.closes((1, 0, "WON", SETTER), (2, 10, "NEW")) == [
            Close(5, 1, "won", SETTER, "WON", at(0), at(10), False, True)
        ]
        # Nor does what follows in the other pipeline.
        assert self.closes((1, 0, "WON", SETTER), (2, 10, "NEW"), (3, 20, "LOST")) == [
            Close(5, 1, "won", SETTER, "WON", at(0), at(10), False, True),
            Close(5, 2, "lost", SALES, "LOST", at(20), None, False, True),
        ]
        assert self.closes((1, 0, "WON", SETTER), (2, 10, "WON")) == [
            Close(5, 1, "won", SETTER, "WON", at(0), at(10), False, True),
            Close(5, 2, "won", SALES, "WON", at(10), None, False, True),
        ]

    def test_of_several_wins_of_a_setter_the_last_counts(self) -> None:
        rows: list[Move] = [(1, 0, "WON", SETTER), (2, 10, "NEW"), (3, 20, "NEW", SETTER)]
        first = Close(5, 1, "won", SETTER, "WON", at(0), at(10), False, True)
        assert self.closes(*rows) == [first]
        # The last one stands, has been moved on, or has been undone in the setter's pipeline.
        second = Close(5, 2, "won", SETTER, "WON", at(30), None, False, True)
        # What another win has replaced is reopened, and no longer counts.
        uncounted = replace(first, is_reopened=True, is_counted=False)
        rows.append((4, 30, "WON", SETTER))
        assert self.closes(*rows) == [uncounted, second]
        moved_on = replace(second, ended_at=at(40))
        assert self.closes(*rows, (5, 40, "WORK")) == [uncounted, moved_on]
        undone = replace(moved_on, is_reopened=True, is_counted=False)
        assert self.closes(*rows, (5, 40, "WORK", SETTER)) == [uncounted, undone]
        # Undone, and only then moved.
        assert self.closes(*rows, (5, 40, "WORK", SETTER), (6, 50, "NEW")) == [uncounted, undone]

    def test_a_setters_loss_and_wins_elsewhere_are_undone_by_a_move(self) -> None:
        assert [
            close.is_counted for close in self.closes((1, 0, "LOST", SETTER), (2, 9, "NEW"))
        ] == [False]
        assert [
            close.is_counted for close in self.closes((1, 0, "WON"), (2, 9, "NEW", SETTER))
        ] == [False]


class TestRepeatClients:
    def repeats(self, deals: list[Deal], *rows: HistoryRow) -> list[int]:
        found = repeat_deals(portal(deals, list(rows)), RULES)
        assert found.keys() == {deal.id for deal in deals}
        return [deal_id for deal_id, is_repeat in found.items() if is_repeat]

    def test_another_deal_was_won_before_the_creation(self) -> None:
        deals = [deal(5, contact_id=1), deal(6, 10, contact_id=1), deal(7, 11, contact_id=1)]
        deals += [deal(8, 11, contact_id=2), deal(9, 11)]
        # In the very instant is not before.
        assert self.repeats(deals, *moves(5, (1, 0, "NEW"), (2, 10, "WON"))) == [7]

    def test_the_client_is_the_company_before_the_contact(self) -> None:
        deals = [
            deal(5, contact_id=1, company_id=7),
            deal(6, 10, contact_id=1),
            deal(7, 10, contact_id=2, company_id=7),
        ]
        assert self.repeats(deals, *moves(5, (1, 0, "WON"))) == [7]

    def test_only_counted_wins_in_sales_make_one(self) -> None:
        deals = [deal(5, contact_id=1), deal(6, 10, contact_id=1)]
        assert self.repeats(deals, *moves(5, (1, 0, "WON"))) == [6]
        assert self.repeats(deals, *moves(5, (1, 0, "LOST"))) == []
        assert self.repeats(deals, *moves(5, (1, 0, "WON", SERVICE))) == []
        assert self.repeats(deals, *moves(5, (1, 0, "WON", SETTER), (2, 5, "NEW"))) == []
        # Undone later: as of the cut it is no win.
        assert self.repeats(deals, *moves(5, (1, 0, "WON"), (2, 50, "WORK"))) == []

    def test_deals_without_a_client_have_none_in_common(self) -> None:
        assert self.repeats([deal(5), deal(6, 10)], *moves(5, (1, 0, "WON"))) == []


class TestCallRows:
    def test_rows_of_one_call_id_are_one_call_with_the_lowest_number(self) -> None:
        found = portal(
            [],
            rows=[
                call_row(1000, 5, call_id="x", call_duration=1),
                call_row(999, 6, call_id="x"),
                call_row(10, 7, call_id=""),
                call_row(9, 8, call_id=""),
                call_row(8, 9, call_id=None),
            ],
        )
        assert [(c.call_id, c.started_at) for c in calls(found, RULES)] == [
            (8, at(9)),
            (9, at(8)),
            (10, at(7)),
            (999, at(6)),
        ]

    @pytest.mark.parametrize(
        ("call_type", "direction"),
        [(1, "outbound"), (2, "inbound"), (3, "inbound"), (4, "outbound"), (5, None)],
    )
    def test_direction_follows_the_type(self, call_type: int, direction: str | None) -> None:
        call = only_call([], [], 0, call_type=call_type)
        assert (call.direction, call.is_external) == (direction, call_type != 5)

    @pytest.mark.parametrize(
        ("category", "method"),
        [
            (None, "no_open_card"),
            ("", "no_open_card"),
            ("external", "no_open_card"),
            ("internal", "not_external"),
        ],
    )
    def test_only_external_calls_are_matched(self, category: str | None, method: str) -> None:
        assert only_call([], [], 0, call_category=category).match_method == method

    @pytest.mark.parametrize(
        ("code", "duration", "answered", "successful", "talk"),
        [
            ("200", 40, True, True, 40),
            ("200", 39, True, False, 39),
            ("200", 0, True, False, 0),
            ("304", 50, False, False, 0),
            ("603-S", 50, False, False, 0),
            (None, 50, True, True, 50),
            ("", 1, True, False, 1),
            (None, 0, False, False, 0),
            (None, None, False, False, 0),
        ],
    )
    def test_answered_is_what_the_system_says_else_talk(
        self, code: str | None, duration: int | None, answered: bool, successful: bool, talk: int
    ) -> None:
        call = only_call([], [], 0, call_failed_code=code, call_duration=duration)
        assert (call.is_answered, call.is_successful, call.talk_seconds) == (
            answered,
            successful,
            talk,
        )

    def test_calls_after_the_cut_wait(self) -> None:
        found = portal([], rows=[call_row(1, 10), call_row(2, 10.1)])
        assert [c.call_id for c in calls(found, replace(RULES, cut=at(10)))] == [1]


class TestClients:
    def test_a_contact_of_a_company_is_the_company(self) -> None:
        people = [Contact(1, company_id=7, phones=(PHONE,)), Contact(2, company_id=0)]
        by_entity: dict[str, Any] = {"crm_entity_type": "CONTACT", "phone_number": OTHER_PHONE}
        assert only_call([], [], 0, contacts=people).client == ("company", 7)
        found = [
            only_call([], [], 0, contacts=people, crm_entity_id=1, **by_entity),
            only_call([], [], 0, contacts=people, crm_entity_id=2, **by_entity),
            only_call([], [], 0, contacts=people, crm_entity_type="COMPANY", crm_entity_id=8),
        ]
        assert [c.client for c in found] == [("company", 7), ("contact", 2), ("company", 8)]

    def test_the_deal_of_the_crm_names_its_client(self) -> None:
        fields: dict[str, Any] = {"crm_entity_type": "DEAL", "contacts": []}
        deals = [deal(5, company_id=7, contact_id=1), deal(6, company_id=0, contact_id=1)]
        assert only_call(deals, [], 1, crm_entity_id=5, **fields).client == ("company", 7)
        assert only_call(deals, [], 1, crm_entity_id=6, **fields).client == ("contact", 1)

    def test_the_lead_of_the_crm_names_its_client(self) -> None:
        fields: dict[str, Any] = {"crm_entity_type": "LEAD", "contacts": []}
        # The deal of the same id is another card.
        fields["leads"] = [lead(5, company_id=7, contact_id=1), lead(6, company_id=0, contact_id=1)]
        deals = [deal(5, contact_id=2), deal(6, contact_id=2)]
        assert only_call(deals, [], 1, crm_entity_id=5, **fields).client == ("company", 7)
        assert only_call(deals, [], 1, crm_entity_id=6, **fields).client == ("contact", 1)

    def test_a_lead_without_a_client_leaves_it_to_the_number(self) -> None:
        call = only_call([], [], 1, leads=[lead(5)], crm_entity_type="LEAD", crm_entity_id=5)
        assert call.client == ("contact", 1)
        assert lead_match(call) == ("bound_lead", 5, "NEW")
        call = only_call([], [], 1, leads=[], crm_entity_type="LEAD", crm_entity_id=5)
        assert match(call) == ("no_open_card", None, None)

    def test_a_deleted_contact_gives_way_to_the_number(self) -> None:
        call = only_call([], [], 0, crm_entity_type="CONTACT", crm_entity_id=99)
        assert call.client == ("contact", 1)

    @pytest.mark.parametrize("number", ["8 (912) 345-67-01", "79123456701", "+7 912 345 67 01"])
    def test_numbers_compare_in_e164(self, number: str) -> None:
        assert only_call([], [], 0, phone_number=number).client == ("contact", 1)

    @pytest.mark.parametrize("number", [None, "", "hidden", "101", OTHER_PHONE])
    def test_no_contact_with_the_number_is_an_unknown_number(self, number: str | None) -> None:
        people = [Contact(1, phones=(PHONE, "101", "hidden"))]
        call = only_call([], [], 0, contacts=people, phone_number=number)
        assert (call.client, call.match_method) == (None, "unknown_number")

    def test_two_contacts_of_one_company_do_not_share_the_number(self) -> None:
        people = [Contact(1, company_id=7, phones=(PHONE,)), Contact(2, 7, (PHONE,))]
        call = only_call([], [], 0, contacts=people)
        assert (call.client, call.is_shared_number) == (("company", 7), False)

    def test_a_shared_number_goes_to_the_client_with_an_open_card(self) -> None:
        people = [Contact(1, phones=(PHONE,)), Contact(2, phones=(PHONE,))]
        deals = [
            deal(5, contact_id=2),
            deal(6, contact_id=1, category_id=IGNORED),
            deal(7, contact_id=1, stage="WON", moved_time=at(0)),
            deal(8, created=20, contact_id=1),
        ]
        call = only_call(deals, [], 10, contacts=people)
        assert (call.client, call.is_shared_number) == (("contact", 2), True)
        assert match(call) == ("only_open_deal", 5, "NEW")

    @pytest.mark.parametrize(
        ("closed", "client"), [(None, ("contact", 2)), (9, ("contact", 1)), (11, ("contact", 2))]
    )
    def test_an_open_lead_is_an_open_card(
        self, closed: float | None, client: tuple[str, int]
    ) -> None:
        people = [Contact(1, phones=(PHONE,)), Contact(2, phones=(PHONE,))]
        leads = [lead(5, contact_id=2), lead(6, 20, contact_id=1)]
        history = lead_moves(5, (1, 0, "NEW"))
        if closed is not None:
            history += lead_moves(5, (2, closed, "JUNK"))
        call = only_call([], [], 10, contacts=people, leads=leads, lead_history=history)
        assert (call.client, call.is_shared_number) == (client, True)

    def test_a_call_of_a_lead_touches_its_client(self) -> None:
        people = [Contact(n, phones=(PHONE,)) for n in (1, 2)]
        rows = [call_row(1, 0, crm_entity_type="LEAD", crm_entity_id=5), call_row(2, 5)]
        leads = [lead(5, -1, "JUNK", date_closed=at(-1), contact_id=2)]
        found = calls(portal([], [], rows, people, leads=leads), RULES)
        assert found[1].client == ("contact", 2)

    def test_then_to_the_latest_touch_before_the_call(self) -> None:
        people = [Contact(n, phones=(PHONE,)) for n in (1, 2)]
        named: dict[str, Any] = {"crm_entity_type": "CONTACT"}
        rows = [
            call_row(1, 0, crm_entity_id=1, **named),
            call_row(2, 5, crm_entity_id=2, **named),
            call_row(3, 10, crm_entity_id=1, **named),
            call_row(4, 9, crm_entity_id=1, call_category="internal", **named),
            call_row(5, 10),
            call_row(6, 11),
            call_row(7, 0),
        ]
        found = {c.call_id: c.client for c in calls(portal([], [], rows, people), RULES)}
        assert found[5] == ("contact", 2)  # neither the call of its own minute nor the internal one
        assert found[6] == ("contact", 1)
        assert found[7] == ("contact", 1)  # nobody touched yet: the lowest key

    def test_then_to_the_lowest_key_as_a_number(self) -> None:
        people = [Contact(n, phones=(PHONE,)) for n in (10, 9)]
        assert only_call([], [], 0, contacts=people).client == ("contact", 9)
        people = [Contact(10, phones=(PHONE,)), Contact(8, company_id=1, phones=(PHONE,))]
        assert only_call([], [], 0, contacts=people).client == ("contact", 10)


class TestMatches:
    def test_bound_deal_by_activity(self) -> None:
        call = only_call(
            [deal(5), deal(6, contact_id=1)],
            [],
            10,
            crm_activity_id=3,
            activities=[Activity(3, 2, 5)],
        )
        assert match(call) == ("bound_deal", 5, "NEW")
        assert not call.is_ambiguous

    def test_an_activity_of_a_contact_binds_no_deal(self) -> None:
        call = only_call(
            [deal(1)], [], 10, crm_activity_id=3, activities=[Activity(3, 3, 1)], contacts=[]
        )
        assert call.match_method == "unknown_number"

    def test_bound_deal_even_in_an_ignored_pipeline(self) -> None:
        call = only_call(
            [deal(5, category_id=IGNORED)], [], 10, crm_entity_type="DEAL", crm_entity_id=5
        )
        assert match(call) == ("bound_deal", 5, "NEW")

    def test_a_call_on_several_rows_is_bound_to_all_their_deals(self) -> None:
        rows = [
            call_row(9, 10, call_id="x", crm_entity_type="DEAL", crm_entity_id=5, portal_user_id=4),
            call_row(10, 10, call_id="x", crm_activity_id=3),
        ]
        found = portal([deal(5), deal(6, assigned_by_id=4)], [], rows, [], [Activity(3, 2, 6)])
        (call,) = calls(found, RULES)
        assert (call.call_id, *match(call)) == (9, "bound_deal", 6, "NEW")
        assert call.is_ambiguous

    def test_bound_to_deleted_or_recurring_deals_takes_the_next_method(self) -> None:
        bound: dict[str, Any] = {"crm_entity_type": "DEAL", "crm_entity_id": 5}
        deals = [deal(6, contact_id=1)]
        assert match(only_call(deals, [], 10, **bound)) == ("only_open_deal", 6, "NEW")
        deals.append(deal(5, is_recurring=True))
        assert match(only_call(deals, [], 10, **bound)) == ("only_open_deal", 6, "NEW")

    def test_bound_to_a_closed_deal_is_after_close_whatever_its_age(self) -> None:
        history = moves(5, (1, 0, "NEW"), (2, 10, "LOST"), (3, 20, "JUNK"), (4, 90 * 1440, "NEW"))
        call = only_call(
            [deal(5), deal(6, created=11), deal(7, contact_id=1)],
            [*history, *moves(6, (5, 11, "NEW"), (6, 12, "WON"))],
            80 * 1440,
            crm_activity_id=1,
            activities=[Activity(1, 2, 5)],
        )
        assert match(call) == ("after_close", 5, "JUNK")

    def test_of_several_bound_closed_deals_the_latest_close(self) -> None:
        rows = [
            call_row(1, 100, call_id="x", crm_activity_id=5),
            call_row(2, 100, call_id="x", crm_activity_id=6),
        ]
        history = [
            *moves(5, (1, 0, "NEW"), (2, 10, "LOST"), (3, 50, "JUNK")),
            *moves(6, (4, 0, "NEW"), (5, 20, "LOST")),
        ]
        found = portal(
            [deal(5), deal(6)], history, rows, [], [Activity(5, 2, 5), Activity(6, 2, 6)]
        )
        assert match(calls(found, RULES)[0]) == ("after_close", 6, "LOST")

    @pytest.mark.parametrize(
        ("created", "method"), [(70, "started_deal"), (70.1, "before_deal"), (9999, "before_deal")]
    )
    def test_bound_to_a_deal_created_later(self, created: float, method: str) -> None:
        call = only_call(
            [deal(5, created, "WORK"), deal(7, contact_id=1)],
            moves(5, (1, created, "WORK"), (2, created + 1, "WON")),
            10,
            crm_entity_type="DEAL",
            crm_entity_id=5,
        )
        assert match(call) == (method, 5, "WORK")
        assert call.visit_position == 1

    def test_of_several_bound_deals_created_later_the_earliest_then_the_lowest_id(self) -> None:
        rows = [call_row(n, 10, call_id="x", crm_activity_id=n) for n in (8, 9, 10)]
        links = [Activity(n, 2, n) for n in (8, 9, 10)]
        deals = [deal(8, 31), deal(9, 30), deal(10, 30)]
        (call,) = calls(portal(deals, [], rows, [], links), RULES)
        assert match(call) == ("started_deal", 9, "NEW")

    def test_only_open_deal_on_the_stage_of_the_call(self) -> None:
        history = moves(5, (1, 0, "NEW"), (2, 10, "WORK"), (3, 20, "NEW"), (4, 30, "WON"))
        found = [only_call([deal(5, contact_id=1)], history, minute) for minute in (0, 9.9, 15, 29)]
        assert [(c.match_method, c.stage_id, c.visit_position) for c in found] == [
            ("only_open_deal", "NEW", 1),
            ("only_open_deal", "NEW", 1),
            ("only_open_deal", "WORK", 2),
            ("only_open_deal", "NEW", 3),
        ]

    def test_a_call_in_the_second_of_a_move_belongs_to_the_new_stage(self) -> None:
        rows = moves(5, (1, 0, "NEW"), (9, 10, "LOST"), (10, 10, "WORK"))
        call = only_call([deal(5, contact_id=1)], rows, 10)
        assert (*match(call), call.visit_position) == ("only_open_deal", 5, "WORK", 3)

    def test_the_cards_of_a_client_are_those_of_the_company_and_of_the_calling_contact(
        self,
    ) -> None:
        people = [Contact(1, company_id=7, phones=(PHONE,)), Contact(2, company_id=7)]
        assert only_call([deal(5, company_id=7)], [], 1, contacts=people).card_id == 5
        assert only_call([deal(5, contact_id=1)], [], 1, contacts=people).card_id == 5
        assert only_call([deal(5, company_id=8, contact_id=1)], [], 1, contacts=people).card_id == 5
        assert only_call([deal(5, contact_id=2)], [], 1, contacts=people).card_id is None

    def test_service_only_if_nothing_else_is_open(self) -> None:
        service = deal(4, contact_id=1, category_id=SERVICE)
        setter = deal(5, contact_id=1, category_id=SETTER)
        ignored = deal(6, contact_id=1, category_id=IGNORED)
        assert match(only_call([service, setter, ignored], [], 1)) == ("only_open_deal", 5, "NEW")
        assert match(only_call([service, ignored], [], 1)) == ("only_open_deal", 4, "NEW")

    def test_the_pipeline_counts_in_which_the_deal_was_at_the_call(self) -> None:
        rows = moves(5, (1, 0, "NEW", IGNORED), (2, 10, "NEW"))
        assert only_call([deal(5, contact_id=1)], rows, 9).match_method == "ignored_pipeline"
        assert only_call([deal(5, contact_id=1)], rows, 10).match_method == "only_open_deal"

    def test_chosen_open_deal_is_the_talkers_own(self) -> None:
        deals = [deal(5, contact_id=1, assigned_by_id=3), deal(6, contact_id=1, assigned_by_id=4)]
        call = only_call(deals, moves(5, (1, 0, "NEW"), (2, 5, "WORK")), 10, portal_user_id=4)
        assert match(call) == ("chosen_open_deal", 6, "NEW")
        assert call.is_ambiguous

    def test_then_the_latest_stage_entry_before_the_call(self) -> None:
        deals = [deal(5, contact_id=1), deal(6, contact_id=1)]
        rows = moves(6, (1, 0, "NEW"), (2, 5, "WORK")) + moves(5, (3, 0, "NEW"), (4, 11, "WORK"))
        assert match(only_call(deals, rows, 10)) == ("chosen_open_deal", 6, "WORK")

    def test_then_the_lowest_id_as_a_number(self) -> None:
        deals = [deal(10, contact_id=1), deal(9, contact_id=1)]
        call = only_call(deals, [], 10, portal_user_id=None)
        assert match(call) == ("chosen_open_deal", 9, "NEW")
        deals[1] = replace(deals[1], assigned_by_id=4)  # an unknown talker owns no ownerless deal
        assert only_call(deals, [], 10, portal_user_id=None).card_id == 9

    @pytest.mark.parametrize(("created", "deal_id"), [(70, 5), (70.1, None)])
    def test_started_deal_within_the_window(self, created: float, deal_id: int | None) -> None:
        deals = [
            deal(5, created, contact_id=1),
            deal(4, created + 0.1, contact_id=1),
            deal(6, created - 1, contact_id=1, category_id=IGNORED),
            deal(7, contact_id=1, stage="LOST", moved_time=at(0)),
            deal(8, contact_id=1, category_id=IGNORED),
        ]
        call = only_call(deals, [], 10)
        expected = ("started_deal", 5, "NEW") if deal_id else ("after_close", 7, "LOST")
        assert match(call) == expected

    def test_a_deal_created_in_the_instant_of_the_call_is_open_already(self) -> None:
        assert only_call([deal(5, 10, contact_id=1)], [], 10).match_method == "only_open_deal"
        born_lost = only_call([deal(5, 10, "LOST", contact_id=1)], moves(5, (1, 10, "LOST")), 10)
        assert match(born_lost) == ("after_close", 5, "LOST")

    def test_a_close_in_an_ignored_pipeline_is_no_after_close(self) -> None:
        ignored = deal(5, stage="LOST", moved_time=at(0), contact_id=1, category_id=IGNORED)
        assert match(only_call([ignored], [], 10)) == ("no_open_card", None, None)

    def test_after_close_up_to_thirty_days(self) -> None:
        deals = [deal(5, contact_id=1), deal(8, contact_id=1, category_id=IGNORED)]
        rows = moves(5, (1, 0, "NEW"), (2, 10, "LOST"), (3, 20, "JUNK"))
        edge = 30 * 1440 + 10
        assert match(only_call(deals, rows, 10)) == ("after_close", 5, "LOST")
        assert match(only_call(deals, rows, edge)) == ("after_close", 5, "JUNK")
        assert match(only_call(deals, rows, edge + 0.1)) == ("ignored_pipeline", None, None)
        assert match(only_call(deals[:1], rows, edge + 0.1)) == ("no_open_card", None, None)

    def test_a_deal_reopened_later_is_closed_at_the_call_and_open_after_it(self) -> None:
        rows = moves(5, (1, 0, "NEW"), (2, 10, "LOST"), (3, 30, "WORK"))
        assert match(only_call([deal(5, contact_id=1)], rows, 29)) == ("after_close", 5, "LOST")
        assert match(only_call([deal(5, contact_id=1)], rows, 30)) == ("only_open_deal", 5, "WORK")

    def test_a_deal_on_an_unknown_stage_keeps_the_call_in_its_pipeline(self) -> None:
        call = only_call([deal(5, contact_id=1, stage="WON", moved_time=at(20))], [], 10)
        assert match(call) == ("only_open_deal", 5, None)
        assert (call.category_id, call.visit_position) == (SALES, 1)
        (load,) = call_load([call], RULES)
        assert (load.category_id, load.stage_id, load.bucket) == (SALES, None, "only_open_deal")


def bound(*cards: tuple[int, int]) -> dict[str, Any]:
    """A call's own fields, with an activity of these cards: (1 lead or 2 deal, id)."""
    return {"crm_activity_id": 3, "activities": [Activity(3, *cards[0], bindings=cards[1:])]}


class TestBoundLeads:
    """Method 2, and method 1 where the bound deals come from leads."""

    NEW_AND_CONVERTED = lead_moves(5, (1, 0, "NEW"), (2, 10, "CONVERTED"))

    def test_by_the_activity_or_directly(self) -> None:
        leads = [lead(5), lead(6)]
        other = [deal(7, contact_id=1)]
        call = only_call(other, [], 10, leads=leads, **bound((1, 5)))
        assert lead_match(call) == ("bound_lead", 5, "NEW")
        assert (call.visit_position, call.is_ambiguous) == (1, False)
        call = only_call(other, [], 10, leads=leads, **bound((3, 1), (1, 6)))
        assert lead_match(call) == ("bound_lead", 6, "NEW")
        call = only_call(other, [], 10, leads=leads, crm_entity_type="LEAD", crm_entity_id=5)
        assert lead_match(call) == ("bound_lead", 5, "NEW")

    def test_an_activity_of_another_kind_binds_no_lead(self) -> None:
        task = [Activity(3, 1, 5, type_id=6)]
        call = only_call([], [], 10, leads=[lead(5)], crm_activity_id=3, activities=task)
        assert match(call) == ("no_open_card", None, None)

    def test_a_bound_deal_goes_before_a_bound_lead(self) -> None:
        leads = [lead(5, contact_id=1)]
        closed = deal(6, stage="LOST", moved_time=at(5))
        assert match(only_call([deal(6)], [], 10, leads=leads, **bound((1, 5), (2, 6)))) == (
            "bound_deal", 6, "NEW",
        )  # fmt: skip
        assert match(only_call([closed], [], 10, leads=leads, **bound((1, 5), (2, 6)))) == (
            "after_close", 6, "LOST",
        )  # fmt: skip

    def test_a_deal_that_does_not_count_leaves_the_call_to_the_lead(self) -> None:
        gone = only_call([], [], 10, leads=[lead(5)], **bound((2, 6), (1, 5)))
        template = deal(6, is_recurring=True)
        recurring = only_call([template], [], 10, leads=[lead(5)], **bound((2, 6), (1, 5)))
        for call in (gone, recurring):
            assert lead_match(call) == ("bound_lead", 5, "NEW")

    def test_a_lead_that_does_not_count_takes_the_next_method(self) -> None:
        deals = [deal(6, contact_id=1)]
        assert match(only_call(deals, [], 10, **bound((1, 5)))) == ("only_open_deal", 6, "NEW")
        waiting = [lead(5, 401 * 1440)]
        call = only_call(deals, [], 10, leads=waiting, **bound((1, 5)))
        assert match(call) == ("only_open_deal", 6, "NEW")

    def test_where_the_lead_stood(self) -> None:
        history = lead_moves(5, (1, 0, "NEW"), (2, 10, "WORK"), (3, 20, "JUNK"), (4, 30, "SPAM"))
        for minute, status in [(9, "NEW"), (10, "WORK"), (25, "JUNK"), (90 * 1440, "SPAM")]:
            call = only_call([], [], minute, leads=[lead(5)], lead_history=history, **bound((1, 5)))
            assert lead_match(call) == ("bound_lead", 5, status)

    @pytest.mark.parametrize("created", [11, 9999])
    def test_a_lead_created_after_the_call_is_bound_however_late(self, created: float) -> None:
        history = lead_moves(5, (1, created, "WORK"), (2, created + 1, "JUNK"))
        leads = [lead(5, created)]
        call = only_call([], [], 10, leads=leads, lead_history=history, **bound((1, 5)))
        assert lead_match(call) == ("bound_lead", 5, "WORK")

    def test_before_the_conversion_the_call_is_the_leads(self) -> None:
        deals = [deal(8, 10, lead_id=5)]
        fields: dict[str, Any] = {"leads": [lead(5)], "lead_history": self.NEW_AND_CONVERTED}
        call = only_call(deals, [], 9, **fields, **bound((1, 5)))
        assert lead_match(call) == ("bound_lead", 5, "NEW")
        # In its second the conversion has happened.
        call = only_call(deals, [], 10, **fields, **bound((1, 5)))
        assert match(call) == ("bound_lead", 8, "NEW")

    def test_after_the_conversion_the_call_is_the_deals_where_that_stood(self) -> None:
        deals = [deal(8, 10, lead_id=5, category_id=IGNORED)]
        rows = moves(8, (1, 10, "NEW", IGNORED), (2, 20, "WORK", IGNORED), (3, 30, "LOST", IGNORED))
        fields: dict[str, Any] = {"leads": [lead(5)], "lead_history": self.NEW_AND_CONVERTED}
        for minute, stage in [(19, "NEW"), (20, "WORK"), (99 * 1440, "LOST")]:
            call = only_call(deals, rows, minute, **fields, **bound((1, 5)))
            assert match(call) == ("bound_lead", 8, stage)
            assert call.category_id == IGNORED

    def test_a_deal_made_after_the_call_has_its_first_stage(self) -> None:
        deals = [deal(8, 500, lead_id=5)]
        rows = moves(8, (1, 500, "WORK"), (2, 600, "WON"))
        fields: dict[str, Any] = {"leads": [lead(5)], "lead_history": self.NEW_AND_CONVERTED}
        call = only_call(deals, rows, 20, **fields, **bound((1, 5)))
        assert match(call) == ("bound_lead", 8, "WORK")
        assert call.visit_position == 1

    def test_of_several_deals_of_a_lead_the_first_created_then_the_lowest_id(self) -> None:
        deals = [deal(8, 12, lead_id=5), deal(10, 11, lead_id=5), deal(9, 11, lead_id=5)]
        deals += [deal(7, 1, lead_id=5, is_recurring=True), deal(6, 1, lead_id=50)]
        fields: dict[str, Any] = {"leads": [lead(5)], "lead_history": self.NEW_AND_CONVERTED}
        call = only_call(deals, [], 20, **fields, **bound((1, 5)))
        assert match(call) == ("bound_lead", 9, "NEW")

    def test_a_converted_lead_without_a_deal_keeps_the_call(self) -> None:
        fields: dict[str, Any] = {"leads": [lead(5)], "lead_history": self.NEW_AND_CONVERTED}
        for deals in ([], [deal(8, 10, lead_id=5, is_recurring=True)], [deal(8, 10)]):
            call = only_call(deals, [], 20, **fields, **bound((1, 5)))
            assert lead_match(call) == ("bound_lead", 5, "CONVERTED")

    def test_junk_is_no_conversion_though_a_deal_names_the_lead(self) -> None:
        leads = [lead(5, status="JUNK", date_closed=at(5))]
        call = only_call([deal(8, 6, lead_id=5)], [], 10, leads=leads, **bound((1, 5)))
        assert lead_match(call) == ("bound_lead", 5, "JUNK")

    def test_of_several_an_open_one_by_the_chosen_order(self) -> None:
        leads = [
            lead(4, status="CONVERTED", date_closed=at(9)),
            lead(5, 1),
            lead(9, 2, assigned_by_id=7),
            lead(10, 2),
            lead(11, 11, assigned_by_id=8),
        ]
        cards = bound((1, 4), (1, 5), (1, 10), (1, 9), (1, 11))
        # The latest entry, then the lowest id.
        call = only_call([], [], 10, leads=leads, **cards)
        assert (*lead_match(call), call.is_ambiguous) == ("bound_lead", 9, "NEW", True)
        # The talker's own before it; the one created later is not open yet.
        leads[1] = replace(leads[1], assigned_by_id=8)
        call = only_call([], [], 10, leads=leads, portal_user_id=8, **cards)
        assert (*lead_match(call), call.is_ambiguous) == ("bound_lead", 5, "NEW", True)
        # A single open one is no choice.
        call = only_call([], [], 10, leads=leads, **bound((1, 4), (1, 5), (1, 11)))
        assert (*lead_match(call), call.is_ambiguous) == ("bound_lead", 5, "NEW", False)

    def test_then_the_latest_conversion_then_the_lowest_id(self) -> None:
        leads = [
            lead(4, status="JUNK", date_closed=at(9)),
            lead(5, status="CONVERTED", date_closed=at(6)),
            lead(10, status="CONVERTED", date_closed=at(8)),
            lead(9, status="CONVERTED", date_closed=at(8)),
            lead(11, 11),
        ]
        deals = [deal(1, 6, lead_id=5), deal(2, 8, lead_id=9), deal(3, 8, lead_id=10)]
        cards = bound((1, 4), (1, 5), (1, 10), (1, 9), (1, 11))
        call = only_call(deals, [], 10, leads=leads, **cards)
        assert (*match(call), call.is_ambiguous) == ("bound_lead", 2, "NEW", False)
        # It decides, even if no deal was made from it.
        call = only_call(deals[:1], [], 10, leads=leads, **cards)
        assert lead_match(call) == ("bound_lead", 9, "CONVERTED")

    def test_then_junk_by_the_latest_close_then_the_lowest_id(self) -> None:
        leads = [
            lead(4, status="JUNK", date_closed=at(5)),
            lead(10, status="SPAM", date_closed=at(8)),
            lead(9, status="JUNK", date_closed=at(8)),
            lead(11, 11),
            lead(12),
        ]
        # From junk to another junk: closed at minute 6.
        history = lead_moves(12, (1, 0, "NEW"), (2, 6, "JUNK"), (3, 9, "SPAM"))
        cards = bound((1, 4), (1, 10), (1, 9), (1, 11), (1, 12))
        call = only_call([], [], 10, leads=leads, lead_history=history, **cards)
        assert (*lead_match(call), call.is_ambiguous) == ("bound_lead", 9, "JUNK", False)

    def test_then_the_earliest_created_later_then_the_lowest_id(self) -> None:
        leads = [lead(5, 13), lead(10, 12, "WORK"), lead(9, 12, "WORK")]
        call = only_call([], [], 10, leads=leads, **bound((1, 5), (1, 10), (1, 9)))
        assert (*lead_match(call), call.is_ambiguous) == ("bound_lead", 9, "WORK", False)

    @pytest.mark.parametrize("deal_created", [11, 70, 9999])
    def test_a_deal_created_later_from_a_lead_that_existed_leaves_the_call_to_the_lead(
        self, deal_created: float
    ) -> None:
        deals = [deal(8, deal_created, lead_id=5), deal(9, deal_created + 1)]
        history = lead_moves(5, (1, 10, "NEW"), (2, deal_created, "CONVERTED"))
        # Created in the instant of the call the lead exists already.
        for created in (0, 10):
            leads = [lead(5, created)]
            call = only_call(
                deals, [], 10, leads=leads, lead_history=history, **bound((2, 8), (2, 9))
            )
            assert lead_match(call) == ("bound_lead", 5, "NEW")

    def test_no_lead_or_one_that_did_not_exist_leaves_it_to_the_deal(self) -> None:
        made = deal(8, 70, lead_id=5)
        later = [lead(5, 10.1)]
        assert match(only_call([made], [], 10, leads=later, **bound((2, 8)))) == (
            "started_deal", 8, "NEW",
        )  # fmt: skip
        assert match(only_call([made], [], 10, **bound((2, 8)))) == ("started_deal", 8, "NEW")
        made = replace(made, date_create=at(70.1))
        assert match(only_call([made], [], 10, leads=later, **bound((2, 8)))) == (
            "before_deal", 8, "NEW",
        )  # fmt: skip

    def test_the_earliest_deal_decides_from_which_lead_it_came(self) -> None:
        deals = [deal(8, 20), deal(9, 21, lead_id=5)]
        call = only_call(deals, [], 10, leads=[lead(5)], **bound((2, 8), (2, 9)))
        assert match(call) == ("started_deal", 8, "NEW")
        # Also against a lead that the call is bound to itself.
        call = only_call(deals, [], 10, leads=[lead(5)], **bound((2, 8), (1, 5)))
        assert match(call) == ("started_deal", 8, "NEW")

    def test_of_a_lead_converted_before_the_call_its_first_deal_takes_it(self) -> None:
        deals = [deal(8, 20, "WORK", lead_id=5)]
        fields: dict[str, Any] = {"leads": [lead(5, status="CONVERTED", date_closed=at(5))]}
        call = only_call(deals, [], 10, **fields, **bound((2, 8)))
        assert match(call) == ("bound_lead", 8, "WORK")
        deals.append(deal(7, 6, lead_id=5))
        call = only_call(deals, [], 10, **fields, **bound((2, 8)))
        assert match(call) == ("bound_lead", 7, "NEW")

    def test_a_lead_that_was_junk_takes_the_call_too(self) -> None:
        leads = [lead(5, status="JUNK", date_closed=at(5))]
        call = only_call([deal(8, 20, lead_id=5)], [], 10, leads=leads, **bound((2, 8)))
        assert lead_match(call) == ("bound_lead", 5, "JUNK")


class TestLeadsOfTheClient:
    """Methods 5 and 6, and what leads change for the others."""

    def test_open_lead_on_the_status_of_the_call(self) -> None:
        history = lead_moves(5, (1, 0, "NEW"), (2, 10, "WON"), (3, 20, "CONVERTED"))
        leads = [lead(5, contact_id=1)]
        for minute, status, position in [(0, "NEW", 1), (10, "WON", 2), (19.9, "WON", 2)]:
            call = only_call([], [], minute, leads=leads, lead_history=history)
            assert lead_match(call) == ("open_lead", 5, status)
            assert (call.visit_position, call.is_ambiguous) == (position, False)
        call = only_call([], [], 20, leads=leads, lead_history=history)
        assert match(call) == ("no_open_card", None, None)

    @pytest.mark.parametrize("category", [SALES, SETTER, SERVICE])
    def test_an_open_deal_goes_before_it(self, category: int) -> None:
        deals = [deal(6, category_id=category, contact_id=1)]
        call = only_call(deals, [], 10, leads=[lead(5, contact_id=1)])
        assert match(call) == ("only_open_deal", 6, "NEW")

    def test_it_goes_before_everything_else(self) -> None:
        deals = [
            deal(6, contact_id=1, category_id=IGNORED),
            deal(7, contact_id=1, stage="LOST", moved_time=at(9)),
            deal(8, 11, contact_id=1),
        ]
        call = only_call(deals, [], 10, leads=[lead(5, contact_id=1), lead(4, 11, contact_id=1)])
        assert lead_match(call) == ("open_lead", 5, "NEW")

    def test_of_several_the_talkers_own(self) -> None:
        leads = [
            lead(5, contact_id=1, assigned_by_id=3),
            lead(6, contact_id=1, assigned_by_id=4),
        ]
        history = lead_moves(5, (1, 0, "NEW"), (2, 5, "WORK"))
        call = only_call([], [], 10, leads=leads, lead_history=history, portal_user_id=4)
        assert (*lead_match(call), call.is_ambiguous) == ("open_lead", 6, "NEW", True)
        # Then the latest entry before the call.
        call = only_call([], [], 10, leads=leads, lead_history=history, portal_user_id=9)
        assert (*lead_match(call), call.is_ambiguous) == ("open_lead", 5, "WORK", True)
        call = only_call([], [], 4, leads=leads[::-1], lead_history=history)
        assert (*lead_match(call), call.is_ambiguous) == ("open_lead", 5, "NEW", True)

    def test_then_the_lowest_id_as_a_number(self) -> None:
        leads = [lead(10, contact_id=1), lead(9, contact_id=1)]
        assert lead_match(only_call([], [], 10, leads=leads)) == ("open_lead", 9, "NEW")

    def test_leads_of_the_company_and_of_the_calling_contact_are_the_clients(self) -> None:
        people = [Contact(1, company_id=7, phones=(PHONE,)), Contact(2, company_id=7)]
        for company_id, contact_id, card_id in [
            (7, None, 5),
            (None, 1, 5),
            (8, 1, 5),
            (None, 2, None),
            (None, None, None),
        ]:
            leads = [lead(5, company_id=company_id, contact_id=contact_id)]
            call = only_call([], [], 1, contacts=people, leads=leads)
            assert call.card_id == card_id

    def test_a_lead_as_the_entity_names_no_calling_contact(self) -> None:
        people = [Contact(1, company_id=7, phones=(PHONE,))]
        fields: dict[str, Any] = {"crm_entity_type": "LEAD", "crm_entity_id": 5}
        leads = [lead(5, company_id=8, contact_id=1), lead(6, contact_id=1)]
        # Bound to an open lead the call is its own; the client is the lead's company.
        call = only_call([], [], 1, contacts=people, leads=leads, **fields)
        assert (call.client, *lead_match(call)) == (("company", 8), "bound_lead", 5, "NEW")

    @pytest.mark.parametrize(("created", "is_started"), [(10.1, True), (70, True), (70.1, False)])
    def test_started_lead_within_the_window(self, created: float, is_started: bool) -> None:
        leads = [
            lead(5, created, "WORK", contact_id=1),
            lead(4, created + 0.1, contact_id=1),
            lead(7, status="JUNK", date_closed=at(1), contact_id=1),
        ]
        history = lead_moves(5, (1, created, "WORK"), (2, created + 1, "JUNK"))
        deals = [deal(6, stage="LOST", moved_time=at(0), contact_id=1)]
        call = only_call(deals, [], 10, leads=leads, lead_history=history)
        if is_started:
            assert (*lead_match(call), call.visit_position) == ("started_lead", 5, "WORK", 1)
        else:
            assert match(call) == ("after_close", 6, "LOST")

    def test_a_lead_created_in_the_instant_of_the_call_is_open_already(self) -> None:
        call = only_call([], [], 10, leads=[lead(5, 10, contact_id=1)])
        assert lead_match(call) == ("open_lead", 5, "NEW")

    def test_the_earliest_card_then_a_deal_then_the_lowest_id(self) -> None:
        deals = [deal(9, 20, contact_id=1), deal(10, 20, contact_id=1)]
        leads = [lead(5, 20, contact_id=1)]
        assert match(only_call(deals, [], 10, leads=leads)) == ("started_deal", 9, "NEW")
        leads = [lead(10, 19.9, contact_id=1), lead(9, 19.9, contact_id=1)]
        assert lead_match(only_call(deals, [], 10, leads=leads)) == ("started_lead", 9, "NEW")
        # A deal that starts in an ignored pipeline is not started by a call.
        deals = [deal(9, 15, contact_id=1, category_id=IGNORED)]
        assert lead_match(only_call(deals, [], 10, leads=leads)) == ("started_lead", 9, "NEW")

    def test_a_closed_lead_is_no_after_close(self) -> None:
        for status in ("JUNK", "CONVERTED"):
            leads = [lead(5, status=status, date_closed=at(5), contact_id=1)]
            assert match(only_call([], [], 10, leads=leads)) == ("no_open_card", None, None)

    def test_a_lead_on_the_unknown_status_keeps_the_call_in_the_leads(self) -> None:
        call = only_call([], [], 10, leads=[lead(5, 0, "JUNK", date_closed=at(20), contact_id=1)])
        assert lead_match(call) == ("open_lead", 5, None)
        (load,) = call_load([call], RULES)
        assert (load.category_id, load.stage_id, load.bucket) == (-1, None, "open_lead")


class TestCallLoad:
    def test_calls_add_up_by_local_date_and_stage_or_bucket(self) -> None:
        rows = [
            call_row(1, 0, call_type=2),
            call_row(2, 20 * 60 + 59, call_duration=10),  # 23:59 in Moscow
            call_row(3, 21 * 60),  # midnight there
            call_row(4, 0, phone_number=OTHER_PHONE, call_failed_code="304"),
            call_row(5, 0, call_type=5),
        ]
        found = portal([deal(5, contact_id=1)], [], rows, [Contact(1, phones=(PHONE,))])
        load = [
            (
                row.called_on,
                row.stage_id,
                row.bucket,
                row.calls,
                row.inbound,
                row.outbound,
                row.answered,
                row.successful,
                row.talk_seconds,
            )
            for row in call_load(calls(found, RULES), RULES)
        ]
        assert load == [
            (dt.date(2024, 2, 1), None, "unknown_number", 1, 0, 1, 0, 0, 0),
            (dt.date(2024, 2, 1), "NEW", None, 2, 1, 1, 2, 1, 70),
            (dt.date(2024, 2, 2), "NEW", None, 1, 0, 1, 1, 1, 60),
        ]


class TestRandomPortals:
    def test_they_reach_every_rule_and_hold_the_truths(self) -> None:
        methods: Counter[str] = Counter()
        flags: Counter[str] = Counter()
        for seed in range(300):
            found = random_portal(random.Random(seed))
            stays_found = visits(found, RANDOM_RULES)
            calls_found = calls(found, RANDOM_RULES)
            methods.update(call.match_method for call in calls_found)
            flags["ambiguous"] += sum(call.is_ambiguous for call in calls_found)
            flags["ambiguous lead"] += sum(
                call.is_ambiguous and call.card_type == "lead" for call in calls_found
            )
            flags["shared"] += sum(call.is_shared_number for call in calls_found)
            flags["inferred"] += sum(v.is_inferred for v in stays_found)
            flags["before"] += sum(v.is_before_creation for v in stays_found)
            flags["zero"] += sum(v.entered_at == v.left_at for v in stays_found)
            assert all(v.left_at is None or v.left_at >= v.entered_at for v in stays_found)
            assert max((v.entered_at for v in stays_found), default=0) <= found.clock
            load = call_load(calls_found, RANDOM_RULES)
            assert sum(row.calls for row in load) == sum(c.is_external for c in calls_found)
            runs = closes(found, RANDOM_RULES)
            flags["setter's win moved on"] += sum(
                c.is_counted and c.ended_at is not None for c in runs
            )
            flags["repeat"] += sum(repeat_deals(found, RANDOM_RULES).values())
            # Of a deal's runs the one that stands counts, and only a setter's beside it.
            standing = {close.deal_id for close in runs if close.ended_at is None}
            closed = (c for c in deal_closes(found, RANDOM_RULES) if c.outcome != "open")
            assert standing == {close.deal_id for close in closed}
        assert len(methods) == 13
        assert min(methods.values()) >= 40, methods
        assert len(flags) == 8
        assert min(flags.values()) >= 15, flags

    def test_the_order_of_the_records_does_not_matter(self) -> None:
        for seed in range(50):
            found = random_portal(random.Random(seed))
            turned = replace(
                found,
                contacts=found.contacts[::-1],
                deals=found.deals[::-1],
                stage_history=found.stage_history[::-1],
                leads=found.leads[::-1],
                lead_history=found.lead_history[::-1],
                activities=found.activities[::-1],
                calls=found.calls[::-1],
            )
            assert visits(found, RANDOM_RULES) == visits(turned, RANDOM_RULES)
            assert closes(found, RANDOM_RULES) == closes(turned, RANDOM_RULES)
            assert calls(found, RANDOM_RULES) == calls(turned, RANDOM_RULES)

    def test_a_written_portal_reads_back_equal(self, tmp_path: Path) -> None:
        portals = [random_portal(random.Random(seed)) for seed in range(3)]
        files = write_portals(portals, tmp_path)
        assert list(files) == ["p0001", "p0002", "p0003"]
        assert [read_store(path) for path in files.values()] == portals
        with pytest.raises(FileExistsError):
            write_portal(portals[0], files["p0001"])

    def test_a_client_with_thousands_of_calls_is_no_slower(self) -> None:
        """20,000 calls, 2,000 of one contact with 50 deals: 0.3 s; a quadratic index, minutes."""
        deals = [deal(n, n, contact_id=1 if n <= 50 else n) for n in range(1, 5001)]
        history = [
            row
            for n in range(1, 5001)
            for row in moves(n, (n, n, "NEW"), (n + 5000, n + 9, "WORK"))
        ]
        people = [Contact(n, phones=(f"+7912{n:07d}",)) for n in range(1, 5001)]
        rows = [
            call_row(n, n, phone_number=f"+7912{1 if n <= 2000 else n % 5000 + 1:07d}")
            for n in range(1, 20_001)
        ]
        found = calls(portal(deals, history, rows, people), RULES)
        assert Counter(c.client for c in found)["contact", 1] >= 2000
