"""The back-fill: reading again what was created in a window, without moving a cursor."""

import datetime as dt
from zoneinfo import ZoneInfo

from dagster import Config, JobDefinition, OpExecutionContext, in_process_executor, job, op
from pydantic import Field

from orchestration.connections import (
    connections_of,
    connector_of,
    find_connection,
    pipeline_of,
)
from orchestration.failures import readable_failures
from orchestration.progress import relayed_to
from orchestration.resources import Warehouse
from orchestration.settings import Settings
from sources.backfill import backfill_connection
from sources.company import read_company
from sources.errors import CallfunnelError, InputError, SourceError


class BackfillConfig(Config):
    """What to read again."""

    start: str = Field(
        description="First day of the window, e.g. 2026-01-31: records created from then on."
    )
    end: str = Field(description="The day after the last one of the window, e.g. 2026-02-28.")
    entities: list[str] = Field(
        default=[],
        description="Entities, e.g. [deals, stage_history, calls]; none: all of them, in the order "
        "users, dictionaries, cards, history, activities, calls.",
    )
    connections: list[str] = Field(
        default=[],
        description="Connections of the company, by name or <system>:<name>; none: all of them.",
    )


def backfill_name(company: str) -> str:
    """The job's name."""
    return f"{company}__backfill"


def backfill_job(settings: Settings) -> JobDefinition:
    """The job of one company; its form in the UI is the Launchpad."""

    @op(
        name=f"{settings.company}__read_again",
        description="Read records created in a window again. No cursor moves.",
        pool=f"{settings.company}_warehouse",
    )
    def read_again(
        context: OpExecutionContext, config: BackfillConfig, warehouse: Warehouse
    ) -> None:
        with readable_failures(), relayed_to(context.log):
            zone = ZoneInfo(read_company(settings.company_dir).rules.company.time_zone)
            start, end = _day("start", config.start, zone), _day("end", config.end, zone)
            problems: list[str] = []
            found: set[str] = set()
            asked = [find_connection(settings, text) for text in config.connections]
            connections = asked or connections_of(settings)
            for connection in connections:
                # An account that can't be read must not keep the others from being read.
                try:
                    connector = connector_of(settings, connection)
                    known = {entity.name for entity in connector.entities}
                    entities = [name for name in config.entities if name in known]
                    if config.entities and not entities and len(connections) > 1:
                        # Another system's.
                        continue
                    pipeline = pipeline_of(settings, connection.system, connection.name)
                    received = backfill_connection(
                        pipeline, connector, entities or config.entities, start, end
                    )
                    found.update(entities)
                except CallfunnelError as error:
                    problems.append(str(error))
                    continue
                rows = ", ".join(f"{count:,} {name}" for name, count in received.items())
                context.log.info(f"{connector.source_key}: read again {rows or 'nothing'}")
            unknown = [name for name in config.entities if name not in found]
            if unknown and not problems:
                problems.append(
                    f"None of {', '.join(one.source_key for one in connections)} has "
                    f"{', '.join(unknown)}; the load log names their entities."
                )
            if problems:
                raise SourceError(" ".join(problems))
            context.log.info(
                f"Reports follow with the next run of {settings.company}__daily_refresh."
            )

    @job(
        name=backfill_name(settings.company),
        executor_def=in_process_executor,
        description="Read records created in a window again, e.g. after a filter or a right was "
        "wrong for a while. Fill in start and end in the Launchpad.",
    )
    def backfill() -> None:
        read_again()

    return backfill


def _day(name: str, text: str, zone: dt.tzinfo) -> dt.datetime:
    """A day or an instant; without an offset it is in the company's zone."""
    try:
        found = dt.datetime.fromisoformat(text)
    except ValueError:
        raise InputError(
            f"The back-fill's {name} is '{text}': give a day like 2026-01-31."
        ) from None
    return found if found.tzinfo else found.replace(tzinfo=zone)
