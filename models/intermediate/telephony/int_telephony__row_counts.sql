-- What raw holds of the lists of telephony, and how much of it does not become a call of its own:
-- what waits for the next cut, legs of one call and calls that the CRM has as well
-- (`merged_count`), legs without their call (`orphan_count`), rows that are no legs with a person
-- (`other_count`). Nothing is subtracted from what raw holds: a row that fits no reason shall be
-- missed. When a leg began its normal form tells, not raw: an hour may come twice.
{% set lists = {
    'asterisk_cdr': 'stg_asterisk__cdr',
    'mango_calls': 'stg_mango__calls',
    'uis_calls': 'stg_uis__calls',
    'uis_call_legs': 'stg_uis__call_legs',
    'megafon_calls': 'stg_megafon__calls',
    'zadarma_calls': 'stg_zadarma__calls',
    'binotel_calls': 'stg_binotel__calls',
    'ringostat_calls': 'stg_ringostat__calls',
    'generic_calls': 'stg_generic__calls',
} %}
{% set providers = [
    'asterisk', 'mango', 'uis', 'megafon', 'zadarma', 'binotel', 'ringostat', 'generic',
] %}

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

uis_calls as (
    select * from {{ ref('stg_uis__calls') }}
),

uis_legs as (
    select * from {{ ref('stg_uis__call_legs') }}
),

held as (
    {% for raw_table, model in lists.items() %}
    select
        source_key,
        '{{ raw_table.partition("_")[2] }}' as entity,
        'raw_telephony.{{ raw_table }}' as raw_table,
        count(*) as rows_held
    from {{ ref(model) }}
    group by source_key
    {% if not loop.last %}union all{% endif %}
    {% endfor %}
),

-- By the words of their normal form, before anything is left out.
told_legs as (
    {% for provider in providers %}
    select
        source_key,
        entity,
        started_at,
        received_at
    from {{ ref('int_' ~ provider ~ '__call_legs') }}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}
),

waiting as (
    select
        told_legs.source_key,
        told_legs.entity,
        count(*) as waiting_count
    from told_legs
    inner join connections
        on told_legs.source_key = connections.source_key
    left join connections as crm_connections
        on connections.crm_source_key = crm_connections.source_key
    where
        told_legs.started_at > connections.as_of_at
        or told_legs.started_at > crm_connections.as_of_at
        or told_legs.started_at > told_legs.received_at
    group by told_legs.source_key, told_legs.entity
),

-- UIS tells calls and their legs apart; every row of the others is a leg.
uis_calls_with_legs as (
    select
        source_key,
        call_id
    from uis_legs
    where is_operator and not is_coach
    group by source_key, call_id
),

left_out as (
    select
        uis_calls.source_key,
        'calls' as entity,
        0::bigint as orphan_count,
        count(*) as other_count,
        'calls that their legs stand for' as other_reason
    from uis_calls
    inner join uis_calls_with_legs
        on uis_calls.source_key = uis_calls_with_legs.source_key
        and uis_calls.call_id = uis_calls_with_legs.call_id
    group by uis_calls.source_key
    union all
    select
        uis_legs.source_key,
        'call_legs' as entity,
        count(*) filter (
            where uis_legs.is_operator and not uis_legs.is_coach and uis_calls.call_id is null
        ) as orphan_count,
        count(*) filter (where not uis_legs.is_operator or uis_legs.is_coach) as other_count,
        'legs of robots and of who listened in' as other_reason
    from uis_legs
    left join uis_calls
        on uis_legs.source_key = uis_calls.source_key
        and uis_legs.call_id = uis_calls.call_id
    group by uis_legs.source_key
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
    held.raw_table,
    held.rows_held,
    0::bigint as deleted_count,
    0::bigint as template_count,
    coalesce(waiting.waiting_count, 0) as waiting_count,
    coalesce(present.legs_count, 0) - coalesce(counted.calls_count, 0) as merged_count,
    coalesce(left_out.orphan_count, 0) as orphan_count,
    coalesce(left_out.other_count, 0) as other_count,
    case when left_out.other_count > 0 then left_out.other_reason end as other_reason
from held
left join waiting
    on held.source_key = waiting.source_key
    and held.entity = waiting.entity
left join left_out
    on held.source_key = left_out.source_key
    and held.entity = left_out.entity
left join present
    on held.source_key = present.source_key
    and held.entity = present.entity
left join counted
    on held.source_key = counted.source_key
    and held.entity = counted.entity
