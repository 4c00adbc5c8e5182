-- What raw holds of the lists of telephony, and how much of it does not become a call of its own:
-- what waits for the next cut, legs of one call and calls that the CRM has as well
-- (`merged_count`), rows that are no legs with a person (`other_count`).
{% set lists = {
    'stg_asterisk__cdr': 'cdr',
    'stg_mango__calls': 'calls',
    'stg_uis__calls': 'calls',
    'stg_uis__call_legs': 'call_legs',
    'stg_megafon__calls': 'calls',
    'stg_zadarma__calls': 'calls',
    'stg_binotel__calls': 'calls',
    'stg_ringostat__calls': 'calls',
    'stg_generic__calls': 'calls',
} %}

with legs as (
    select * from {{ ref('int_pbx_call_legs') }}
),

own_calls as (
    select * from {{ ref('int_calls_unified') }}
    where call_sources = 'pbx'
),

connections as (
    select * from {{ ref('int_connections') }}
),

listed as (
    {% for model, entity in lists.items() %}
    select
        source_key,
        '{{ entity }}' as entity,
        started_at,
        received_at
    from {{ ref(model) }}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}
),

held as (
    select
        listed.source_key,
        listed.entity,
        count(*) as rows_held,
        count(*) filter (
            where
            listed.started_at > connections.as_of_at
            or listed.started_at > crm_connections.as_of_at
            or listed.started_at > listed.received_at
        ) as waiting_count
    from listed
    inner join connections
        on listed.source_key = connections.source_key
    left join connections as crm_connections
        on connections.crm_source_key = crm_connections.source_key
    group by listed.source_key, listed.entity
),

present as (
    select
        source_key,
        entity,
        count(*) as legs_count
    from legs
    group by source_key, entity
),

counted as (
    select
        origin_source_key as source_key,
        entity,
        count(*) as calls_count
    from own_calls
    group by origin_source_key, entity
)

select
    held.source_key,
    held.entity,
    held.rows_held,
    0::bigint as deleted_count,
    0::bigint as template_count,
    held.waiting_count,
    coalesce(present.legs_count, 0) - coalesce(counted.calls_count, 0) as merged_count,
    0::bigint as orphan_count,
    held.rows_held - held.waiting_count - coalesce(present.legs_count, 0) as other_count
from held
left join present
    on held.source_key = present.source_key
    and held.entity = present.entity
left join counted
    on held.source_key = counted.source_key
    and held.entity = counted.entity
