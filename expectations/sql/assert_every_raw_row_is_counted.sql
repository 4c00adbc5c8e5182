{{ config(meta={'dagster': {'ref': {'name': 'int_connections'}}}) }}
-- What the counts hold of a raw table is all that it has. Every raw table of records is asked: one
-- that is new and that nobody counts fails here by its name.
with connections as (
    select * from {{ ref('int_connections') }}
),

counts as (
    select * from {{ ref('int_bitrix24__row_counts') }}
    union all
    select * from {{ ref('int_amocrm__row_counts') }}
    union all
    select * from {{ ref('int_telephony__row_counts') }}
),

counted as (
    select
        source_key,
        raw_table,
        sum(rows_held) as rows_counted
    from counts
    group by source_key, raw_table
),

held as (
    {{ raw_record_counts() }}
)

select
    connections.source_key,
    held.raw_table,
    held.rows_held,
    coalesce(counted.rows_counted, 0) as rows_counted
from held
-- Rows of a connection whose first load has not ended wait for it.
inner join connections
    on held.source_key = connections.source_key
left join counted
    on held.source_key = counted.source_key
    and held.raw_table = counted.raw_table
where held.rows_held <> coalesce(counted.rows_counted, 0)
