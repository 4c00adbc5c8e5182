with volumes as (
    select * from {{ ref('int_volumes_by_day') }}
)

select
    {{ hash_key(["'volume'", 'source_key', 'entity', 'date_day']) }} as volume_key,
    source_key,
    entity as list_name,
    date_day,
    rows_count as new_rows_count,
    usual_count::decimal(18, 1) as usual_rows_count,
    lowest_count::decimal(18, 1) as lowest_usual_rows_count,
    highest_count::decimal(18, 1) as highest_usual_rows_count,
    sample_count::bigint as weekdays_count,
    volume_verdict
from volumes
