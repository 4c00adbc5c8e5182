-- One row per call and card that the portal bound it to: through its activity or directly. The
-- activity's owner is one of its bindings; the others count where they were asked for.
{{ config(materialized='affected_keys', affected_by=['call_key']) }}

with call_rows as (
    select * from {{ ref('int_bitrix24__call_rows') }}
),

activities as (
    select * from {{ ref('stg_bitrix24__activities') }}
    -- 2 is a call
    where activity_type = 2
),

activity_bindings as (
    select * from {{ ref('int_bitrix24__activity_bindings') }}
    -- 1 is a lead, 2 a deal (vendor's page crm/data-types, object_type)
    where entity_type_id in (1, 2)
),

call_activities as (
    select
        call_rows.source_key,
        call_rows.call_key,
        activities.activity_id,
        activities.owner_entity_type as entity_type_id,
        activities.owner_entity_id as entity_id
    from call_rows
    inner join activities
        on call_rows.source_key = activities.source_key
        and call_rows.activity_id = activities.activity_id
),

bound as (
    select
        source_key,
        call_key,
        entity_type_id,
        entity_id
    from call_activities
    union all
    select
        call_activities.source_key,
        call_activities.call_key,
        activity_bindings.entity_type_id,
        activity_bindings.entity_id
    from call_activities
    inner join activity_bindings
        on call_activities.source_key = activity_bindings.source_key
        and call_activities.activity_id = activity_bindings.activity_id
    union all
    select
        source_key,
        call_key,
        case entity_type when 'LEAD' then 1 else 2 end as entity_type_id,
        entity_id
    from call_rows
    where entity_type in ('LEAD', 'DEAL')
)

select
    call_key,
    {{ card_key("case entity_type_id when 1 then 'lead' else 'deal' end", 'entity_id') }}
        as card_key
from bound
where entity_type_id in (1, 2) and entity_id is not null
group by call_key, source_key, entity_type_id, entity_id
