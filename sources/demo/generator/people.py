"""Departments and employees of the invented company."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sources.demo.generator.names import GIVEN_NAMES, PATRONYMICS, SURNAMES, draw_names
from sources.demo.generator.pipelines import OLD_SALES, SALES, SERVICE, SETTER, WHOLESALE
from sources.demo.generator.rhythm import DAY, HOUR, to_microseconds
from sources.demo.generator.streams import apportion, stream

COMPANY, SALES_TEAM, WHOLESALE_TEAM, SETTER_TEAM, SERVICE_TEAM = range(1, 6)
PARTNERS_TEAM, NEW_TEAM, CAMPAIGN_TEAM = 6, 7, 8
"""Departments of accounts that only planted troubles use; the second one's are sellers."""
CAMPAIGN_NAME = "Обзвон"
FIRST_GROUP = 11
SELLERS_PER_GROUP = 15
FIRST_EXTENSION = 101
FIXED_PEOPLE = 8
"""Director, robot, four heads and the two sellers that only planted troubles use."""

_SHARES = {SALES: 0.46, WHOLESALE: 0.18, SETTER: 0.22, SERVICE: 0.14}
_TEAM = {SALES: SALES_TEAM, WHOLESALE: WHOLESALE_TEAM, SETTER: SETTER_TEAM, SERVICE: SERVICE_TEAM}
_POSITION = {
    SALES: "Менеджер по продажам",
    WHOLESALE: "Менеджер по оптовым продажам",
    SETTER: "Специалист первичного контакта",
    SERVICE: "Сервисный менеджер",
}
_HEAD = {
    SALES: "Руководитель отдела продаж",
    WHOLESALE: "Руководитель оптового отдела",
    SETTER: "Старший отдела первичного контакта",
    SERVICE: "Руководитель сервиса",
}


@dataclass
class Staff:
    """Who works here.

    Attributes:
        users: rows of the entity `user`.
        departments: rows of the entity `department`.
        director: user id.
        robot: user id of the integration's account.
        heads: category to the head's user id.
        sellers: category to those who own deals and call.
        reserved: two active sellers without random deals and calls, for planted troubles.
    """

    users: list[dict[str, Any]] = field(default_factory=list)
    departments: list[dict[str, Any]] = field(default_factory=list)
    director: int = 0
    robot: int = 0
    heads: dict[int, int] = field(default_factory=dict)
    sellers: dict[int, list[int]] = field(default_factory=dict)
    reserved: tuple[int, int] = (0, 0)


def hire(employees: int, seed: int, starts: int, clock: int) -> Staff:
    """The staff of a company of this many employees.

    Args:
        employees: accounts without those of planted troubles; at least `FIXED_PEOPLE` + 2.
        seed: of the company.
        starts: first moment of the history, local seconds.
        clock: the portal's now, local seconds.
    """
    rng = stream(seed, "people")
    others = employees - FIXED_PEOPLE
    counts = dict(zip(_SHARES, apportion(others, list(_SHARES.values())), strict=True))
    names = draw_names(rng, employees)
    surnames = rng.permutation(len(SURNAMES) // 2)
    registered = starts - rng.integers(30 * DAY, 1_500 * DAY, size=employees)
    staff = Staff()

    def add(position: str, departments: Sequence[int]) -> int:
        number = len(staff.users)
        surname = 2 * surnames[number % len(surnames)] + names.surname[number] % 2
        staff.users.append(
            user_row(
                user_id=number + 1,
                names=(
                    GIVEN_NAMES[names.given[number]],
                    PATRONYMICS[names.patronymic[number]],
                    SURNAMES[surname],
                ),
                position=position,
                departments=departments,
                extension=str(FIRST_EXTENSION + number),
                registered=int(registered[number]),
                last_login=clock - int(rng.integers(2 * HOUR, 9 * HOUR)),
                last_activity=clock - int(rng.integers(60, 2 * HOUR)),
            )
        )
        return number + 1

    staff.director = add("Генеральный директор", [COMPANY])
    staff.robot = add("Техническая учётная запись", [COMPANY])
    robot = staff.users[staff.robot - 1]
    robot |= {
        "NAME": "Интеграция",
        "LAST_NAME": "Сайт и телефония",
        "SECOND_NAME": None,
        "UF_PHONE_INNER": None,
        "LAST_LOGIN": robot["DATE_REGISTER"],
        "LAST_ACTIVITY_DATE": None,
    }
    for category, title in _HEAD.items():
        staff.heads[category] = add(title, [_TEAM[category]])
    staff.reserved = (
        add(_POSITION[SALES], [SALES_TEAM]),
        add(_POSITION[WHOLESALE], [WHOLESALE_TEAM]),
    )
    groups = -(-counts[SALES] // SELLERS_PER_GROUP) if counts[SALES] > SELLERS_PER_GROUP else 0
    for category, count in counts.items():
        grouped = groups and category == SALES
        staff.sellers[category] = [
            add(
                _POSITION[category],
                [FIRST_GROUP + number % groups if grouped else _TEAM[category]],
            )
            for number in range(count)
        ]
    # Small teams: the head sells too, and the old pipeline's cards are with the sellers of sales.
    for category in (WHOLESALE, SETTER, SERVICE):
        staff.sellers[category].append(staff.heads[category])
    staff.sellers[OLD_SALES] = staff.sellers[SALES]
    staff.heads[OLD_SALES] = staff.heads[SALES]
    staff.departments = [
        _department(COMPANY, "Северный свет", None, staff.director),
        _department(SALES_TEAM, "Отдел продаж", COMPANY, staff.heads[SALES]),
        _department(WHOLESALE_TEAM, "Оптовый отдел", COMPANY, staff.heads[WHOLESALE]),
        _department(SETTER_TEAM, "Отдел первичного контакта", SALES_TEAM, staff.heads[SETTER]),
        _department(SERVICE_TEAM, "Сервисная служба", COMPANY, staff.heads[SERVICE]),
        _department(PARTNERS_TEAM, "Партнёрская сеть", COMPANY, staff.director),
        _department(NEW_TEAM, "Новая группа продаж", COMPANY, staff.heads[SALES]),
        _department(CAMPAIGN_TEAM, CAMPAIGN_NAME, COMPANY, staff.director),
        *(
            _department(
                FIRST_GROUP + group,
                f"Группа продаж № {group + 1}",
                SALES_TEAM,
                staff.sellers[SALES][group],
            )
            for group in range(groups)
        ),
    ]
    return staff


def user_row(
    *,
    user_id: int,
    names: tuple[str, str, str],
    position: str,
    departments: Sequence[int],
    extension: str,
    registered: int,
    last_login: int,
    last_activity: int,
    is_active: bool = True,
) -> dict[str, Any]:
    """A row of the entity `user`; times in local seconds, names given, patronymic, surname."""
    day_of_hire = np.array([registered // DAY * DAY])
    return {
        "ID": user_id,
        "XML_ID": None,
        "ACTIVE": int(is_active),
        "NAME": names[0],
        "LAST_NAME": names[2],
        "SECOND_NAME": names[1],
        "EMAIL": f"employee{user_id}@example.com",
        "LAST_LOGIN": _stored(last_login),
        "DATE_REGISTER": _stored(registered),
        "LAST_ACTIVITY_DATE": _stored(last_activity),
        "WORK_POSITION": position,
        "UF_EMPLOYMENT_DATE": int(to_microseconds(day_of_hire)[0]),
        "UF_DEPARTMENT": "[" + ", ".join(str(department) for department in departments) + "]",
        "UF_PHONE_INNER": extension,
        "USER_TYPE": "employee",
    }


def _stored(local: int) -> int:
    return int(to_microseconds(np.array([local], dtype=np.int64))[0])


def _department(number: int, name: str, parent: int | None, head: int) -> dict[str, Any]:
    return {"ID": number, "NAME": name, "SORT": 100 * number, "PARENT": parent, "UF_HEAD": head}
