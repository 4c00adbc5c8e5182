"""The pipelines, stages and dictionaries of the invented company.

`companies/demo/pipelines.csv` and `stages.csv` give them their roles; a test keeps both equal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from sources.demo.store import DEAL_TYPE_ID

Semantics = Literal["P", "S", "F"]


@dataclass(frozen=True)
class Stage:
    """One column of a pipeline, with what deals do on it.

    Attributes:
        stage_id: as in Bitrix24, with the pipeline's prefix.
        name: for people.
        semantics: P open, S won, F lost.
        median_days: median stay of deals that go on.
        skip_share: share of deals that jump over it.
        loss_weight: how often a lost deal is lost from here, or, on a lost stage, ends on it.
        call_weight: calls per visit, relative to other stages.
    """

    stage_id: str
    name: str
    semantics: Semantics
    median_days: float = 1.0
    skip_share: float = 0.0
    loss_weight: float = 1.0
    call_weight: float = 1.0


@dataclass(frozen=True)
class Pipeline:
    """One funnel; `share` is its part of the deals created."""

    category_id: int
    name: str
    share: float
    amount_factor: float
    stages: tuple[Stage, ...]

    @property
    def open_stages(self) -> tuple[Stage, ...]:
        """Stages in work, in order."""
        return tuple(stage for stage in self.stages if stage.semantics == "P")

    @property
    def won_stage(self) -> Stage:
        """The one stage of success."""
        return next(stage for stage in self.stages if stage.semantics == "S")

    @property
    def lost_stages(self) -> tuple[Stage, ...]:
        """Stages of failure."""
        return tuple(stage for stage in self.stages if stage.semantics == "F")


SALES, WHOLESALE, SETTER, SERVICE, OLD_SALES = range(5)

PIPELINES: tuple[Pipeline, ...] = (
    Pipeline(
        SALES,
        "Продажи",
        0.42,
        1.0,
        (
            Stage("NEW", "Новая заявка", "P", 0.6, 0.0, 3.0, 1.0),
            Stage("PREPARATION", "Квалификация", "P", 2.5, 0.08, 3.0, 1.6),
            Stage("PREPAYMENT_INVOICE", "Коммерческое предложение", "P", 5.0, 0.10, 2.5, 1.8),
            Stage("EXECUTING", "Договор", "P", 4.0, 0.15, 1.0, 1.0),
            Stage("FINAL_INVOICE", "Счёт и оплата", "P", 3.0, 0.10, 0.5, 0.8),
            Stage("WON", "Сделка успешна", "S", call_weight=0.35),
            Stage("LOSE", "Отказ клиента", "F", loss_weight=3.0, call_weight=0.12),
            Stage("APOLOGY", "Не наш клиент", "F", loss_weight=1.0, call_weight=0.05),
        ),
    ),
    Pipeline(
        WHOLESALE,
        "Опт",
        0.14,
        6.0,
        (
            Stage("C1:NEW", "Запрос цены", "P", 1.0, 0.0, 2.0, 1.0),
            Stage("C1:PREPARATION", "Выявление потребности", "P", 4.0, 0.06, 2.0, 1.6),
            Stage("C1:UC_SAMPLE", "Образцы", "P", 9.0, 0.45, 1.0, 1.0),
            Stage("C1:PREPAYMENT_INVOICE", "Предложение", "P", 8.0, 0.08, 2.5, 1.8),
            Stage("C1:EXECUTING", "Договор поставки", "P", 7.0, 0.12, 0.8, 1.0),
            Stage("C1:FINAL_INVOICE", "Счёт выставлен", "P", 5.0, 0.05, 0.5, 0.8),
            Stage("C1:WON", "Отгружено", "S", call_weight=0.4),
            Stage("C1:LOSE", "Отказ", "F", loss_weight=1.5, call_weight=0.12),
            Stage("C1:UC_PRICE", "Дорого", "F", loss_weight=2.0, call_weight=0.12),
            Stage("C1:APOLOGY", "Не поставляем", "F", loss_weight=0.7, call_weight=0.05),
        ),
    ),
    Pipeline(
        SETTER,
        "Первый контакт",
        0.26,
        0.5,
        (
            Stage("C2:NEW", "Новый контакт", "P", 0.3, 0.0, 2.0, 1.2),
            Stage("C2:UC_CALL", "Дозвон", "P", 1.2, 0.15, 3.0, 2.2),
            Stage("C2:PREPARATION", "Квалифицирован", "P", 1.5, 0.05, 1.5, 1.2),
            Stage("C2:EXECUTING", "Встреча назначена", "P", 3.0, 0.10, 1.0, 0.8),
            Stage("C2:WON", "Передан в продажи", "S", call_weight=0.2),
            Stage("C2:LOSE", "Не дозвонились", "F", loss_weight=2.0, call_weight=0.1),
            Stage("C2:APOLOGY", "Не целевой", "F", loss_weight=1.5, call_weight=0.05),
        ),
    ),
    Pipeline(
        SERVICE,
        "Сервис",
        0.12,
        0.2,
        (
            Stage("C3:NEW", "Обращение", "P", 0.4, 0.0, 1.0, 1.0),
            Stage("C3:PREPARATION", "Диагностика", "P", 2.0, 0.12, 1.0, 1.2),
            Stage("C3:EXECUTING", "Ремонт", "P", 4.0, 0.05, 0.4, 0.8),
            Stage("C3:FINAL_INVOICE", "Оплата работ", "P", 1.5, 0.20, 0.4, 0.6),
            Stage("C3:WON", "Выполнено", "S", call_weight=0.2),
            Stage("C3:LOSE", "Отменено", "F", loss_weight=1.0, call_weight=0.1),
        ),
    ),
    Pipeline(
        OLD_SALES,
        "Продажи (старая)",
        0.12,
        0.9,
        (
            Stage("C4:NEW", "Заявка", "P", 1.0, 0.0, 2.5, 1.0),
            Stage("C4:PREPARATION", "Переговоры", "P", 5.0, 0.05, 2.5, 1.6),
            Stage("C4:PREPAYMENT_INVOICE", "Предложение", "P", 7.0, 0.12, 2.0, 1.6),
            Stage("C4:EXECUTING", "Договор", "P", 6.0, 0.15, 0.8, 1.0),
            Stage("C4:WON", "Успешно", "S", call_weight=0.3),
            Stage("C4:LOSE", "Отказ", "F", loss_weight=2.0, call_weight=0.1),
            Stage("C4:APOLOGY", "Прочее", "F", loss_weight=1.0, call_weight=0.05),
        ),
    ),
)

STAGES: tuple[Stage, ...] = tuple(stage for pipeline in PIPELINES for stage in pipeline.stages)
"""All stages; the plan keeps a stage as its position here."""

STAGE_CODE = {stage.stage_id: code for code, stage in enumerate(STAGES)}
CATEGORY_OF_STAGE = {
    stage.stage_id: pipeline.category_id for pipeline in PIPELINES for stage in pipeline.stages
}

SOURCES: tuple[tuple[str, str], ...] = (
    ("CALL", "Звонок"),
    ("WEB", "Сайт"),
    ("ADVERTISING", "Реклама"),
    ("RECOMMENDATION", "Рекомендация"),
    ("TRADE_SHOW", "Выставка"),
    ("PARTNER", "Существующий клиент"),
    ("OTHER", "Другое"),
)
SOURCE_IDS = tuple(source_id for source_id, _ in SOURCES)
DEAL_TYPES: tuple[tuple[str, str], ...] = (
    ("SALE", "Продажа"),
    ("COMPLEX", "Комплексная поставка"),
    ("SERVICE", "Сервисное обслуживание"),
)
DEAL_TYPE_OF_CATEGORY = ("SALE", "COMPLEX", "SALE", "SERVICE", "SALE")

_COLORS = ("#39A8EF", "#2FC6F6", "#55D0E0", "#47E4C2", "#FFA900", "#F7A700")
_WON_COLOR, _LOST_COLOR = "#7BD500", "#FF5752"


def category_rows() -> list[dict[str, Any]]:
    """Rows of the entity `category` for deals."""
    return [
        {
            "ID": pipeline.category_id,
            "NAME": pipeline.name,
            "SORT": 100 * (position + 1),
            "IS_DEFAULT": int(pipeline.category_id == SALES),
            "ENTITY_TYPE_ID": DEAL_TYPE_ID,
        }
        for position, pipeline in enumerate(PIPELINES)
    ]


def status_rows() -> list[dict[str, Any]]:
    """Rows of the entity `status` without ids: stages of deals, sources, deal types."""
    rows: list[dict[str, Any]] = []
    for pipeline in PIPELINES:
        category = pipeline.category_id
        for position, stage in enumerate(pipeline.stages):
            short = stage.stage_id.rpartition(":")[2]
            rows.append(
                {
                    "ENTITY_ID": f"DEAL_STAGE_{category}" if category else "DEAL_STAGE",
                    "STATUS_ID": stage.stage_id,
                    "NAME": stage.name,
                    "SORT": 10 * (position + 1),
                    "SYSTEM": int(short in ("NEW", "WON", "LOSE")),
                    "CATEGORY_ID": category,
                    "COLOR": {
                        "P": _COLORS[position % len(_COLORS)],
                        "S": _WON_COLOR,
                        "F": _LOST_COLOR,
                    }[stage.semantics],
                    "SEMANTICS": None if stage.semantics == "P" else stage.semantics,
                }
            )
    for entity_id, items in (("SOURCE", SOURCES), ("DEAL_TYPE", DEAL_TYPES)):
        for position, (status_id, name) in enumerate(items):
            rows.append(
                {
                    "ENTITY_ID": entity_id,
                    "STATUS_ID": status_id,
                    "NAME": name,
                    "SORT": 10 * (position + 1),
                    "SYSTEM": int(status_id in ("CALL", "WEB", "SALE")),
                    "CATEGORY_ID": None,
                    "COLOR": None,
                    "SEMANTICS": None,
                }
            )
    return rows
