"""The words of alerts in the languages a company may choose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Language = Literal["en", "ru", "uk"]


@dataclass(frozen=True)
class Words:
    """Sentences of a message; counts stand after a colon, so that no word needs a plural form."""

    run_failed: str
    checks_failed: str
    is_over: str
    failed_head: str
    over_head: str
    blocks: str
    warns: str
    records: str
    since: str
    lasted_since: str
    concerned: str
    more: str
    last_publication: str
    run: str
    stale_name: str
    stale: str
    test: str


WORDS: Mapping[Language, Words] = {
    "en": Words(
        run_failed="a run has failed",
        checks_failed="checks failed: {count}",
        is_over="over: {count}",
        failed_head="Failed",
        over_head="Over",
        blocks="error",
        warns="warning",
        records="records: {count}",
        since="since {at}",
        lasted_since="it had lasted since {at}",
        concerned="Concerns: {names}",
        more="and {count} more",
        last_publication="Reports stay as they were last published.",
        run="Run",
        stale_name="no finished daily run",
        stale="The last daily run that finished did so at {at}: reports are older than "
        "{hours} hours. Is the schedule on, and is Dagster's daemon running?",
        test="This is a test: alerts of this company arrive here.",
    ),
    "ru": Words(
        run_failed="запуск завершился ошибкой",
        checks_failed="проверок не прошло: {count}",
        is_over="устранено: {count}",
        failed_head="Не в порядке",
        over_head="Снова в порядке",
        blocks="ошибка",
        warns="предупреждение",
        records="записей: {count}",
        since="с {at}",
        lasted_since="было не в порядке с {at}",
        concerned="Кого касается: {names}",
        more="и ещё {count}",
        last_publication="Отчёты остаются такими, какими были опубликованы в последний раз.",
        run="Запуск",
        stale_name="нет завершённого ежедневного запуска",
        stale="Последний успешный ежедневный запуск завершился {at}: отчётам больше {hours} ч. "
        "Включено ли расписание и работает ли демон Dagster?",
        test="Это проверка: сюда будут приходить сообщения о сбоях этой компании.",
    ),
    "uk": Words(
        run_failed="запуск завершився помилкою",
        checks_failed="перевірок не пройдено: {count}",
        is_over="усунено: {count}",
        failed_head="Не в порядку",
        over_head="Знову в порядку",
        blocks="помилка",
        warns="попередження",
        records="записів: {count}",
        since="з {at}",
        lasted_since="було не в порядку з {at}",
        concerned="Кого стосується: {names}",
        more="і ще {count}",
        last_publication="Звіти лишаються такими, якими були опубліковані востаннє.",
        run="Запуск",
        stale_name="немає завершеного щоденного запуску",
        stale="Останній успішний щоденний запуск завершився {at}: звітам понад {hours} год. "
        "Чи увімкнено розклад і чи працює демон Dagster?",
        test="Це перевірка: сюди надходитимуть повідомлення про збої цієї компанії.",
    ),
}
