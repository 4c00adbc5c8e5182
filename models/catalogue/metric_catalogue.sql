-- The texts stand in the yml files, beside what they explain; here they become rows.
with entries as (
    {{ catalogue_values() }}
)

select
    {{ hash_key([
        'entry_kind', "coalesce(table_name, '')", "coalesce(column_name, '')", 'entry_name', 'language',
    ]) }} as catalogue_key,
    entry_kind,
    entry_name,
    report,
    table_name,
    column_name,
    language,
    name,
    definition,
    formula,
    unit,
    grain,
    additivity,
    question,
    trap,
    action,
    example
from entries
