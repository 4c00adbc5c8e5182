"""The portal's tasks, comments, chats, and what calls are bound to beside their owner."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from sources.demo.generator.dictionaries import LEAD_STATUSES
from sources.demo.generator.records import (
    ACTIVITY_OF_CLIENT,
    ANSWERED,
    CHAT,
    E_MAIL_RECEIVED,
    END_OF_TIME,
    INFORMATIONAL,
    IS_FINAL,
    NONE,
    ONLINE_SOURCES,
    TASK,
    Assignments,
    Bindings,
    Calls,
    Comments,
    Deals,
    Ints,
    Leads,
    Setting,
    TaskEvents,
    Traces,
    Visits,
    concatenated,
    taken,
)
from sources.demo.generator.rhythm import DAY, HOUR, Seconds
from sources.demo.generator.streams import stream

_MARGIN = 45
"""Seconds before the clock after which nothing happens."""

TASK_TITLES = (
    "Подготовить коммерческое предложение",
    "Отправить договор на согласование",
    "Уточнить технические данные объекта",
    "Согласовать дату замера",
    "Проверить наличие на складе",
    "Передать документы в бухгалтерию",
    "Напомнить клиенту о решении",
)
WAITING, IN_PROGRESS, SUPPOSEDLY_COMPLETED, COMPLETED, DEFERRED = range(2, 7)
"""Statuses of the portal's tasks (vendor's page tasks/fields)."""
TASK_FIELDS = ("NEW", "RESPONSIBLE_ID", "STATUS", "DEADLINE")
NEW_TASK, RESPONSIBLE, STATUS, DEADLINE = range(4)

COMMENTS: tuple[tuple[str, float], ...] = (
    ("", 3.0),
    ("перезвонить", 6.0),
    ("перезвонить позже", 3.0),
    ("не дозвонился", 3.0),
    ("думает", 2.0),
    (".", 1.0),
    ("Выслал КП на {} тыс. ₽, ждём решения до конца недели.", 8.0),
    ("Нужен расчёт на второй этаж, {} м², прислал план помещения.", 6.0),
    ("Сравнивает с другим поставщиком: там на {} тыс. дороже, но быстрее монтаж.", 6.0),
    ("Просит скидку на смету {}, обещал согласовать с руководителем.", 5.0),
    ("Замер назначен, заявка {}, адрес подтверждён.", 5.0),
    ("Договор {} на проверке у юриста клиента.", 4.0),
    ("Оплата после утверждения сметы {}.", 4.0),
    ("Интересует только оборудование на {} м², монтаж свой.", 4.0),
    ("Объект ещё строится, вернуться через {} дней после отделки.", 4.0),
    ("Отправил каталог и сертификаты на почту, письмо {}.", 4.0),
    ("Обсудили варианты размещения внешнего блока, до стены {} см.", 3.0),
    ("Клиент доволен объектом {}, просил контакты для знакомых.", 2.0),
)
"""Text and how often it is written: empty and canned ones too, as in every CRM. `{}` is a number:
what people write about a card is hardly ever the same twice."""

_NOTED_SHARE = 0.45
"""Share of successful calls that the talker writes a note about, within half an hour."""
_NOTED_SECONDS = 40


class WorkMaker:
    """Draws the work around cards that is neither a call nor a planned activity."""

    def __init__(
        self, setting: Setting, deals: Deals, visits: Visits, leads: Leads, calls: Calls
    ) -> None:
        self._at = setting
        self._deals = deals
        self._visits = visits
        self._leads = leads
        self._calls = calls
        self._last = setting.clock - _MARGIN

    def assignments(self) -> tuple[Assignments, TaskEvents]:
        """Tasks of deals on open stages and of leads; every change of theirs."""
        deals, visits, leads = self._deals, self._visits, self._leads
        edges = np.searchsorted(deals.created, self._at.edges)
        edges[0], edges[-1] = 0, len(deals.created)
        starts = np.r_[deals.first_visit, len(visits.deal)]
        parts: list[tuple[Assignments, TaskEvents]] = []
        for chunk, (low, high) in enumerate(pairwise(edges)):
            rng = stream(self._at.seed, "assignments", chunk)
            rows = np.arange(starts[low], starts[high])
            rows = rows[~IS_FINAL[visits.stage[rows]]]
            rows = rows[rng.random(len(rows)) < 0.18]
            deal = visits.deal[rows]
            span = np.minimum(visits.left[rows] - visits.entered[rows], 5 * DAY)
            parts.append(
                self._assigned(
                    rng,
                    from_=visits.entered[rows] + (span * rng.random(len(rows))).astype(np.int64),
                    deal=deal,
                    lead=np.full(len(deal), NONE),
                    owner=deals.owner[deal],
                    is_closed=IS_FINAL[deals.stage[deal]],
                )
            )
        rng = stream(self._at.seed, "assignments of leads")
        lead = np.flatnonzero(rng.random(len(leads.created)) < 0.12)
        is_final = np.array([status.semantics != "P" for status in LEAD_STATUSES])
        parts.append(
            self._assigned(
                rng,
                from_=leads.created[lead] + rng.integers(600, 6 * HOUR, size=len(lead)),
                deal=np.full(len(lead), NONE),
                lead=lead,
                owner=leads.owner[lead],
                is_closed=is_final[leads.status[lead]],
            )
        )
        before = np.cumsum([0, *(len(part.created) for part, _ in parts)])
        for (_, events), shift in zip(parts, before[:-1], strict=True):
            events.task = events.task + shift
        tasks = concatenated([part for part, _ in parts])
        events = concatenated([part for _, part in parts])
        order = np.argsort(tasks.created, kind="stable")
        place = np.empty(len(order), dtype=np.int32)
        place[order] = np.arange(len(order), dtype=np.int32)
        events.task = place[events.task]
        return taken(tasks, order), taken(events, np.argsort(events.time, kind="stable"))

    def _assigned(
        self,
        rng: np.random.Generator,
        *,
        from_: Seconds,
        deal: Ints,
        lead: Ints,
        owner: Ints,
        is_closed: Ints,
    ) -> tuple[Assignments, TaskEvents]:
        staff = self._at.staff
        created = self._later(rng, from_)
        kept = np.flatnonzero(created <= self._last)
        created, deal, lead, owner, is_closed = (
            column[kept] for column in (created, deal, lead, owner, is_closed)
        )
        count = len(created)
        who = rng.random(count)
        creator = np.where(who < 0.75, owner, np.where(who < 0.92, staff.director, staff.robot))
        has_deadline = rng.random(count) >= 0.1
        ahead = rng.integers(4 * HOUR, 7 * DAY, size=count)
        first = self._later(rng, created + ahead)
        # Deadlines are moved shortly before they pass, once or twice.
        moves = rng.choice(3, size=count, p=[0.8, 0.15, 0.05]) * has_deadline
        second = self._later(rng, first + rng.integers(DAY, 5 * DAY, size=count))
        third = self._later(rng, second + rng.integers(DAY, 5 * DAY, size=count))
        moved_first = first - (rng.uniform(0.02, 0.3, size=count) * (first - created)).astype(int)
        moved_second = second - (rng.uniform(0.05, 0.3, size=count) * (second - first)).astype(int)
        is_moved = np.stack([moves > 0, moves > 1]) & (
            np.stack([moved_first, moved_second]) <= self._last
        )
        deadline = np.where(is_moved[1], third, np.where(is_moved[0], second, first))
        aim = np.where(has_deadline, deadline, created + rng.integers(HOUR, 8 * DAY, size=count))
        started = created + (rng.uniform(0.05, 0.5, size=count) * (first - created)).astype(int)
        is_started = (rng.random(count) < 0.6) & (started <= self._last)
        done = self._later(rng, aim + rng.integers(-4 * HOUR, DAY, size=count))
        latest = np.maximum(
            np.where(is_moved[1], moved_second, np.where(is_moved[0], moved_first, created)),
            np.where(is_started, started, created),
        )
        done = np.maximum(done, latest + 120)
        # On a closed card few tasks stay open (Q20 finds those).
        is_done = (rng.random(count) < np.where(is_closed, 0.96, 0.86)) & (done <= self._last)
        waits_for_control = is_done & (creator == staff.director) & (rng.random(count) < 0.1)
        is_deferred = ~is_done & ~is_started & (rng.random(count) < 0.06)
        deferred = np.minimum(latest + 3 * HOUR, self._last)
        is_deferred &= deferred > latest
        given = created + 900
        changes_hands = (rng.random(count) < 0.04) & (given < np.minimum(latest, self._last))
        colleague = rng.permutation(owner)
        changes_hands &= colleague != owner
        responsible = np.where(changes_hands, colleague, owner)
        status = np.where(
            is_done,
            np.where(waits_for_control, SUPPOSEDLY_COMPLETED, COMPLETED),
            np.where(is_deferred, DEFERRED, np.where(is_started, IN_PROGRESS, WAITING)),
        )
        everyone = np.arange(count)
        from_status = np.where(is_started, IN_PROGRESS, WAITING)
        nothing = np.full(count, NONE)
        events = [
            (everyone, created, creator, NEW_TASK, nothing, nothing),
            (np.flatnonzero(changes_hands), given, owner, RESPONSIBLE, owner, colleague),
            (
                np.flatnonzero(is_started),
                started,
                responsible,
                STATUS,
                np.full(count, WAITING),
                np.full(count, IN_PROGRESS),
            ),
            (np.flatnonzero(is_moved[0]), moved_first, responsible, DEADLINE, first, second),
            (np.flatnonzero(is_moved[1]), moved_second, responsible, DEADLINE, second, third),
            (np.flatnonzero(is_deferred), deferred, responsible, STATUS, from_status, status),
            (np.flatnonzero(is_done), done, responsible, STATUS, from_status, status),
        ]
        changed = np.maximum(latest, np.where(changes_hands, given, 0))
        changed = np.where(is_done, done, np.where(is_deferred, deferred, changed))
        return (
            Assignments(
                created=created,
                deal=deal.astype(np.int32),
                lead=lead.astype(np.int32),
                title=rng.integers(0, len(TASK_TITLES), size=count).astype(np.int8),
                status=status.astype(np.int8),
                creator=creator.astype(np.int32),
                responsible=responsible.astype(np.int32),
                started=np.where(is_started, started, END_OF_TIME),
                deadline=np.where(has_deadline, deadline, END_OF_TIME),
                closed=np.where(status == COMPLETED, done, END_OF_TIME),
                changed=changed,
            ),
            concatenated(
                [
                    TaskEvents(
                        time=times[rows],
                        task=rows.astype(np.int32),
                        user=users[rows].astype(np.int32),
                        field=np.full(len(rows), field, dtype=np.int8),
                        before=old[rows].astype(np.int64),
                        after=new[rows].astype(np.int64),
                    )
                    for rows, times, users, field, old, new in events
                ]
            ),
        )

    def traces(self, tasks: Assignments) -> Traces:
        """Chats with clients, received e-mails and the activities that mirror the tasks."""
        deals, leads = self._deals, self._leads
        count = len(tasks.created)
        parts = [
            Traces(
                created=tasks.created,
                deal=tasks.deal,
                lead=tasks.lead,
                task=np.arange(count, dtype=np.int32),
                kind=np.full(count, TASK, dtype=np.int8),
                responsible=tasks.responsible,
                updated=tasks.changed,
                deadline=tasks.deadline,
                is_done=tasks.status == COMPLETED,
            )
        ]
        rng = stream(self._at.seed, "chats of leads")
        chatty = np.flatnonzero(leads.has_chat)
        created = leads.created[chatty] + rng.integers(5, 120, size=len(chatty))
        parts.append(
            self._received(rng, CHAT, created, leads.owner[chatty], lead=chatty.astype(np.int32))
        )
        for kind, share in ((CHAT, 0.16), (E_MAIL_RECEIVED, 0.14)):
            rng = stream(self._at.seed, f"received {kind}")
            # Within the card's known activity, so that the card's own columns stay true.
            span = deals.last_activity - deals.created
            likes = np.where(np.isin(deals.source, ONLINE_SOURCES), share, share / 3)
            chosen = np.flatnonzero((rng.random(len(span)) < likes) & (span > 2 * HOUR))
            part = (span[chosen] * rng.random(len(chosen)) ** 2).astype(np.int64)
            created = self._later(rng, deals.created[chosen] + part)
            fits = created <= np.minimum(deals.last_activity[chosen], self._last)
            parts.append(
                self._received(
                    rng,
                    kind,
                    created[fits],
                    deals.owner[chosen[fits]],
                    deal=chosen[fits].astype(np.int32),
                )
            )
        traces = concatenated(parts)
        return taken(traces, np.argsort(traces.created, kind="stable"))

    def _received(
        self,
        rng: np.random.Generator,
        kind: int,
        created: Seconds,
        responsible: Ints,
        *,
        deal: Ints | None = None,
        lead: Ints | None = None,
    ) -> Traces:
        count = len(created)
        nothing = np.full(count, NONE, dtype=np.int32)
        lasted = rng.integers(180, 2 * HOUR, size=count) if kind == CHAT else 0
        is_done = (created + lasted < self._last) & (rng.random(count) < 0.94)
        return Traces(
            created=created,
            deal=nothing if deal is None else deal,
            lead=nothing if lead is None else lead,
            task=nothing,
            kind=np.full(count, kind, dtype=np.int8),
            responsible=responsible.astype(np.int32),
            updated=np.where(is_done, created + lasted, created),
            deadline=np.full(count, END_OF_TIME),
            is_done=is_done,
        )

    def comments(self) -> Comments:
        """What employees write into the timelines of deals and leads."""
        deals, leads = self._deals, self._leads
        parts = []
        for name, created, until, owner in (
            ("deals", deals.created, deals.moved + 12 * DAY, deals.owner),
            ("leads", leads.created, leads.moved + HOUR, leads.owner),
        ):
            rng = stream(self._at.seed, f"comments of {name}")
            card = np.repeat(
                np.arange(len(created)), rng.poisson(0.5 if name == "deals" else 0.6, len(created))
            )
            count = len(card)
            span = np.minimum(until[card], self._last) - created[card]
            wanted = created[card] + 60 + (span * rng.random(count) ** 1.5).astype(np.int64)
            heads = np.array(list(self._at.staff.heads.values()))
            author = np.where(rng.random(count) < 0.9, owner[card], rng.choice(heads, size=count))
            nothing = np.full(count, NONE, dtype=np.int32)
            parts.append(
                self._written(
                    rng,
                    self._later(rng, wanted),
                    author,
                    deal=card.astype(np.int32) if name == "deals" else nothing,
                    lead=card.astype(np.int32) if name == "leads" else nothing,
                )
            )
        parts.append(self._call_notes())
        comments = concatenated(parts)
        return taken(comments, np.argsort(comments.created, kind="stable"))

    def _call_notes(self) -> Comments:
        """What talkers write about a deal right after they spoke."""
        calls, deals = self._calls, self._deals
        rng = stream(self._at.seed, "notes of calls")
        noted = (calls.deal >= 0) & (calls.code == ANSWERED) & (calls.seconds >= _NOTED_SECONDS)
        noted &= (deals.created[calls.deal] <= calls.start) & (calls.kind != INFORMATIONAL)
        noted &= rng.random(len(calls.start)) < _NOTED_SHARE
        call = np.flatnonzero(noted)
        count = len(call)
        return self._written(
            rng,
            calls.start[call] + calls.seconds[call] + rng.integers(20, 1_800, size=count),
            calls.talker[call],
            deal=calls.deal[call],
            lead=np.full(count, NONE, dtype=np.int32),
        )

    def _written(
        self, rng: np.random.Generator, times: Seconds, author: Ints, *, deal: Ints, lead: Ints
    ) -> Comments:
        count = len(times)
        weights = np.array([weight for _, weight in COMMENTS])
        comments = Comments(
            created=times,
            deal=deal,
            lead=lead,
            author=author.astype(np.int32),
            text=rng.choice(len(COMMENTS), size=count, p=weights / weights.sum()).astype(np.int8),
            number=rng.integers(3, 2_000, size=count).astype(np.int16),
        )
        return taken(comments, np.flatnonzero(times <= self._last))

    def bindings(self, activity_calls: Ints, call_activity: Ints) -> Bindings:
        """What some call activities name beside their owner; at most as many as there are deals.

        A call that the portal put to the client belongs to a deal of theirs, early ones to the
        deal's lead; a call put to a deal was about the client's deal before, too.
        """
        deals, calls = self._deals, self._calls
        rng = stream(self._at.seed, "bindings")
        of_client = calls.binding[activity_calls] == ACTIVITY_OF_CLIENT
        chance = rng.random(len(activity_calls))
        by_client = activity_calls[
            of_client & (chance < 0.6 * len(deals.created) / max(1, of_client.sum()))
        ]
        deal = calls.deal[by_client]
        lead = deals.lead[deal]
        start = calls.start[by_client]
        early = (lead >= 0) & (start < deals.created[deal] + 2 * DAY)
        early &= self._leads.created[lead] <= start if len(self._leads.created) else False
        named = deals.created[deal] <= start
        # Some lead's calls were never carried over to the deal.
        named &= ~early | (rng.random(len(deal)) < 0.7)
        parts = [
            _bound(calls, call_activity, by_client[named], deal=deal[named]),
            _bound(calls, call_activity, by_client[early], lead=lead[early]),
        ]
        before = self._deal_before()
        # Beside what belongs to clients: calls put to deals, of clients who had one before.
        others = activity_calls[~of_client]
        older = before[calls.deal[others]]
        twice = (older >= 0) & (rng.random(len(others)) < 0.02)
        twice &= deals.created[older] <= calls.start[others]
        parts.append(_bound(calls, call_activity, others[twice], deal=older[twice]))
        also = by_client[named]
        older = before[calls.deal[also]]
        twice = (older >= 0) & (rng.random(len(also)) < 0.15)
        twice &= deals.created[older] <= calls.start[also]
        parts.append(_bound(calls, call_activity, also[twice], deal=older[twice]))
        bindings = concatenated(parts)
        return taken(bindings, np.lexsort((bindings.deal, bindings.activity)))

    def _deal_before(self) -> Ints:
        """For each deal the same client's deal before it."""
        contact = self._deals.contact
        order = np.argsort(contact, kind="stable")
        same = contact[order[1:]] == contact[order[:-1]]
        before = np.full(len(contact), NONE, dtype=np.int32)
        before[order[1:][same]] = order[:-1][same]
        return before

    def _later(self, rng: np.random.Generator, times: Seconds) -> Seconds:
        """The times in working hours; the calendar ends a year after the clock."""
        return self._at.rhythm.snap_forward(rng, times.clip(max=self._at.clock + 60 * DAY))


def _bound(
    calls: Calls,
    call_activity: Ints,
    call: Ints,
    *,
    deal: Ints | None = None,
    lead: Ints | None = None,
) -> Bindings:
    nothing = np.full(len(call), NONE, dtype=np.int32)
    return Bindings(
        created=calls.start[call],
        activity=call_activity[call],
        deal=nothing if deal is None else deal.astype(np.int32),
        lead=nothing if lead is None else lead.astype(np.int32),
    )
