-- The texts stand in the yml files, beside what they explain; here they become rows. What a column
-- or a metric does not say itself it takes from its report.
with entries as (
    {{ catalogue_values() }}
),

reports as (
    select * from entries
    where entry_kind = 'report'
)

select
    {{ hash_key([
        'entries.entry_kind', "coalesce(entries.table_name, '')",
        "coalesce(entries.column_name, '')", 'entries.entry_name', 'entries.language',
    ]) }} as catalogue_key,
    entries.entry_kind,
    entries.entry_name,
    coalesce(entries.report, reports.report) as report,
    entries.table_name,
    entries.column_name,
    entries.entry_position,
    entries.language,
    entries.name,
    entries.definition,
    entries.formula,
    entries.unit,
    coalesce(entries.grain, reports.grain) as grain,
    entries.additivity,
    coalesce(entries.question, reports.question) as question,
    coalesce(entries.trap, reports.trap) as trap,
    coalesce(entries.action, reports.action) as action,
    coalesce(entries.example, reports.example) as example
from entries
left join reports
    on entries.table_name = reports.table_name
    and entries.language = reports.language
    and entries.entry_kind in ('column', 'metric')
