"""Dictionaries beside the deal pipelines: lead statuses, invoices, products, custom fields, UTM."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sources.demo.generator import names
from sources.demo.generator.pipelines import Semantics
from sources.demo.generator.rhythm import DAY, Seconds, to_microseconds
from sources.demo.store import INVOICE_TYPE_ID

SMART_PROCESS_TYPE_ID = 177
SMART_PROCESS = "Заявки на монтаж"
# Categories of different entity types share the store's key: beyond those of the deals.
INVOICE_CATEGORY, SMART_PROCESS_CATEGORY = 11, 13


@dataclass(frozen=True)
class Status:
    """One stage of leads, invoices or the smart process; P open, S success, F failure."""

    status_id: str
    name: str
    semantics: Semantics = "P"
    is_system: bool = True


LEAD_STATUSES = (
    Status("NEW", "Не обработан"),
    Status("IN_PROCESS", "В работе"),
    Status("PROCESSED", "Обработан"),
    Status("CONVERTED", "Качественный лид", "S"),
    Status("JUNK", "Некачественный лид", "F"),
    Status("UC_NOREPLY", "Не дозвонились", "F", is_system=False),
)
LEAD_NEW, LEAD_IN_PROCESS, LEAD_PROCESSED, LEAD_CONVERTED, LEAD_JUNK, LEAD_NO_REPLY = range(6)

_INVOICE_PREFIX = f"DT{INVOICE_TYPE_ID}_{INVOICE_CATEGORY}"
INVOICE_STAGES = (
    Status(f"{_INVOICE_PREFIX}:N", "Новый"),
    Status(f"{_INVOICE_PREFIX}:S", "Отправлен клиенту"),
    Status(f"{_INVOICE_PREFIX}:P", "Оплачен", "S"),
    Status(f"{_INVOICE_PREFIX}:D", "Не оплачен", "F"),
)
INVOICE_NEW, INVOICE_SENT, INVOICE_PAID, INVOICE_DECLINED = range(4)

_PROCESS_PREFIX = f"DT{SMART_PROCESS_TYPE_ID}_{SMART_PROCESS_CATEGORY}"
REQUEST_STAGES = (
    Status(f"{_PROCESS_PREFIX}:NEW", "Заявка"),
    Status(f"{_PROCESS_PREFIX}:PREPARATION", "Выезд назначен"),
    Status(f"{_PROCESS_PREFIX}:CLIENT", "Монтаж"),
    Status(f"{_PROCESS_PREFIX}:SUCCESS", "Смонтировано", "S"),
    Status(f"{_PROCESS_PREFIX}:FAIL", "Отменено", "F"),
)


@dataclass(frozen=True)
class Campaign:
    """Where an online request came from; the last two have `ADVERTS` variants each."""

    source: str | None = None
    medium: str | None = None
    campaign: str | None = None
    contents: Sequence[str | None] = (None, None, None)
    terms: Sequence[str | None] = (None, None, None)


ADVERTS = 3
UTM = (
    Campaign(),
    Campaign(
        "yandex",
        "cpc",
        "heat_pumps_search",
        ("text_price", "text_warranty", "text_turnkey"),
        ("тепловой насос купить", "тепловой насос цена", "отопление дома тепловым насосом"),
    ),
    Campaign(
        "yandex",
        "cpc",
        "ventilation_brand",
        ("text_brand", "text_brand", "sitelinks"),
        ("северный свет вентиляция", "северный свет отзывы", "приточная установка под ключ"),
    ),
    Campaign("google", "organic"),
    Campaign("vk", "social", "retargeting", ("banner_240x400", "carousel", "video_15s")),
    Campaign("newsletter", "email", "spring_sale", ("button_top", "button_bottom", "image")),
)

REGIONS = (
    "Москва", "Московская область", "Тверская область", "Тульская область",
    "Калужская область", "Владимирская область", "Другой регион",
)  # fmt: skip
_REGION_SHARES = [0.36, 0.27, 0.08, 0.08, 0.06, 0.05, 0.10]
INTERESTS = ("Вентиляция", "Отопление", "Кондиционирование", "Сервис и обслуживание")
INTEREST_SETS: tuple[tuple[int, ...], ...] = (
    (), (0,), (1,), (2,), (3,), (0, 2), (0, 1), (1, 2), (0, 1, 2), (0, 3),
)  # fmt: skip
"""What a card may name, as places in `INTERESTS`."""
_INTEREST_SHARES = [0.18, 0.2, 0.17, 0.12, 0.08, 0.09, 0.06, 0.04, 0.03, 0.03]
# Every entity has its own field and so its own options: one region has two ids.
_FIRST_OPTION = {"deal": (45, 61), "lead": (145, 161)}

GRADES = ("A", "B", "C", None)

PAYMENT_FIELD = "UF_CRM_SMART_INVOICE_1639669411830"
PAYMENTS = ("Банковский перевод", "Карта", "Наличные")
FIRST_PAYMENT_OPTION = 245


def draw_fields(rng: np.random.Generator, count: int) -> dict[str, npt.NDArray[np.int8]]:
    """Region and interests of cards; a region one too high is not set."""
    known = rng.choice(len(REGIONS), size=count, p=_REGION_SHARES)
    region = np.where(rng.random(count) < 0.12, len(REGIONS), known)
    interest = rng.choice(len(INTEREST_SETS), size=count, p=_INTEREST_SHARES)
    return {"region": region.astype(np.int8), "interest": interest.astype(np.int8)}


def custom_fields(product: str, grade: str | None) -> str:
    """Product and grade of a deal as JSON."""
    return json.dumps(_product_fields(product, grade), ensure_ascii=False)


def deal_fields() -> list[str]:
    """Every combination of a deal's custom fields; see `deal_fields_code`."""
    options = _options("deal")
    return [
        json.dumps(_product_fields(item.name, grade) | values, ensure_ascii=False)
        for item in names.PRODUCTS
        for grade in GRADES
        for values in options
    ]


def deal_fields_code(
    product: npt.NDArray[Any],
    grade: npt.NDArray[Any],
    region: npt.NDArray[Any],
    interest: npt.NDArray[Any],
) -> npt.NDArray[np.int64]:
    """Places in `deal_fields()`."""
    first = product.astype(np.int64) * len(GRADES) + grade
    return np.asarray(
        first * (len(REGIONS) + 1) * len(INTEREST_SETS) + lead_fields_code(region, interest)
    )


def lead_fields() -> list[str]:
    """Every combination of a lead's custom fields; see `lead_fields_code`."""
    return [json.dumps(values, ensure_ascii=False) for values in _options("lead")]


def lead_fields_code(region: npt.NDArray[Any], interest: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Places in `lead_fields()`."""
    return np.asarray(region.astype(np.int64) * len(INTEREST_SETS) + interest)


def _product_fields(product: str, grade: str | None) -> dict[str, Any]:
    return {"UF_CRM_PRODUCT": product} | ({"UF_CRM_GRADE": grade} if grade else {})


def _options(entity: str) -> list[dict[str, Any]]:
    # The portal prints the option of a single list as text, those of a multiple one as numbers.
    first_region, first_interest = _FIRST_OPTION[entity]
    found: list[dict[str, Any]] = []
    for region in range(len(REGIONS) + 1):
        for interests in INTEREST_SETS:
            values: dict[str, Any] = {}
            if region < len(REGIONS):
                values["UF_CRM_REGION"] = str(first_region + region)
            if interests:
                values["UF_CRM_INTEREST"] = [first_interest + interest for interest in interests]
            found.append(values)
    return found


def category_rows() -> list[dict[str, Any]]:
    """Rows of the entity `category` for invoices and the smart process."""
    return [
        {
            "ID": category,
            "NAME": "Общее",
            "SORT": 100,
            "IS_DEFAULT": 1,
            "ENTITY_TYPE_ID": entity_type,
        }
        for category, entity_type in (
            (INVOICE_CATEGORY, INVOICE_TYPE_ID),
            (SMART_PROCESS_CATEGORY, SMART_PROCESS_TYPE_ID),
        )
    ]


def status_rows() -> list[dict[str, Any]]:
    """Rows of the entity `status` without ids: stages of leads, invoices, the smart process."""
    dictionaries: tuple[tuple[str, int | None, Sequence[Status]], ...] = (
        ("STATUS", None, LEAD_STATUSES),
        (f"SMART_INVOICE_STAGE_{INVOICE_CATEGORY}", INVOICE_CATEGORY, INVOICE_STAGES),
        (
            f"DYNAMIC_{SMART_PROCESS_TYPE_ID}_STAGE_{SMART_PROCESS_CATEGORY}",
            SMART_PROCESS_CATEGORY,
            REQUEST_STAGES,
        ),
    )
    colors = {"P": "#2FC6F6", "S": "#7BD500", "F": "#FF5752"}
    return [
        {
            "ENTITY_ID": entity_id,
            "STATUS_ID": status.status_id,
            "NAME": status.name,
            "SORT": 10 * (position + 1),
            "SYSTEM": int(status.is_system),
            "CATEGORY_ID": category,
            "COLOR": colors[status.semantics],
            "SEMANTICS": None if status.semantics == "P" else status.semantics,
        }
        for entity_id, category, statuses in dictionaries
        for position, status in enumerate(statuses)
    ]


FIRST_PRODUCT = 201


def product_rows(starts: int) -> list[dict[str, Any]]:
    """Rows of the entity `product`: what is sold, then what goes with it.

    Args:
        starts: first moment of the history, local seconds.
    """
    made = _stored(starts - 60 * DAY)
    return [
        {
            "ID": FIRST_PRODUCT + number,
            "NAME": product.name,
            "CODE": None,
            "ACTIVE": 1,
            "PRICE": f"{product.price}.00",
            "CURRENCY_ID": "RUB",
            "SECTION_ID": 1 + (number >= len(names.PRODUCTS)),
            "SORT": 100 * (number + 1),
            "XML_ID": f"item-{FIRST_PRODUCT + number}",
            "DATE_CREATE": made,
            "TIMESTAMP_X": made,
            "CREATED_BY": 1,
            "MODIFIED_BY": 1,
        }
        for number, product in enumerate((*names.PRODUCTS, *names.ACCESSORIES))
    ]


def currency_rows(starts: int) -> list[dict[str, Any]]:
    """Rows of the entity `currency`; the rates are invented."""
    currencies = (
        ("RUB", "1.0000", "Российский рубль"),
        ("USD", "84.5000", "Доллар США"),
        ("EUR", "93.2000", "Евро"),
    )
    return [
        {
            "ID": number,
            "CURRENCY": currency,
            "AMOUNT_CNT": 1,
            "AMOUNT": rate,
            "SORT": 100 * number,
            "BASE": int(currency == "RUB"),
            "FULL_NAME": name,
            "LID": "ru",
            "DATE_UPDATE": _stored(starts),
        }
        for number, (currency, rate, name) in enumerate(currencies, start=1)
    ]


def custom_field_rows() -> list[dict[str, Any]]:
    """Rows of the entity `custom_field`."""
    fields: list[dict[str, Any]] = [
        _field("deal", "UF_CRM_PRODUCT", "string", "Продукт"),
        _field("deal", "UF_CRM_GRADE", "string", "Категория клиента"),
    ]
    for entity, (first_region, first_interest) in _FIRST_OPTION.items():
        fields += [
            _field(entity, "UF_CRM_REGION", "enumeration", "Регион", (first_region, REGIONS)),
            _field(
                entity,
                "UF_CRM_INTEREST",
                "enumeration",
                "Интересы",
                (first_interest, INTERESTS),
                is_multiple=True,
            ),
        ]
    fields.append(
        _field(
            "invoice",
            PAYMENT_FIELD,
            "enumeration",
            "Способ оплаты",
            (FIRST_PAYMENT_OPTION, PAYMENTS),
        )
    )
    return [{"ID": number} | row for number, row in enumerate(fields, start=1)]


def payments(ids: npt.NDArray[np.int64]) -> pa.Array:
    """Custom fields of invoices, as JSON: how each is paid."""
    printed = [
        json.dumps({PAYMENT_FIELD: str(FIRST_PAYMENT_OPTION + n)}) for n in range(len(PAYMENTS))
    ]
    return names.pick(printed, ids % len(PAYMENTS))


def _field(
    entity: str,
    name: str,
    kind: str,
    label: str,
    options: tuple[int, Sequence[str]] | None = None,
    *,
    is_multiple: bool = False,
) -> dict[str, Any]:
    items = None
    if options is not None:
        items = [
            {"ID": str(options[0] + place), "VALUE": value}
            for place, value in enumerate(options[1])
        ]
    return {
        "ENTITY_TYPE": entity,
        "FIELD_NAME": name,
        "USER_TYPE": kind,
        "LABEL": label,
        "IS_MULTIPLE": int(is_multiple),
        "ITEMS": None if items is None else json.dumps(items, ensure_ascii=False),
    }


def _stored(local: int) -> int:
    moment: Seconds = np.array([local], dtype=np.int64)
    return int(to_microseconds(moment)[0])
