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
from sources.bitrix24.details import Detail, Owner
from sources.bitrix24.errors import ASK, PortalError
from sources.bitrix24.extraction import PortalExtraction
from sources.bitrix24.reading import PAGE_SIZE
from sources.extraction import Tables

_OF_THE_METHOD = frozenset({"insufficient_scope", "error_method_not_found"})
"""Codes that every other owner would meet too."""


@dataclass
class DetailReader:
    """Reads one kind of details for the owners that are due."""

    extraction: PortalExtraction
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
        for result in self.extraction.reader.run(jobs, self._work, method, waiting.append):
            if result is None:
                yield None
                continue
            rows, marks, refused = result
            told = self.extraction.tally.refused_owners.setdefault(self.detail.name, {})
            told |= {(owner.type, owner.id): str(error) for owner, error in refused}
            self.marks.append(marks)
            yield rows
        if owners:
            self.extraction.say_progress(self.detail.name, None)

    def _work(self, job: list[Owner]) -> tuple[pa.Table, pa.Table, list[tuple[Owner, PortalError]]]:
        client, detail = self.extraction.client, self.detail
        rows: dict[Owner, list[Any]] = {owner: [] for owner in job}
        refused: list[tuple[Owner, PortalError]] = []
        at: dt.datetime | None = None
        left = dict.fromkeys(job, 0)
        while left:
            asked = {f"c{place}": owner for place, owner in enumerate(left)}
            answers = client.batch_with_errors(
                {key: detail.command(owner, left[owner]) for key, owner in asked.items()}
            )
            self._check(answers)
            following: dict[Owner, int] = {}
            for key, answer in answers.items():
                owner = asked[key]
                if isinstance(answer, PortalError):
                    if answer.code != "not_found":
                        # Asked again by the next load, from the first page on.
                        refused.append((owner, answer))
                        del rows[owner]
                    continue
                at = at or answer.server_now
                found = detail.rows(answer.result, owner)
                rows[owner] += found
                if detail.is_paged and len(found) >= PAGE_SIZE:
                    following[owner] = self._last_id(found, left[owner])
            left = following
        at = at or dt.datetime.now(dt.UTC)
        everything = [row for found in rows.values() for row in found]
        table = self.extraction.parse(detail.table, everything, at, detail.name)
        return table, self._marks(rows, at), refused

    def _check(self, answers: Mapping[str, Answer | PortalError]) -> None:
        """Raise where the method is refused altogether, not only for some owners."""
        errors = [answer for answer in answers.values() if isinstance(answer, PortalError)]
        denied = [error for error in errors if error.code == "access_denied"]
        for error in errors:
            if error.code in _OF_THE_METHOD or error.is_connection_wide:
                raise error
        if len(denied) == BATCH_SIZE:
            raise denied[0]

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

    def _marks(self, rows: Mapping[Owner, list[Any]], at: dt.datetime) -> pa.Table:
        return pa.Table.from_pylist(
            [
                {
                    "source_key": self.extraction.source_key,
                    "entity": self.detail.name,
                    "owner_type": owner.type,
                    "owner_id": owner.id,
                    "owner_changed_at": owner.changed_at,
                    "read_at": at.astimezone(dt.UTC),
                    "rows_received": len(found),
                }
                for owner, found in rows.items()
            ],
            schema=tables.DETAIL_READS_SCHEMA,
        )
