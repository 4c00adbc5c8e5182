"""`raw_derived.forecasts`: what every day's first build forecast (R9), kept by dbt's macro.

No system has it and no build can make it again, so it is archived with what the systems forget.
"""

from sources.archive import ArchivedTable

FORECASTS = ArchivedTable(
    "forecasts",
    key=("made_on", "period_type", "pipeline_key", "reporting_employee_key"),
    seen="made_at",
    is_loaded_by_dlt=False,
)
