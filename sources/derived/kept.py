"""What dbt's macros keep of each build in `raw_derived`, because no build can make it again.

No system has it either, so it is archived with what the systems forget.
"""

from sources.archive import ArchivedTable

FORECASTS = ArchivedTable(
    "forecasts",
    key=("made_on", "period_type", "pipeline_key", "reporting_employee_key"),
    seen="made_at",
    is_loaded_by_dlt=False,
)
"""What every day's first build forecast (R9)."""

FINDING_EVENTS = ArchivedTable(
    "finding_events",
    key=("event_number",),
    seen="happened_at",
    is_loaded_by_dlt=False,
)
"""When each finding of the register (R22) was found and gone."""

KEPT_OF_BUILDS = (FORECASTS, FINDING_EVENTS)
