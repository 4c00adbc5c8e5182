"""One readable message: what failed, since when, whom it concerns, where to look; no phones."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from orchestration.alerts.state import News, Over, Trouble
from orchestration.alerts.texts import WORDS, Language, Words
from sources.masking import without_contacts

ITEMS_SHOWN = 10
PEOPLE_SHOWN = 5
SENTENCE_LENGTH = 280
"""Ten of them and their links stay below Telegram's 4,096 characters."""
LINES_SHOWN = 5


@dataclass(frozen=True)
class Message:
    """What is sent."""

    title: str
    body: str


@dataclass(frozen=True)
class Teller:
    """Writes a company's messages in its language and zone.

    Attributes:
        company: the name that people know.
        ui_url: where the Dagster UI is.
    """

    company: str
    language: Language
    time_zone: str
    ui_url: str

    @property
    def words(self) -> Words:
        """The sentences of the company's language."""
        return WORDS[self.language]

    def message(self, news: News, *, is_of_runs: bool) -> Message:
        """The message about failed checks, or about failed runs."""
        words = self.words
        head = []
        if news.failed and is_of_runs:
            is_run = any(trouble.run_id for trouble in news.failed)
            head.append(words.run_failed if is_run else words.stale_name)
        elif news.failed:
            head.append(words.checks_failed.format(count=len(news.failed)))
        if news.over:
            head.append(words.is_over.format(count=len(news.over)))
        parts: list[str] = []
        if news.failed:
            worst_first = sorted(news.failed, key=lambda one: one.severity)
            parts.append(self._list(words.failed_head, [self._trouble(t) for t in worst_first]))
        if news.failed and is_of_runs:
            parts.append(words.last_publication)
        if news.over:
            parts.append(self._list(words.over_head, [self._over(one) for one in news.over]))
        if news.run_id:
            parts.append(f"{words.run}: {self.ui_url.rstrip('/')}/runs/{news.run_id}")
        return Message(without_contacts(f"{self.company}: {', '.join(head)}"), "\n\n".join(parts))

    def test_message(self) -> Message:
        """What somebody who sets up alerts wants to see arrive."""
        return Message(self.company, self.words.test)

    def at(self, instant: float) -> str:
        """An instant in the company's zone."""
        local = dt.datetime.fromtimestamp(instant, ZoneInfo(self.time_zone))
        return local.strftime("%Y-%m-%d %H:%M")

    def _list(self, head: str, items: Sequence[str]) -> str:
        shown = [f"- {item}" for item in items[:ITEMS_SHOWN]]
        if len(items) > ITEMS_SHOWN:
            shown.append(self.words.more.format(count=len(items) - ITEMS_SHOWN))
        return "\n".join([f"{head}:", *shown])

    def _trouble(self, trouble: Trouble) -> str:
        words = self.words
        label = words.blocks if trouble.severity == "error" else words.warns
        facts = [words.since.format(at=self.at(trouble.at))]
        if trouble.records_count is not None:
            facts.append(words.records.format(count=trouble.records_count))
        lines = [f"{trouble.name} ({label}), {', '.join(facts)}", *self._details(trouble)]
        # The link is ours, made of ids; everything else may hold what somebody has typed.
        told = without_contacts("\n  ".join(lines))
        return f"{told}\n  {trouble.link}" if trouble.link else told

    def _details(self, trouble: Trouble) -> Iterator[str]:
        if trouble.sentence:
            yield _shortened(trouble.sentence)
        if trouble.people:
            names = ", ".join(trouble.people[:PEOPLE_SHOWN])
            if len(trouble.people) > PEOPLE_SHOWN:
                more = self.words.more.format(count=len(trouble.people) - PEOPLE_SHOWN)
                names = f"{names} {more}"
            yield self.words.concerned.format(names=names)

    def _over(self, over: Over) -> str:
        lasted = self.words.lasted_since.format(at=self.at(over.since))
        return without_contacts(f"{over.name}: {lasted}")


def _shortened(sentence: str) -> str:
    """Each line by itself: of a closed gate's reasons none may hide the next."""
    lines = [" ".join(line.split()) for line in sentence.splitlines() if line.strip()]
    return " ".join(
        told if len(told) <= SENTENCE_LENGTH else f"{told[: SENTENCE_LENGTH - 1]}…"
        for told in lines[:LINES_SHOWN]
    )
