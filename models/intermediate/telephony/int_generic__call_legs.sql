-- Calls of an exported table in the normal form of legs: each is a call of one leg. What the
-- texts for direction and result mean stands in company.toml.
{{ config(
    materialized='affected_keys',
    affected_nodes=text_node('pbx', 'call_id'),
    is_linked=true,
) }}

with calls as (
    select * from {{ ref('stg_generic__calls') }}
),

directions as (
    select * from {{ ref('stg_company__telephony_values') }}
    where kind = 'direction'
),

results as (
    select * from {{ ref('stg_company__telephony_values') }}
    where kind = 'result'
)

select
    calls.source_key,
    calls.call_id as leg_id,
    calls.call_id,
    calls.link_id,
    0::bigint as leg_order,
    coalesce(
        directions.normal_value,
        case
            when lower(calls.direction) in ('inbound', 'outbound', 'internal')
                then lower(calls.direction)
        end
    ) as direction,
    calls.started_at,
    greatest(
        coalesce(
            calls.total_seconds, coalesce(calls.wait_seconds, 0) + coalesce(calls.talk_seconds, 0)
        ),
        0
    )::bigint as total_seconds,
    greatest(coalesce(calls.talk_seconds, calls.total_seconds, 0), 0)::bigint as talk_seconds,
    case
        when calls.talk_seconds is not null then 'talk'
        when calls.total_seconds is not null then 'total'
        else 'unknown'
    end as talk_basis,
    calls.result_code,
    results.normal_value as told_result,
    calls.client_phone,
    calls.line,
    calls.extension,
    calls.talker_name,
    calls.recording_url,
    'calls' as entity,
    calls.received_at
from calls
left join directions
    on calls.source_key = directions.source_key
    and calls.direction = directions.raw_value
left join results
    on calls.source_key = results.source_key
    and calls.result_code = results.raw_value
