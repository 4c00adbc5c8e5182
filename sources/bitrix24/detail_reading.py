"""Reading details owner by owner, several owners in a request."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from sources.bitrix24 import tables
from sources.bitrix24.client import BATCH_SIZE, Answer
from sources.bitrix24.details import PAGE_SIZE, Detail, Owner
from sources.bitrix24.errors import ASK, PortalError
from sources.bitrix24.extraction import Extraction, Tables

_OF_THE_METHOD = frozenset({"insufficient_scope", "error_method_not_found"})
"""Codes that every other owner would meet too."""


@dataclass
class DetailReader:
    """Reads one kind of details for the owners that are due."""

    extraction: Extraction
    detail: Detail
    due: Mapping[str, list[Owner]]
    marks: list[pa.Table]

    def read(self) -> Tables:
        """The rows of all owners; what was read of whom is added to `marks`."""
        owners = self.due.get(self.detail.name, [])
        waiting = deque(owners[n : n + BATCH_SIZE] for n in range(0, len(owners), BATCH_SIZE))

        def jobs() -> Iterator[list[Owner]]:
            while waiting:
                yield waiting.popleft()

        method = self.detail.table.method
        refused: list[PortalError] = []
        for result in self.extraction.reader.run(jobs, self._work, method, waiting.append):
            if result is None:
                yield None
                continue
            rows, marks, errors = result
            refused += errors
            self.marks.append(marks)
            yield rows
        if owners:
            self.extraction.say_progress(self.detail.name, None)
        if refused:
            # They are asked again by the next load, the others are not.
            # Told, but no failure of the load: one card that the portal chokes on must not stop it.
            raise PortalError(
                f"{len(refused):,} of {len(owners):,} owners could not be read. {refused[0]}",
                refused[0].code,
                is_refusal=True,
            )

    def _work(self, job: list[Owner]) -> tuple[pa.Table, pa.Table, list[PortalError]]:
        client, detail = self.extraction.client, self.detail
        rows: list[Any] = []
        refused: dict[str, PortalError] = {}
        at: dt.datetime | None = None
        left = {f"c{place}": (owner, 0) for place, owner in enumerate(job)}
        while left:
            commands = {key: detail.command(*asked) for key, asked in left.items()}
            answers = client.batch_with_errors(commands)
            self._check(answers, left)
            following: dict[str, tuple[Owner, int]] = {}
            for key, answer in answers.items():
                if isinstance(answer, PortalError):
                    if answer.code != "not_found":
                        refused[key] = answer
                    continue
                at = at or answer.server_now
                owner, after = left[key]
                found = detail.rows(answer.result, owner)
                rows += found
                if detail.is_paged and len(found) >= PAGE_SIZE:
                    following[key] = (owner, self._last_id(found, after))
            left = following
        at = at or dt.datetime.now(dt.UTC)
        table = self.extraction.parse(detail.table, rows, at, detail.name)
        answered = [owner for place, owner in enumerate(job) if f"c{place}" not in refused]
        marks = self._marks(answered, rows, at)
        return table, marks, list(refused.values())

    def _check(
        self,
        answers: Mapping[str, Answer | PortalError],
        asked: Mapping[str, tuple[Owner, int]],
    ) -> None:
        """Raise where the method is refused altogether, not only for some owners."""
        errors = {key: answer for key, answer in answers.items() if isinstance(answer, PortalError)}
        for key, error in errors.items():
            if error.code == "not_found":
                continue
            is_of_owner = error.code not in _OF_THE_METHOD and not error.is_portal_wide
            # Behind a first page that came, a refusal would leave an owner with half of its rows.
            is_first_page = asked[key][1] == 0
            if not (is_of_owner and is_first_page) or len(errors) == len(answers) > 1:
                raise error

    def _last_id(self, found: list[Any], after: int) -> int:
        ids = []
        for row in found:
            with contextlib.suppress(AttributeError, TypeError, ValueError):
                ids.append(int(row.get("id") or row.get("ID")))
        last = max(ids, default=after)
        if last <= after:
            raise PortalError(
                f"{self.extraction.client.host} pages {self.detail.table.method} in a circle (no "
                f"id above {after}): {ASK}"
            )
        return last

    def _marks(self, owners: list[Owner], rows: list[Any], at: dt.datetime) -> pa.Table:
        counts: dict[tuple[str, int], int] = {}
        for row in rows:
            try:
                key = self.detail.owner_of(row)
            except (KeyError, TypeError, ValueError):
                continue
            counts[key] = counts.get(key, 0) + 1
        return pa.Table.from_pylist(
            [
                {
                    "source_key": self.extraction.source_key,
                    "entity": self.detail.name,
                    "owner_type": owner.type,
                    "owner_id": owner.id,
                    "owner_changed_at": owner.changed_at,
                    "read_at": at.astimezone(dt.UTC),
                    "rows_received": counts.get((owner.type, owner.id), 0),
                }
                for owner in owners
            ],
            schema=tables.DETAIL_READS_SCHEMA,
        )
