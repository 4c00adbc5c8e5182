-- The texts stand in the yml files, beside what they explain; here they become rows. What a column
-- or a metric does not say itself it takes from its report.
with entries as (
    {{ catalogue_values() }}
),

reports as (
    select
        table_name,
        language,
        report,
        grain,
        question,
        trap,
        action,
        example
    from entries
    where entry_kind = 'report'
),

-- A condition on the left side alone would make a nested loop of the join below.
entries_of_reports as (
    select
        *,
        case when entry_kind in ('column', 'metric') then table_name end as report_table
    from entries
)

select
    {{ hash_key([
        'told.entry_kind', "coalesce(told.table_name, '')",
        "coalesce(told.column_name, '')", 'told.entry_name', 'told.language',
    ]) }} as catalogue_key,
    told.entry_kind,
    told.entry_name,
    coalesce(told.report, reports.report) as report,
    told.table_name,
    told.column_name,
    told.entry_position,
    told.language,
    told.name,
    told.definition,
    told.formula,
    told.unit,
    coalesce(told.grain, reports.grain) as grain,
    told.additivity,
    coalesce(told.question, reports.question) as question,
    coalesce(told.trap, reports.trap) as trap,
    coalesce(told.action, reports.action) as action,
    coalesce(told.example, reports.example) as example
from entries_of_reports as told
left join reports
    on told.report_table = reports.table_name
    and told.language = reports.language
