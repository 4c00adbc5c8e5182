"""Frames of tasks, comments, bindings and the activities that are neither calls nor planned."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from sources.demo.generator import names
from sources.demo.generator.columns import (
    DEAL_OWNER,
    LEAD_OWNER,
    frame,
    moments,
    where,
)
from sources.demo.generator.ids import Spaces
from sources.demo.generator.records import END_OF_TIME, TASK, Plan
from sources.demo.generator.rhythm import Seconds, to_microseconds
from sources.demo.generator.work import (
    COMMENTS,
    DEADLINE,
    NEW_TASK,
    TASK_FIELDS,
    TASK_TITLES,
)

TRACE_KINDS: tuple[tuple[int, str, str], ...] = (
    (6, "IMOPENLINES_SESSION", "IMOPENLINES_SESSION"),
    (4, "CRM_EMAIL", "EMAIL"),
    (3, "CRM_TASKS_TASK", "TASK"),
)
"""Type, provider and its type, by kind of trace."""
_CHANNELS = ("Чат на сайте", "Telegram", "ВКонтакте")
_E_MAILS = ("Re: Коммерческое предложение", "Вопрос по договору", "Реквизиты", "План помещения")


class WorkWriter:
    """Builds the frames of the work around cards."""

    def __init__(self, plan: Plan, spaces: Spaces) -> None:
        self._plan = plan
        self._spaces = spaces

    def traces(self, rows: slice) -> pd.DataFrame:
        """Chats, received e-mails and mirrors of tasks of one period."""
        traces, tasks = self._plan.traces, self._plan.assignments
        count = rows.stop - rows.start
        places = np.arange(rows.start, rows.stop)
        kind = traces.kind[rows]
        is_task = kind == TASK
        created, updated = traces.created[rows], traces.updated[rows]
        deadline, done = traces.deadline[rows], traces.is_done[rows]
        responsible = traces.responsible[rows]
        subjects = [*TASK_TITLES, *_E_MAILS, *_CHANNELS]
        # Which channel and subject is a function of the place: a draw would need its own column.
        subject = np.select(
            [is_task, kind == 1],
            [
                tasks.title[np.maximum(traces.task[rows], 0)] if len(tasks.title) else kind,
                len(TASK_TITLES) + places % len(_E_MAILS),
            ],
            len(TASK_TITLES) + len(_E_MAILS) + places % len(_CHANNELS),
        )
        ends = np.where(is_task, np.where(deadline == END_OF_TIME, updated, deadline), updated)
        return frame(
            "activity",
            {
                "ID": self._spaces.activity.further(places),
                "OWNER_ID": self._owners(traces.deal[rows], traces.lead[rows]),
                "OWNER_TYPE_ID": np.where(traces.lead[rows] >= 0, LEAD_OWNER, DEAL_OWNER),
                "TYPE_ID": np.array([item[0] for item in TRACE_KINDS])[kind],
                "PROVIDER_ID": names.pick([item[1] for item in TRACE_KINDS], kind),
                "PROVIDER_TYPE_ID": names.pick([item[2] for item in TRACE_KINDS], kind),
                "SUBJECT": names.pick(subjects, subject),
                "CREATED": to_microseconds(created),
                "LAST_UPDATED": to_microseconds(updated),
                "START_TIME": to_microseconds(created),
                "END_TIME": to_microseconds(ends),
                "DEADLINE": to_microseconds(deadline),
                "COMPLETED": done.astype(np.int64),
                "STATUS": np.where(done, 2, 1),
                "RESPONSIBLE_ID": responsible,
                "PRIORITY": 2,
                "DIRECTION": pa.array(np.full(count, 1), mask=is_task),
                "AUTHOR_ID": responsible,
                "EDITOR_ID": responsible,
            },
            count,
        )

    def tasks(self, rows: slice) -> pd.DataFrame:
        """Tasks created in one period."""
        tasks = self._plan.assignments
        is_of_lead = tasks.lead[rows] >= 0
        closed = tasks.closed[rows]
        responsible = tasks.responsible[rows]
        return frame(
            "task",
            {
                "ID": self._spaces.task.own(np.arange(rows.start, rows.stop)),
                "TITLE": names.pick(TASK_TITLES, tasks.title[rows]),
                "STATUS": tasks.status[rows],
                "PRIORITY": 1,
                "CREATED_BY": tasks.creator[rows],
                "RESPONSIBLE_ID": responsible,
                "CREATED_DATE": to_microseconds(tasks.created[rows]),
                "CHANGED_DATE": to_microseconds(tasks.changed[rows]),
                "DATE_START": moments(tasks.started[rows]),
                "DEADLINE": moments(tasks.deadline[rows]),
                "CLOSED_DATE": moments(closed),
                "CLOSED_BY": pa.array(responsible, mask=closed == END_OF_TIME),
                "GROUP_ID": 0,
                "UF_CRM_TASK": names.join(
                    where(is_of_lead, pa.repeat('["L_', len(closed)), '["D_'),
                    names.as_text(self._owners(tasks.deal[rows], tasks.lead[rows])),
                    '"]',
                ),
            },
            rows.stop - rows.start,
        )

    def task_history(self, rows: slice) -> pd.DataFrame:
        """Changes of tasks in one period."""
        events = self._plan.task_events
        kind = events.field[rows]
        return frame(
            "task_history",
            {
                "ID": self._spaces.task_history.own(np.arange(rows.start, rows.stop)),
                "TASK_ID": self._spaces.task.own(events.task[rows]),
                "CREATED_DATE": to_microseconds(events.time[rows]),
                "USER_ID": events.user[rows],
                "FIELD": names.pick(TASK_FIELDS, kind),
                "VALUE_FROM": _value(kind, events.before[rows]),
                "VALUE_TO": _value(kind, events.after[rows]),
            },
            rows.stop - rows.start,
        )

    def comments(self, rows: slice) -> pd.DataFrame:
        """Comments written in one period."""
        comments = self._plan.comments
        is_of_lead = comments.lead[rows] >= 0
        return frame(
            "timeline_comment",
            {
                "ID": self._spaces.timeline_comment.own(np.arange(rows.start, rows.stop)),
                "ENTITY_TYPE": pc.if_else(pa.array(is_of_lead), "lead", "deal"),
                "ENTITY_ID": self._owners(comments.deal[rows], comments.lead[rows]),
                "AUTHOR_ID": comments.author[rows],
                "CREATED": to_microseconds(comments.created[rows]),
                "COMMENT": _texts(comments.text[rows], comments.number[rows]),
            },
            rows.stop - rows.start,
        )

    def bindings(self, rows: slice) -> pd.DataFrame:
        """What the calls of one period are bound to beside their activity's owner."""
        bindings = self._plan.bindings
        is_lead = bindings.lead[rows] >= 0
        return frame(
            "binding",
            {
                "ID": self._spaces.binding.own(np.arange(rows.start, rows.stop)),
                "ACTIVITY_ID": self._spaces.activity.own(bindings.activity[rows]),
                "ENTITY_TYPE_ID": np.where(is_lead, LEAD_OWNER, DEAL_OWNER),
                "ENTITY_ID": self._owners(bindings.deal[rows], bindings.lead[rows]),
            },
            rows.stop - rows.start,
        )

    def _owners(self, deal: npt.NDArray[Any], lead: npt.NDArray[Any]) -> Seconds:
        """Ids of the deal or, where there is one, of the lead."""
        return np.where(lead >= 0, self._spaces.lead.own(lead), self._spaces.deal.own(deal))


def _texts(text: npt.NDArray[Any], number: npt.NDArray[Any]) -> pa.Array:
    parts = [words.partition("{}") for words, _ in COMMENTS]
    tells_number = np.array([bool(mark) for _, mark, _ in parts])
    return names.join(
        names.pick([before for before, _, _ in parts], text),
        where(tells_number[text], names.as_text(number), ""),
        names.pick([after for _, _, after in parts], text),
    )


def _value(kind: npt.NDArray[Any], values: Seconds) -> pa.Array:
    """A side of a change as the portal prints it: deadlines in seconds since 1970."""
    epoch = to_microseconds(values) // 1_000_000
    return where(kind != NEW_TASK, names.as_text(np.where(kind == DEADLINE, epoch, values)))
