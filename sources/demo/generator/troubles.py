"""Planted troubles: what real portals suffer from, each with a known right answer.

Every trouble has a number (its slot of ids), a random stream, telephone numbers, clients and deals
of its own, and its part of the day: one left out changes nothing else. What is expected of it
follows docs/definitions.md and holds whatever the rest of the company does, because nobody else
uses its clients and numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sources.demo.generator import names
from sources.demo.generator.frames import Chunk
from sources.demo.generator.pipelines import CATEGORY_OF_STAGE
from sources.demo.generator.planter import (
    MINUTE,
    Entry,
    Planter,
    Site,
    text_of,
    window_start,
    working_day,
)
from sources.demo.generator.records import CALLBACK, INCOMING, OUTGOING, Plan
from sources.demo.generator.report_troubles import REPORT_TROUBLES
from sources.demo.generator.rhythm import DAY, HOUR

_TIE_DAYS = 75


def digits_grow_at(plan: Plan) -> int:
    """When deal ids get one more digit: at the first deal of the tie by id."""
    number = list(TROUBLES).index("contacts_with_two_open_deals") + 1
    return working_day(plan.setting.rhythm, plan.setting.clock, _TIE_DAYS) + window_start(number)


def _dismissed(planter: Planter, *, days_ago: int, works_for_days: int) -> Entry:
    """An inactive account with deals of every outcome and calls before the last own action."""
    last_action = planter.day(days_ago) + 17 * HOUR + 20 * MINUTE
    begins = planter.day(days_ago + works_for_days)
    user = planter.user(
        is_active=False,
        registered=begins - 200 * DAY,
        last_login=last_action - 8 * HOUR,
        last_activity=last_action,
    )
    open_deals = []
    for number in range(6):
        created = begins + (number * works_for_days // 8) * DAY + 10 * HOUR
        client = planter.client(created - 40, user)
        steps = [(created, "NEW"), (created + 2 * DAY, "PREPARATION")]
        if number == 4:
            steps += [(created + 4 * DAY, "PREPAYMENT_INVOICE"), (created + 6 * DAY, "WON")]
        elif number == 5:
            steps += [(created + 3 * DAY, "LOSE")]
        elif number % 2:
            steps += [(created + 4 * DAY, "PREPAYMENT_INVOICE")]
        card = planter.deal(client, user, steps)
        if number < 4:
            open_deals.append(card)
        # The account is silent from the day before the last own action on.
        for start in planter.slots(5, created + DAY, last_action - DAY):
            planter.call(user, start, client, activity_of=card)
    return {
        "user_id": user,
        "last_own_action_at": text_of(last_action),
        "open_deal_ids": open_deals,
    }


def _dismissed_before_first_load(planter: Planter) -> list[Entry]:
    return [_dismissed(planter, days_ago=225, works_for_days=32)]


def _dismissed_inside_period(planter: Planter) -> list[Entry]:
    return [_dismissed(planter, days_ago=95, works_for_days=120)]


def _works_after_dismissal(planter: Planter) -> list[Entry]:
    last_action = planter.day(110) + 16 * HOUR
    user = planter.user(
        is_active=False,
        registered=last_action - 700 * DAY,
        last_login=last_action - 6 * HOUR,
        last_activity=last_action,
    )
    calls = []
    for number in range(3):
        created = planter.day(150 - 5 * number) + 11 * HOUR
        client = planter.client(created - 60, planter.sellers[0])
        steps = [(created, "NEW"), (created + 3 * DAY, "PREPARATION")]
        card = planter.deal(client, planter.sellers[0], steps)
        planter.call(user, planter.at(120 - 2 * number), client, activity_of=card)
        for back in (100, 70, 40):
            start = planter.at(back - 3 * number, 5)
            calls.append(planter.call(user, start, client, activity_of=card, seconds=140))
    return [{"user_id": user, "call_ids": calls, "last_own_action_at": text_of(last_action)}]


def _shared_line(planter: Planter) -> list[Entry]:
    extension = "777"
    users = [
        planter.user(
            is_active=True,
            registered=planter.day(400),
            last_login=planter.site.setting.clock - 9 * HOUR,
            last_activity=planter.site.setting.clock - HOUR,
            extension=extension,
        )
        for _ in range(2)
    ]
    calls = []
    for number in range(4):
        created = planter.day(90 - 9 * number) + 10 * HOUR
        owner = users[number % 2]
        clients = [planter.client(created - 90 + second, owner) for second in range(2)]
        for place, client in enumerate(clients):
            steps = [(created + place, "NEW"), (created + DAY, "PREPARATION")]
            card = planter.deal(client, owner, steps)
            # Four minutes each, the second a minute and a half after the first.
            start = planter.at(80 - 9 * number, 1.5 * place)
            calls.append(planter.call(users[0], start, client, activity_of=card, seconds=240))
    return [{"extension": extension, "user_ids": users, "call_ids": calls}]


def _contacts_with_two_open_deals(planter: Planter) -> list[Entry]:
    first, second = planter.sellers
    director = planter.site.setting.staff.director
    entries = []

    # A tie in everything but the id: created and moved together by the robot, owned by nobody
    # who calls. Its deals come first in time: ids get one more digit between the two.
    created = planter.at(_TIE_DAYS)
    client = planter.client(created - 30, director)
    together = planter.at(_TIE_DAYS - 3)
    tied = [
        planter.deal(
            client,
            director,
            [(created + gap, "NEW"), (together, "PREPARATION")],
            mover=planter.site.setting.staff.robot,
        )
        for gap in (0, 45)
    ]
    calls = [
        {
            "call_id": planter.call(
                seller, planter.at(50 - number, 10), client, names_client=named
            ),
            "chosen_deal_id": tied[0],
        }
        for number, (seller, named) in enumerate(((first, True), (second, False)))
    ]
    entries.append({"contact_id": client, "deal_ids": tied, "calls": calls})

    # The talker owns one of them; the other one moved later.
    created = planter.at(70, 2)
    client = planter.client(created - 30, first)
    own = planter.deal(client, first, [(created, "NEW"), (planter.at(66), "PREPARATION")])
    other = planter.deal(
        client,
        second,
        [(planter.at(68, 3), "NEW"), (planter.at(60), "PREPAYMENT_INVOICE")],
    )
    calls = [
        {
            "call_id": planter.call(first, planter.at(47, 10), client, names_client=True),
            "chosen_deal_id": own,
        },
        {
            "call_id": planter.call(second, planter.at(46, 10), client, kind=INCOMING),
            "chosen_deal_id": other,
        },
    ]
    entries.append({"contact_id": client, "deal_ids": [own, other], "calls": calls})

    # The talker owns neither: the latest stage entry before the call decides, and it changes.
    created = planter.at(64, 4)
    client = planter.client(created - 30, director)
    early = planter.deal(
        client,
        director,
        [(created, "NEW"), (planter.at(55), "PREPARATION"), (planter.at(35), "EXECUTING")],
    )
    late = planter.deal(
        client, director, [(planter.at(62, 5), "NEW"), (planter.at(52), "PREPARATION")]
    )
    calls = [
        {
            "call_id": planter.call(first, planter.at(54, 20), client, names_client=True),
            "chosen_deal_id": early,
        },
        {
            "call_id": planter.call(first, planter.at(45, 20), client, names_client=True),
            "chosen_deal_id": late,
        },
        {
            "call_id": planter.call(second, planter.at(28, 20), client),
            "chosen_deal_id": early,
        },
    ]
    entries.append({"contact_id": client, "deal_ids": [early, late], "calls": calls})
    return entries


def _calls_in_the_second_of_a_move(planter: Planter) -> list[Entry]:
    entries = []
    cases = (
        ("NEW", "PREPARATION", "PREPAYMENT_INVOICE", False),
        ("C1:NEW", "C1:PREPARATION", "C1:UC_SAMPLE", True),
        ("C2:NEW", "C2:UC_CALL", "C2:PREPARATION", False),
    )
    for number, (first, second, third, is_bound) in enumerate(cases):
        seller = planter.sellers[number % 2]
        created = planter.at(84 - 7 * number)
        move, next_move = planter.at(80 - 7 * number, 4), planter.at(77 - 7 * number, 4)
        client = planter.client(created - 50, seller)
        card = planter.deal(client, seller, [(created, first), (move, second), (next_move, third)])
        for moment, stage_id in ((move, second), (next_move, third)):
            call = planter.call(
                seller,
                moment,
                client,
                names_client=True,
                activity_of=card if is_bound else None,
            )
            entries.append(
                {
                    "call_id": call,
                    "deal_id": card,
                    "category_id": CATEGORY_OF_STAGE[stage_id],
                    "stage_id": stage_id,
                }
            )
    return entries


def _stage_revisits(planter: Planter) -> list[Entry]:
    entries = []
    lives = (
        ("NEW", "PREPARATION", "PREPAYMENT_INVOICE", "PREPARATION", "PREPAYMENT_INVOICE"),
        ("NEW", "PREPARATION", "EXECUTING", "PREPARATION", "EXECUTING", "PREPARATION"),
        ("C1:NEW", "C1:PREPARATION", "C1:NEW", "C1:PREPARATION", "C1:EXECUTING", "C1:WON"),
        ("C3:NEW", "C3:EXECUTING", "C3:PREPARATION", "C3:EXECUTING", "C3:LOSE"),
    )
    for number, stages in enumerate(lives):
        begins = 88 - 6 * number
        steps = [(planter.at(begins - 5 * step, step), stage) for step, stage in enumerate(stages)]
        client = planter.client(steps[0][0] - 60, planter.sellers[0])
        card = planter.deal(client, planter.sellers[0], steps)
        entries += [
            {
                "deal_id": card,
                "category_id": CATEGORY_OF_STAGE[stage],
                "stage_id": stage,
                "visits": stages.count(stage),
            }
            for stage in dict.fromkeys(stages)
            if stages.count(stage) > 1
        ]
    return entries


def _moved_between_pipelines(planter: Planter) -> list[Entry]:
    entries = []
    lives: tuple[tuple[tuple[str, ...], int], ...] = (
        (("C2:NEW", "C2:UC_CALL", "C2:PREPARATION", "NEW", "PREPARATION"), 3),
        (("C2:NEW", "C2:PREPARATION", "C2:WON", "NEW", "PREPARATION", "EXECUTING", "WON"), 3),
        (("NEW", "PREPARATION", "C1:NEW", "C1:PREPARATION", "C1:LOSE"), 2),
        (("C1:NEW", "C1:PREPARATION", "PREPARATION", "PREPAYMENT_INVOICE"), 2),
    )
    for number, (stages, position) in enumerate(lives):
        begins = 86 - 8 * number
        steps = [(planter.at(begins - 4 * step, step), stage) for step, stage in enumerate(stages)]
        client = planter.client(steps[0][0] - 60, planter.sellers[1])
        card = planter.deal(client, planter.sellers[1], steps)
        entries.append(
            {
                "deal_id": card,
                "from_category_id": CATEGORY_OF_STAGE[stages[position - 1]],
                "to_category_id": CATEGORY_OF_STAGE[stages[position]],
                "moved_at": text_of(steps[position][0]),
            }
        )
    return entries


def _lost_to_other_lost(planter: Planter) -> list[Entry]:
    entries = []
    lives = (
        ("NEW", "PREPARATION", "LOSE", "APOLOGY"),
        ("C1:NEW", "C1:PREPARATION", "C1:LOSE", "C1:UC_PRICE"),
        ("C2:NEW", "C2:LOSE", "C2:APOLOGY"),
    )
    for number, stages in enumerate(lives):
        begins = 82 - 10 * number
        steps = [(planter.at(begins - 9 * step, step), stage) for step, stage in enumerate(stages)]
        client = planter.client(steps[0][0] - 60, planter.sellers[0])
        card = planter.deal(client, planter.sellers[0], steps)
        entries.append(
            {
                "deal_id": card,
                "first_lost_at": text_of(steps[-2][0]),
                "second_lost_at": text_of(steps[-1][0]),
                "stage_ids": list(stages[-2:]),
            }
        )
    return entries


def _zero_amount_wins(planter: Planter) -> list[Entry]:
    entries = []
    for number, stages in enumerate(
        (("NEW", "EXECUTING", "WON"), ("NEW", "WON"), ("C2:NEW", "C2:PREPARATION", "C2:WON"))
    ):
        begins = 40 - 6 * number
        steps = [(planter.at(begins - 4 * step, step), stage) for step, stage in enumerate(stages)]
        client = planter.client(steps[0][0] - 60, planter.sellers[1])
        card = planter.deal(client, planter.sellers[1], steps, amount=0)
        entries.append({"deal_id": card})
    return entries


def _missed_never_called_back(planter: Planter) -> list[Entry]:
    entries: list[Entry] = []
    for number in range(3):
        created = planter.at(60 - 6 * number)
        client = planter.client(created - 60, planter.sellers[0])
        planter.deal(client, planter.sellers[0], [(created, "NEW"), (created + DAY, "PREPARATION")])
        start = planter.at(33 - 7 * number, 4)
        call = planter.call(
            planter.sellers[0],
            start,
            client,
            seconds=0,
            kind=INCOMING,
            code="304",
            activity_of=client,
        )
        entries.append({"call_id": call, "phone": client.phone, "contact_id": client})
    number = planter.free_number()
    call = planter.call(
        planter.sellers[1], planter.at(12, 4), number=number, seconds=0, kind=INCOMING, code="304"
    )
    phone = f"+{names.COUNTRY + number}"
    entries.append({"call_id": call, "phone": phone, "contact_id": None})
    return entries


def _calls_after_close(planter: Planter) -> list[Entry]:
    entries = []
    cases = (
        ("WON", 10, False, "after_close"),
        ("LOSE", 29, False, "after_close"),
        ("WON", 31, False, "no_open_card"),
        ("LOSE", 45, False, "no_open_card"),
        ("WON", 60, True, "after_close"),
        ("LOSE", 2, True, "after_close"),
    )
    for number, (final, days, is_bound, method) in enumerate(cases):
        # The call is on a working day; the close a whole number of days before it, to the minute.
        start = planter.at(7 + number, 12)
        closed = start - days * DAY
        steps = [
            (closed - 12 * DAY, "NEW"),
            (closed - 9 * DAY, "PREPAYMENT_INVOICE"),
            (closed, final),
        ]
        seller = planter.sellers[number % 2]
        client = planter.client(steps[0][0] - 60, seller)
        card = planter.deal(client, seller, steps)
        call = planter.call(
            seller,
            start + 20 * number,
            client,
            kind=INCOMING,
            seconds=15,
            names_client=True,
            activity_of=card if is_bound else None,
        )
        entries.append(
            {"call_id": call, "deal_id": card, "days_after": days, "expected_method": method}
        )
    return entries


def _calls_bound_to_a_later_deal(planter: Planter) -> list[Entry]:
    entries = []
    for number, minutes in enumerate((12, 59, 61, 2_880)):
        created = planter.at(58 - 5 * number, 30)
        start = created - minutes * MINUTE
        seller = planter.site.setting.staff.director
        client = planter.client(start - 60, seller)
        card = planter.deal(client, seller, [(created, "NEW"), (created + 2 * DAY, "PREPARATION")])
        call = planter.call(seller, start, client, kind=INCOMING, activity_of=card)
        entries.append(
            {
                "call_id": call,
                "deal_id": card,
                "minutes_before": minutes,
                "expected_method": "started_deal" if minutes <= 60 else "before_deal",
            }
        )
    return entries


def _contact_with_thousands_of_calls(planter: Planter) -> list[Entry]:
    setting = planter.site.setting
    third_day = setting.edges[:1] // DAY + 2
    first = int(setting.rhythm.next_working(third_day)[0]) * DAY
    user = planter.user(
        is_active=True,
        registered=first - 300 * DAY,
        last_login=setting.clock - 9 * HOUR,
        last_activity=setting.clock - HOUR,
    )
    client = planter.client(first - DAY // 2, user)
    card = planter.deal(
        client, user, [(first - DAY // 4, "NEW"), (first + 20 * DAY, "PREPARATION")]
    )
    for start in planter.slots(setting.size.heavy_calls, first, setting.clock):
        chance = planter.rng.random(4)
        kind = OUTGOING if chance[0] < 0.7 else INCOMING if chance[0] < 0.95 else CALLBACK
        is_answered = chance[1] < 0.85
        failed = "304" if kind == INCOMING else "480"
        planter.call(
            user,
            start,
            client,
            seconds=int(5 + chance[2] * 290) if is_answered else 0,
            kind=kind,
            code="200" if is_answered else failed,
            names_client=True,
            activity_of=card if chance[3] < 0.5 else client if chance[3] < 0.8 else None,
        )
    return [{"contact_id": client, "calls": setting.size.heavy_calls}]


def _moved_deadlines(planter: Planter) -> list[Entry]:
    setting = planter.site.setting
    user = planter.user(
        is_active=True,
        registered=planter.day(420),
        last_login=setting.clock - 9 * HOUR,
        last_activity=setting.clock - HOUR,
    )
    tasks, cards = [], []
    moves = 0
    for number in range(5):
        created = planter.day(70 - 6 * number) + 10 * HOUR
        client = planter.client(created - 60, user)
        steps = [(created, "NEW"), (created + DAY, "PREPARATION"), (created + 4 * DAY, "EXECUTING")]
        card = planter.deal(client, user, steps)
        (start,) = planter.slots(1, created + DAY, created + 5 * DAY)
        planter.call(user, start, client, activity_of=card)
        # The task follows the only call; from then on nothing happens but the moving.
        given = max(start + HOUR, created + 5 * DAY)
        deadlines = [(given, given + 2 * DAY)]
        while len(deadlines) < 6 + number:
            before = deadlines[-1][1]
            deadlines.append((before - 40 * MINUTE, before + (3 + number) * DAY))
        deadlines = [item for item in deadlines if item[0] < setting.clock - HOUR]
        tasks.append(planter.task(card, user, given, deadlines))
        cards.append(card)
        moves += len(deadlines) - 1
    return [{"user_id": user, "task_ids": tasks, "deal_ids": cards, "moves": moves}]


TROUBLES: Mapping[str, Callable[[Planter], list[Entry]]] = {
    "dismissed_before_first_load": _dismissed_before_first_load,
    "dismissed_inside_period": _dismissed_inside_period,
    "works_after_dismissal": _works_after_dismissal,
    "shared_line": _shared_line,
    "contacts_with_two_open_deals": _contacts_with_two_open_deals,
    "calls_in_the_second_of_a_move": _calls_in_the_second_of_a_move,
    "stage_revisits": _stage_revisits,
    "moved_between_pipelines": _moved_between_pipelines,
    "lost_to_other_lost": _lost_to_other_lost,
    "zero_amount_wins": _zero_amount_wins,
    "missed_never_called_back": _missed_never_called_back,
    "calls_after_close": _calls_after_close,
    "calls_bound_to_a_later_deal": _calls_bound_to_a_later_deal,
    "contact_with_thousands_of_calls": _contact_with_thousands_of_calls,
    "moved_deadlines": _moved_deadlines,
    **REPORT_TROUBLES,
}
"""Name to function, in the order of their slots; append only, a changed order changes ids."""


def plant(name: str, site: Site) -> Chunk:
    """All records of one trouble and what it consists of."""
    planter = Planter(name, list(TROUBLES).index(name) + 1, site)
    return planter.finish(name, TROUBLES[name](planter))
