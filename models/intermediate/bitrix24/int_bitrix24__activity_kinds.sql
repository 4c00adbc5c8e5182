-- What an activity is. The numbers are the vendor's (page crm/data-types, activity type): 1 is a
-- meeting, 2 a call, 3 a task, 4 an e-mail, 5 a calendar event, 6 something of a provider.
{{ config(materialized='affected_keys', affected_nodes=node('activity', 'activity_id')) }}

with activities as (
    select * from {{ ref('stg_bitrix24__activities') }}
),

calls as (
    select * from {{ ref('stg_bitrix24__calls') }}
),

noted as (
    select
        source_key,
        activity_id
    from calls
    where activity_id is not null
    group by source_key, activity_id
)

select
    activities.source_key,
    activities.activity_id,
    case
        when activities.activity_type = 4 or activities.provider_id = 'CRM_EMAIL' then 'email'
        when activities.provider_id = 'IMOPENLINES_SESSION' then 'chat_session'
        when activities.provider_id in ('CRM_SMS', 'CRM_MESSAGE') then 'chat'
        -- A telephony's record of a call names it (VI_<call id>), or the call names the record;
        -- what somebody planned has the same provider and neither.
        when
            activities.activity_type = 2
            and (starts_with(activities.origin_id, 'VI_') or noted.activity_id is not null)
            then 'call'
        when activities.activity_type = 2 then 'planned_call'
        when activities.activity_type = 3 or activities.provider_id = 'CRM_TASKS_TASK' then 'task'
        when
            activities.activity_type in (1, 5) or activities.provider_id = 'CRM_MEETING'
            then 'meeting'
        when activities.provider_id = 'CRM_TODO' then 'todo'
        else 'other'
    end as activity_kind
from activities
left join noted
    on activities.source_key = noted.source_key
    and activities.activity_id = noted.activity_id
