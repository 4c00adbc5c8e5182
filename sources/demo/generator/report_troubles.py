"""Planted troubles that only a report shows: habits, cards and weeks out of line.

Each has accounts of its own. Who is to be found by a signal is of the department that
`companies/demo/sellers.csv` names, and besides the trouble does a small seller's usual work, so
that medians of sellers stay what they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from sources.demo.generator.people import CAMPAIGN_NAME, CAMPAIGN_TEAM, NEW_TEAM, PARTNERS_TEAM
from sources.demo.generator.planter import MINUTE, Card, Entry, Planter
from sources.demo.generator.rhythm import DAY, HOUR

_PATH = ("NEW", "PREPARATION", "PREPAYMENT_INVOICE", "EXECUTING", "FINAL_INVOICE", "WON")
_MONTHS = 9
_USUAL_AMOUNT = 90_000
_OPEN_CARDS_LIMIT = 60
"""Of the company's rules: nothing of companies/demo changes it."""
_FIRST_MONDAY = 4
"""1970-01-05, counted in days since 1970."""


def _account(planter: Planter, department: int = PARTNERS_TEAM, days: int = 272) -> int:
    """An account in use, registered so many days ago."""
    clock = planter.site.setting.clock
    return planter.user(
        is_active=True,
        registered=planter.day(days) + 9 * HOUR,
        last_login=clock - 9 * HOUR,
        last_activity=clock - HOUR,
        department=department,
    )


def _months(planter: Planter) -> list[tuple[int, int]]:
    """Local seconds of the last months, oldest first; the last one ends with the clock."""
    clock = planter.site.setting.clock
    last = np.datetime64(clock, "s").astype("datetime64[M]")
    starts = [
        int((last - back).astype("datetime64[s]").astype(np.int64))
        for back in range(_MONTHS - 1, -1, -1)
    ]
    return list(zip(starts, [*starts[1:], clock], strict=True))


def _month_name(month: tuple[int, int]) -> str:
    return _date(month[0])


def _date(local: int) -> str:
    return str(np.datetime64(local, "s").astype("datetime64[D]"))


def _win(
    planter: Planter,
    user: int,
    month: tuple[int, int],
    *,
    talks: int,
    writes_notes: bool,
    calls_before_win: bool,
    amount: int = _USUAL_AMOUNT,
) -> Card:
    """A deal won within the month, with talks about it.

    Args:
        planter: of the trouble.
        user: owner and talker.
        month: first moment and the one after the last.
        talks: outgoing answered calls; some of them short.
        writes_notes: a comment follows each talk.
        calls_before_win: the last talk is right before the win; else nobody talks on that day.
        amount: in roubles.
    """
    moments = planter.slots(len(_PATH) + talks, *month)
    created, *between, last = moments
    won = last + 5 * MINUTE if calls_before_win else last
    moves = sorted(int(n) for n in planter.rng.choice(len(between), 4, replace=False))
    steps = [(created, _PATH[0])]
    steps += [(between[place], stage) for place, stage in zip(moves, _PATH[1:-1], strict=True)]
    client = planter.client(created - 60, user)
    card = planter.deal(client, user, [*steps, (won, _PATH[-1])], amount=amount)
    calls = [moment for place, moment in enumerate(between) if place not in moves]
    if calls_before_win:
        calls.append(last)
    else:
        calls = [moment for moment in calls if moment // DAY != won // DAY]
    for start in calls:
        seconds = 12 if planter.rng.random() < 0.1 else int(planter.rng.integers(50, 230))
        planter.call(user, start, client, seconds=seconds, activity_of=card)
        if writes_notes:
            written = start + seconds + int(planter.rng.integers(30, 900))
            planter.comment(card, user, written, _note(planter))
    return card


def _note(planter: Planter) -> str:
    return f"Обсудили смету {int(planter.rng.integers(100, 100_000))}, ждём ответа."


def _short_calls(planter: Planter) -> list[Entry]:
    """Answered and hung up: thirty calls of some seconds in the last five full working days."""
    user = _account(planter, NEW_TEAM)
    for month in _months(planter):
        _win(planter, user, month, talks=12, writes_notes=True, calls_before_win=True)
    clients = [planter.client(planter.day(20) + 9 * HOUR + n, user) for n in range(12)]
    calls = []
    days = sorted({planter.day(back) for back in range(1, 8)})[-5:]
    for place, day in enumerate(days):
        for number, start in enumerate(planter.slots(7, day, day + DAY)):
            client = clients[(7 * place + number) % len(clients)]
            is_short = number < 6
            seconds = int(planter.rng.integers(5, 15)) if is_short else 75
            call = planter.call(user, start, client, seconds=seconds, names_client=True)
            if is_short:
                calls.append(call)
    return [{"user_id": user, "call_ids": calls}]


def _record_months(planter: Planter) -> list[Entry]:
    """Three records one after the other, made with hardly any calls."""
    user = _account(planter, NEW_TEAM, days=335)
    records = {5: (4, 150_000), 6: (5, 160_000), 7: (8, 170_000)}
    months = _months(planter)
    won = {}
    for place, month in enumerate(months):
        wins, amount = records.get(place, (1, _USUAL_AMOUNT))
        for _ in range(wins):
            talks = 1 if place in records else 3
            _win(
                planter,
                user,
                month,
                talks=talks,
                writes_notes=False,
                calls_before_win=False,
                amount=amount,
            )
        if place in records:
            won[_month_name(month)] = {"won": wins, "won_amount": wins * amount}
    return [{"user_id": user, "months": won}]


def _calls_without_trace(planter: Planter) -> list[Entry]:
    """Talks after which nothing is written down, two months long."""
    user = _account(planter, NEW_TEAM)
    months = _months(planter)
    silent = months[-3:-1]
    for month in months:
        _win(
            planter, user, month, talks=12, writes_notes=month not in silent, calls_before_win=True
        )
    calls = []
    for month in silent:
        created = month[0] - 3 * DAY
        cards = []
        for number in range(3):
            client = planter.client(created + number, user)
            cards.append((client, planter.deal(client, user, [(created + HOUR + number, "NEW")])))
        for number, start in enumerate(planter.slots(26, *month)):
            client, card = cards[number % len(cards)]
            calls.append(planter.call(user, start, client, seconds=120, activity_of=card))
    return [{"user_id": user, "call_ids": calls, "months": [_month_name(m) for m in silent]}]


def _cards_changed_without_call(planter: Planter) -> list[Entry]:
    """Cards moved on without a word to the client, and all of them into one stage."""
    user = _account(planter, NEW_TEAM)
    months = _months(planter)
    busy = months[-2]
    for month in months:
        _win(planter, user, month, talks=4, writes_notes=False, calls_before_win=False)
    created = planter.slots(24, planter.day(85), busy[0])
    moved = planter.slots(24, *busy)
    steps = [
        [(first, "NEW"), (second, "PREPARATION")]
        for first, second in zip(created, moved, strict=True)
    ]
    steps += [[(first, "NEW")] for first in planter.slots(4, *months[-1])]
    cards = [_planned(planter, user, steps_of_card) for steps_of_card in steps]
    return [
        {
            "user_id": user,
            "deal_ids": cards[:24],
            "open_deals": len(cards),
            "month": _month_name(busy),
            "category_id": 0,
            "stage_id": "PREPARATION",
        }
    ]


def _planned(planter: Planter, user: int, steps: Sequence[tuple[int, str]]) -> Card:
    """A deal with a task ahead."""
    card = planter.deal(planter.client(steps[0][0] - 60, user), user, steps)
    given = steps[-1][0] + 2 * MINUTE
    deadline = planter.site.setting.clock // DAY * DAY + int(planter.rng.integers(2, 9)) * DAY
    planter.task(card, user, given, [(given, deadline + 12 * HOUR)])
    return card


def _canned_comments(planter: Planter) -> list[Entry]:
    """A month of comments that say nothing: empty ones and the same two again and again."""
    user = _account(planter, NEW_TEAM)
    months = _months(planter)
    month = months[-2]
    for each in months:
        _win(planter, user, each, talks=9, writes_notes=True, calls_before_win=False)
    created = planter.day(66) + 10 * HOUR
    client = planter.client(created - 60, user)
    card = planter.deal(client, user, [(created, "NEW")])
    texts = ["", "ок", "позвонить"]
    counts = {"": 10, "ок": 9, "позвонить": 6}
    moments = planter.slots(sum(counts.values()), *month)
    told = [text for text in texts for _ in range(counts[text])]
    comments = [
        planter.comment(card, user, written, text)
        for written, text in zip(moments, told, strict=True)
    ]
    return [
        {
            "user_id": user,
            "comment_ids": comments,
            "empty": counts[""],
            "repeated": counts["ок"] + counts["позвонить"],
            "month": _month_name(month),
        }
    ]


def _forgotten_cards(planter: Planter) -> list[Entry]:
    """Cards on key stages that nobody has touched for twenty days, and some that look like it."""
    user = _account(planter)

    def card(
        stages: Sequence[str],
        stands_for: int,
        *,
        called: int = 0,
        commented: int = 0,
        is_planned: bool = False,
    ) -> Card:
        """A card that came to its stage so many days ago, called or commented so many ago."""
        (moved,) = planter.slots(1, planter.day(stands_for), planter.day(stands_for) + DAY)
        steps = [
            (moved - (len(stages) - 1 - place) * DAY, stage) for place, stage in enumerate(stages)
        ]
        client = planter.client(steps[0][0] - 60, user)
        made = planter.deal(client, user, steps)
        if called:
            (start,) = planter.slots(1, planter.day(called), planter.day(called) + DAY)
            planter.call(user, start, client, activity_of=made)
        if commented:
            (written,) = planter.slots(1, planter.day(commented), planter.day(commented) + DAY)
            planter.comment(made, user, written, _note(planter))
        if is_planned:
            given = moved + 2 * MINUTE
            planter.task(made, user, given, [(given, planter.site.setting.clock + 3 * DAY)])
        return made

    offer = ("NEW", "PREPARATION", "PREPAYMENT_INVOICE")
    contract = (*offer, "EXECUTING")
    planned = card(offer, 45, is_planned=True)
    forgotten = [
        card(offer, 33),
        planned,
        card(contract, 60, called=22),
        card(("C1:NEW", "C1:PREPARATION", "C1:UC_SAMPLE", "C1:PREPAYMENT_INVOICE"), 30),
    ]
    remembered = [
        card(contract, 40, called=10),
        card(offer, 40, commented=12),
        card(contract, 15),
        card(("NEW", "PREPARATION"), 50),
    ]
    return [
        {
            "user_id": user,
            "deal_ids": forgotten,
            "planned_deal_ids": [planned],
            "other_deal_ids": remembered,
        }
    ]


def _overload(planter: Planter) -> list[Entry]:
    """More open deals than anybody can work on, all of them looked after."""
    user = _account(planter)
    clock = planter.site.setting.clock
    lately = planter.day(18)
    old = planter.slots(51, planter.day(60), lately)
    new = planter.slots(13, lately, clock)
    lives = [[moment] for moment in old]
    lives = [
        [*life, *planter.slots(1 + place % 4, lately, clock)] for place, life in enumerate(lives)
    ]
    lives += [[moment] for moment in new]
    cards = [
        planter.deal(
            planter.client(life[0] - 60, user),
            user,
            list(zip(life, _PATH[: len(life)], strict=True)),
        )
        for life in lives
    ]
    over_since = _date(sorted(life[0] for life in lives)[_OPEN_CARDS_LIMIT])
    return [{"user_id": user, "deal_ids": cards, "over_since": over_since}]


def _graveyard(planter: Planter) -> list[Entry]:
    """Open cards without a next step that nobody has touched for a month."""
    user = _account(planter)
    created = planter.slots(24, planter.day(120), planter.day(80))
    further = planter.slots(24, planter.day(79), planter.day(40))
    path = ("C1:NEW", "C1:PREPARATION", "C1:UC_SAMPLE")
    dead, alive = [], []
    for number, first in enumerate(created):
        moves = [first, further[number], further[number] + 3 * HOUR][: 1 + number % 3]
        steps = list(zip(moves, path, strict=False))
        if number < 20:
            dead.append(planter.deal(planter.client(first - 60, user), user, steps))
        else:
            alive.append(_planned(planter, user, steps))
    return [{"user_id": user, "category_id": 1, "deal_ids": dead, "other_deal_ids": alive}]


def _let_go(planter: Planter) -> list[Entry]:
    """Lost deals that nobody did anything for after the proposal, beside some that were worked."""
    user = _account(planter)

    def lost(number: int, touches: int, *, is_proposed: bool = True) -> Card:
        begins = planter.day(55 - 2 * number)
        moments = planter.slots(3 + touches, begins, begins + 16 * DAY)
        (created,) = planter.slots(1, begins - 2 * DAY, begins)
        prepared, proposed, *between, ended = moments
        stages = [(created, "NEW"), (prepared, "PREPARATION")]
        if is_proposed:
            stages.append((proposed, "PREPAYMENT_INVOICE"))
        client = planter.client(created - 60, user)
        card = planter.deal(client, user, [*stages, (ended, "LOSE")])
        for place, moment in enumerate(between):
            if place % 2:
                planter.comment(card, user, moment, _note(planter))
            else:
                planter.call(user, moment, client, activity_of=card, seconds=100)
        return card

    let_go = [lost(number, touches) for number, touches in enumerate((0, 1, 2))]
    worked = [lost(3, 3), lost(4, 0, is_proposed=False)]
    return [{"user_id": user, "deal_ids": let_go, "other_deal_ids": worked}]


def _week_of_silence(planter: Planter) -> list[Entry]:
    """A department that calls every day, but hardly in the last full week."""
    user = _account(planter, CAMPAIGN_TEAM)
    setting = planter.site.setting
    today = setting.clock // DAY
    monday = today - (today - _FIRST_MONDAY) % 7
    clients = [planter.client(planter.day(100) + 9 * HOUR + n, user) for n in range(8)]
    days = np.arange(monday - 12 * 7, today)
    is_quiet = (days >= monday - 7) & (days < monday) & (days != monday - 4)
    days = days[setting.rhythm.is_working(days) & ~is_quiet]
    starts = [
        start for day in days for start in planter.slots(2, int(day) * DAY, int(day + 1) * DAY)
    ]
    for number, start in enumerate(starts):
        client = clients[number % len(clients)]
        planter.call(user, start, client, seconds=95, names_client=True)
    week = _date((monday - 7) * DAY)
    return [{"user_id": user, "department": CAMPAIGN_NAME, "week": week}]


REPORT_TROUBLES: Mapping[str, Callable[[Planter], list[Entry]]] = {
    "short_calls": _short_calls,
    "record_months": _record_months,
    "calls_without_trace": _calls_without_trace,
    "cards_changed_without_call": _cards_changed_without_call,
    "canned_comments": _canned_comments,
    "forgotten_cards": _forgotten_cards,
    "overload": _overload,
    "graveyard": _graveyard,
    "let_go": _let_go,
    "week_of_silence": _week_of_silence,
}
"""Name to function, in the order of their slots."""
