-- One row per call and deal that the portal bound it to: through its activity or directly.
with call_rows as (
    select * from {{ ref('int_bitrix24__call_rows') }}
),

activities as (
    select * from {{ ref('stg_bitrix24__activities') }}
    -- 2 is a deal (vendor's page crm/data-types, object_type)
    where owner_entity_type = 2
),

bound as (
    select
        call_rows.source_key,
        call_rows.call_key,
        activities.owner_entity_id as deal_id
    from call_rows
    inner join activities
        on call_rows.source_key = activities.source_key
        and call_rows.activity_id = activities.activity_id
    union all
    select
        source_key,
        call_key,
        entity_id as deal_id
    from call_rows
    where entity_type = 'DEAL'
)

select
    call_key,
    {{ hash_key(['source_key', 'deal_id']) }} as deal_key
from bound
where deal_id is not null
group by call_key, source_key, deal_id
