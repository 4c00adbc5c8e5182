-- What an activity is. The numbers are the vendor's (page crm/data-types, activity type): 1 is a
-- meeting, 2 a call, 3 a task, 4 an e-mail, 5 a calendar event, 6 something of a provider.
{{ config(materialized='view') }}

with activities as (
    select * from {{ ref('stg_bitrix24__activities') }}
)

select
    *,
    case
        when activity_type = 4 or provider_id = 'CRM_EMAIL' then 'email'
        when provider_id in ('IMOPENLINES_SESSION', 'CRM_SMS', 'CRM_MESSAGE') then 'chat'
        -- A telephony's record of a call; a call that somebody planned is another provider's.
        when activity_type = 2 and provider_id = 'VOXIMPLANT_CALL' then 'call'
        when activity_type = 2 and is_completed then 'call'
        when activity_type = 2 then 'planned_call'
        when activity_type = 3 or provider_id = 'CRM_TASKS_TASK' then 'task'
        when activity_type in (1, 5) or provider_id = 'CRM_MEETING' then 'meeting'
        when provider_id = 'CRM_TODO' then 'todo'
        else 'other'
    end as activity_kind
from activities
