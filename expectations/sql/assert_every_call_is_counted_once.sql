{{ config(meta={'dagster': {'ref': {'name': 'metric_call_load__by_stage'}}}) }}
-- For every segment type, calls over all stages plus the buckets add up to all external calls.
with external_calls as (
    select
        source_key,
        count(*) as calls_count,
        sum(talk_seconds) as talk_seconds
    from {{ ref('fct_calls') }}
    where is_external
    group by source_key
),

load_by_type as (
    select
        source_key,
        segment_type,
        sum(calls_count) as calls_count,
        sum(talk_seconds) as talk_seconds,
        sum(
            talk_0_count + talk_1_to_10_count + talk_11_to_20_count
            + talk_21_to_39_count + talk_40_to_119_count + talk_120_plus_count
        ) as banded_count
    from {{ ref('metric_call_load__by_stage') }}
    group by source_key, segment_type
)

select
    load_by_type.*,
    external_calls.calls_count as external_calls_count
from load_by_type
full outer join external_calls
    on load_by_type.source_key = external_calls.source_key
where
    load_by_type.calls_count is distinct from external_calls.calls_count
    or load_by_type.talk_seconds is distinct from external_calls.talk_seconds
    or load_by_type.banded_count is distinct from external_calls.calls_count
