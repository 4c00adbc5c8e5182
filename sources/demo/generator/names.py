"""Names, products and telephone numbers, drawn and printed column by column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Codes = npt.NDArray[Any]

# Ranges that no Russian operator has been given: nobody's telephone rings.
CONTACT_NUMBERS = 9_720_000_000
PLANTED_NUMBERS = 9_730_000_000
STRANGER_NUMBERS = 9_740_000_000
COUNTRY = 70_000_000_000
# Places in the range of the contacts' numbers (see `spread_number`) that no contact has.
LEAD_PLACES, COMPANY_PLACES = 2_500_000, 7_500_000
LINES = ("74950000010", "74950000020", "74950000030", "74950000040")
"""The company's own lines, by pipeline (the old pipeline has the first's)."""

_MALE = (
    "Александр", "Сергей", "Дмитрий", "Андрей", "Алексей", "Максим", "Евгений", "Иван", "Михаил",
    "Николай", "Владимир", "Павел", "Роман", "Олег", "Артём", "Константин", "Игорь", "Виктор",
    "Тимур", "Рустам",
)  # fmt: skip
_FEMALE = (
    "Анна", "Елена", "Ольга", "Наталья", "Ирина", "Екатерина", "Мария", "Светлана", "Татьяна",
    "Юлия", "Марина", "Дарья", "Алина", "Ксения", "Виктория", "Полина", "Галина", "Людмила",
    "Алсу", "Вера",
)  # fmt: skip
_FATHERS = (
    "Александров", "Сергеев", "Дмитриев", "Андреев", "Алексеев", "Николаев", "Владимиров",
    "Павлов", "Викторов", "Игорев", "Михайлов", "Иванов",
)  # fmt: skip
_SURNAMES = (
    "Иванов", "Смирнов", "Кузнецов", "Попов", "Васильев", "Петров", "Соколов", "Михайлов",
    "Новиков", "Фёдоров", "Морозов", "Волков", "Алексеев", "Лебедев", "Семёнов", "Егоров",
    "Павлов", "Козлов", "Степанов", "Николаев", "Орлов", "Андреев", "Макаров", "Никитин",
    "Захаров", "Зайцев", "Соловьёв", "Борисов", "Яковлев", "Григорьев", "Романов", "Воробьёв",
    "Сергеев", "Кузьмин", "Фролов", "Александров", "Дмитриев", "Королёв", "Гусев", "Киселёв",
    "Ильин", "Максимов", "Поляков", "Сорокин", "Виноградов", "Ковалёв", "Белов", "Медведев",
    "Антонов", "Тарасов", "Жуков", "Баранов", "Филиппов", "Комаров", "Давыдов", "Беляев",
    "Герасимов", "Богданов", "Осипов", "Сидоров", "Матвеев", "Титов", "Марков", "Миронов",
    "Крылов", "Куликов", "Карпов", "Власов", "Мельников", "Денисов", "Гаврилов", "Тихонов",
    "Казаков", "Афанасьев", "Данилов", "Савельев", "Тимофеев", "Фомин", "Чернов", "Абрамов",
)  # fmt: skip

# Even positions are men, odd ones women, so one draw of the sex agrees over the three parts.
GIVEN_NAMES = tuple(name for pair in zip(_MALE, _FEMALE, strict=True) for name in pair)
PATRONYMICS = tuple(name + ending for name in _FATHERS for ending in ("ич", "на"))
SURNAMES = tuple(name + ending for name in _SURNAMES for ending in ("", "а"))


@dataclass(frozen=True)
class Product:
    """What the company sells; the price is in roubles."""

    name: str
    price: int


PRODUCTS = (
    Product("Приточная установка", 145_000),
    Product("Тепловой насос", 390_000),
    Product("Кондиционер", 62_000),
    Product("Бризер", 34_000),
    Product("Рекуператор", 98_000),
    Product("Котёл газовый", 120_000),
    Product("Монтаж вентиляции", 75_000),
    Product("Проект вентиляции", 40_000),
)


ACCESSORIES = (
    Product("Доставка", 3_500),
    Product("Пусконаладка", 12_000),
    Product("Комплект фильтров", 2_400),
    Product("Датчик CO2", 6_500),
    Product("Сервисный договор на год", 18_000),
)
"""What is sold along with a product; the prices are whole hundreds."""

# Invented words: with the number in the title no real firm is meant.
FIRM_FORMS = ("ООО", "АО", "ООО ТД")
FIRM_WORDS = (
    "Полярис", "Снегирь", "Метель", "Бореалис", "Тайгавент", "Климатон", "Ладогрей", "Теплоград",
    "Воздухофф", "Инейстрой", "Северинка", "Фьордпром", "Аквилон-Т", "Морозкоопт", "Зенитклим",
)  # fmt: skip
INDUSTRIES = ("MANUFACTURING", "SERVICES", "CONSTRUCTION", "OTHER")


@dataclass(frozen=True)
class FullNames:
    """Positions in the lists of names."""

    given: Codes
    patronymic: Codes
    surname: Codes


def draw_names(rng: np.random.Generator, count: int) -> FullNames:
    """Names whose three parts agree in sex."""
    female = rng.integers(0, 2, size=count)

    def part(names: tuple[str, ...]) -> Codes:
        return 2 * rng.integers(0, len(names) // 2, size=count) + female

    return FullNames(part(GIVEN_NAMES), part(PATRONYMICS), part(SURNAMES))


def spread_number(places: Codes) -> Codes:
    """National numbers that look random; different places below 10 million, different numbers."""
    return CONTACT_NUMBERS + places.astype(np.int64) * 7_919 % 10_000_000


def pick(texts: Sequence[str | None], codes: Codes) -> pa.Array:
    """Text by position."""
    return pa.array(texts, pa.string()).take(pa.array(np.asarray(codes, dtype=np.int64)))


def as_text(numbers: Codes) -> pa.Array:
    """Whole numbers as text."""
    return pc.cast(pa.array(np.asarray(numbers, dtype=np.int64)), pa.string())


def join(*parts: pa.Array | str) -> pa.Array:
    """Texts put together element by element; constants are repeated."""
    return pc.binary_join_element_wise(*parts, "")


def print_phones(numbers: Codes, formats: Codes) -> pa.Array:
    """National numbers of ten digits as people type them into a CRM."""
    digits = as_text(numbers)
    code, first, second, third = (
        pc.utf8_slice_codeunits(digits, start, stop)
        for start, stop in ((0, 3), (3, 6), (6, 8), (8, 10))
    )
    return pc.choose(
        pa.array(formats),
        join("+7 (", code, ") ", first, "-", second, "-", third),
        join("8", digits),
        join("7", digits),
        join("+7", digits),
        join("8 ", code, " ", first, " ", second, " ", third),
        join("8(", code, ")", first, "-", second, third),
    )


PHONE_FORMATS = 6


def print_caller_ids(numbers: Codes, formats: Codes) -> pa.Array:
    """National numbers as telephony reports them: digits, with or without plus or trunk prefix."""
    digits = as_text(numbers)
    return pc.choose(pa.array(formats), join("7", digits), join("+7", digits), join("8", digits))


CALLER_FORMATS = 3


def multi_field(ids: Codes, values: pa.Array, type_id: str, value_type: str = "WORK") -> pa.Array:
    """One entry of a multiple field as JSON, without the list's brackets."""
    return join(
        '{"ID":"',
        as_text(ids),
        f'","VALUE_TYPE":"{value_type}","VALUE":"',
        values,
        f'","TYPE_ID":"{type_id}"}}',
    )
