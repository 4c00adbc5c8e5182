"""Pipelines, stages, loss reasons and stage moves of the converted company."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from sources.demo.amocrm.conversion_fields import stable_id
from sources.demo.amocrm.store import LOST_ID, WON_ID
from sources.demo.store import DEAL_TYPE_ID, PortalStore

PIPELINE_BASE, INCOMING_BASE, STATUS_BASE = 3_000_000, 39_000_000, 40_000_000
_ENTITY = "DEAL_STAGE"
_LAST = 2_147_483_647
"""Where pipelines stand whose place nobody knows any more."""


@dataclass(frozen=True)
class Stage:
    """Where a lead stands: `reason` is a further stage of failure, by name."""

    pipeline_id: int
    status_id: int
    reason: str | None = None

    @property
    def key(self) -> tuple[int, int]:
        """What a move changes."""
        return self.pipeline_id, self.status_id


@dataclass(frozen=True)
class Move:
    """A lead's way from one stage to another; `number` is the history row's."""

    number: int
    moved_at: int
    before: Stage
    after: Stage


@dataclass(frozen=True)
class History:
    """The moves of a lead, and the stage after them."""

    lead_id: int
    moves: tuple[Move, ...]
    last: Stage


class Stages:
    """The pipelines of the account and what became of each stage of Bitrix24."""

    def __init__(self, source: PortalStore) -> None:
        self._source = source
        self._categories = source.query(
            "select * from category where coalesce(ENTITY_TYPE_ID, ?) = ? order by SORT, ID",
            (DEAL_TYPE_ID, DEAL_TYPE_ID),
        )
        known = {row["ID"] for row in self._categories}
        named = source.query(
            "select CATEGORY_ID from deal union select CATEGORY_ID from stage_history order by 1"
        )
        self._removed = [row[0] for row in named if row[0] is not None and row[0] not in known]
        self._rows: dict[int, list[Any]] = {}
        for row in source.query(
            "select * from status where ENTITY_ID = ? or substr(ENTITY_ID, 1, 11) = ? "
            "order by SORT, ID",
            (_ENTITY, f"{_ENTITY}_"),
        ):
            suffix = row["ENTITY_ID"].removeprefix(_ENTITY).removeprefix("_")
            self._rows.setdefault(int(suffix or 0), []).append(row)
        self._stages = {
            (category, row["STATUS_ID"]): self._known(category, row, rows)
            for category, rows in self._rows.items()
            for row in rows
        }

    @property
    def main(self) -> int:
        """The category that takes what comes in."""
        default = [row for row in self._categories if row["IS_DEFAULT"]]
        return int((default or self._categories)[0]["ID"]) if self._categories else 0

    def stage(self, category: int, stage_id: str, semantics: str | None) -> Stage:
        """A stage as amoCRM has it; one that no dictionary names any more keeps an id of its own.

        Args:
            category: the deal's, or the history row's.
            stage_id: of Bitrix24.
            semantics: P, S or F, for stages that are not in the dictionary.
        """
        found = self._stages.get((category, stage_id))
        if found is None:
            final = {"S": WON_ID, "F": LOST_ID}.get(semantics or "")
            number = final or STATUS_BASE + stable_id(category, stage_id)
            found = self._stages[category, stage_id] = Stage(PIPELINE_BASE + category, number)
        return found

    def histories(self) -> Iterator[History]:
        """What the history tells of every deal, in the order of ids.

        Neighbours that became one stage are no move: another stage of failure is another reason.
        """
        rows = self._source.query("select * from stage_history order by OWNER_ID, CREATED_TIME, ID")
        for lead_id, group in groupby(rows, key=lambda row: int(row["OWNER_ID"])):
            moves: list[Move] = []
            present: Stage | None = None
            for row in group:
                stage = self.stage(row["CATEGORY_ID"], row["STAGE_ID"], row["STAGE_SEMANTIC_ID"])
                if present is not None and stage.key != present.key:
                    moves.append(Move(row["ID"], row["CREATED_TIME"], present, stage))
                present = stage
            assert present is not None
            yield History(lead_id, tuple(moves), present)

    def pipeline_rows(self) -> Iterator[dict[str, Any]]:
        """Rows of the entity `pipeline`; what only deals and their history name is archived."""
        for place, row in enumerate(self._categories):
            yield {
                "id": PIPELINE_BASE + row["ID"],
                "name": row["NAME"],
                "sort": row["SORT"],
                "is_main": row["IS_DEFAULT"] if row["IS_DEFAULT"] is not None else not place,
                "is_unsorted_on": 1,
                "is_archive": 0,
            }
        for category in self._removed:
            yield {
                "id": PIPELINE_BASE + category,
                "name": f"Pipeline {category}",
                "sort": _LAST,
                "is_main": 0,
                "is_unsorted_on": 0,
                "is_archive": 1,
            }

    def status_rows(self) -> Iterator[dict[str, Any]]:
        """Rows of the entity `status`; "incoming" first, 142 and 143 last in every pipeline."""
        for category in (*(row["ID"] for row in self._categories), *self._removed):
            rows = self._rows.get(category, [])
            named: dict[int, tuple[str, str]] = {
                INCOMING_BASE + category: ("Неразобранное", "#c1c1c1")
            }
            for row in rows:
                stage = self._stages[category, row["STATUS_ID"]]
                if stage.status_id not in (WON_ID, LOST_ID):
                    named[stage.status_id] = (row["NAME"], str(row["COLOR"]).lower())
            for final, semantics, name in (
                (WON_ID, "S", "Успешно реализовано"),
                (LOST_ID, "F", "Закрыто и не реализовано"),
            ):
                own = [row["NAME"] for row in rows if row["SEMANTICS"] == semantics]
                named[final] = (
                    own[0] if own else name,
                    "#ccff66" if final == WON_ID else "#d5d8db",
                )
            for place, (status_id, (name, color)) in enumerate(named.items(), start=1):
                is_final = status_id in (WON_ID, LOST_ID)
                yield {
                    "pipeline_id": PIPELINE_BASE + category,
                    "id": status_id,
                    "name": name,
                    "sort": 10_000 + status_id if is_final else 10 * place,
                    "is_editable": not is_final and place > 1,
                    "color": color,
                    "type": int(place == 1),
                }

    def loss_reason_rows(self, instant: int) -> Iterator[dict[str, Any]]:
        """Rows of the entity `loss_reason`."""
        names = dict.fromkeys(stage.reason for stage in self._stages.values() if stage.reason)
        for place, name in enumerate(names, start=1):
            yield {
                "id": reason_id(name),
                "name": name,
                "sort": 10 * place,
                "created_at": instant,
                "updated_at": instant,
            }

    def _known(self, category: int, row: Any, rows: list[Any]) -> Stage:
        pipeline_id = PIPELINE_BASE + category
        if row["SEMANTICS"] == "S":
            return Stage(pipeline_id, WON_ID)
        if row["SEMANTICS"] == "F":
            first = next(other for other in rows if other["SEMANTICS"] == "F")
            is_first = row["STATUS_ID"] == first["STATUS_ID"]
            return Stage(pipeline_id, LOST_ID, None if is_first else row["NAME"])
        return Stage(pipeline_id, STATUS_BASE + row["ID"])


def reason_id(name: str) -> int:
    """The id of a loss reason."""
    return stable_id("loss_reason", name)
