-- The card of an activity: its owner, else, of the deals it is bound to, the lowest, else a lead.
{{ config(materialized='affected_keys', affected_nodes=node('activity', 'activity_id')) }}

with activities as (
    select * from {{ ref('stg_bitrix24__activities') }}
),

activity_bindings as (
    select * from {{ ref('int_bitrix24__activity_bindings') }}
),

named as (
    select
        source_key,
        activity_id,
        owner_entity_type as entity_type_id,
        owner_entity_id as entity_id,
        0 as distance
    from activities
    union all
    select
        source_key,
        activity_id,
        entity_type_id,
        entity_id,
        1 as distance
    from activity_bindings
),

-- 1 is a lead, 2 a deal (vendor's page crm/data-types, object_type)
ranked as (
    select
        *,
        row_number() over (
            partition by source_key, activity_id
            order by distance asc, entity_type_id desc, entity_id asc
        ) as place
    from named
    where entity_type_id in (1, 2) and entity_id is not null
)

select
    source_key,
    activity_id,
    case entity_type_id when 2 then 'deal' else 'lead' end as card_type,
    entity_id as card_id
from ranked
where place = 1
