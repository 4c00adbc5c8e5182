-- Accounts that records name. user.get never returns robots and integrations: an id that only
-- records know is a system account.
with deals as (
    select * from {{ ref('int_bitrix24__deals') }}
),

leads as (
    select * from {{ ref('int_bitrix24__leads') }}
),

calls as (
    select * from {{ ref('stg_bitrix24__calls') }}
),

deal_versions as (
    select * from {{ ref('stg_bitrix24__deal_versions') }}
),

lead_versions as (
    select * from {{ ref('stg_bitrix24__lead_versions') }}
),

tasks as (
    select * from {{ ref('stg_bitrix24__tasks') }}
),

task_history as (
    select * from {{ ref('stg_bitrix24__task_history') }}
),

activities as (
    select * from {{ ref('stg_bitrix24__activities') }}
),

timeline_comments as (
    select * from {{ ref('stg_bitrix24__timeline_comments') }}
),

invoices as (
    select * from {{ ref('stg_bitrix24__invoices') }}
),

named as (
    select
        source_key,
        owner_id as employee_id
    from deals
    union all
    select
        source_key,
        moved_by_id as employee_id
    from deals
    union all
    select
        source_key,
        created_by_id as employee_id
    from deals
    union all
    select
        source_key,
        owner_id as employee_id
    from leads
    union all
    select
        source_key,
        created_by_id as employee_id
    from leads
    union all
    select
        source_key,
        talker_id as employee_id
    from calls
    union all
    select
        source_key,
        owner_id as employee_id
    from deal_versions
    union all
    select
        source_key,
        moved_by_id as employee_id
    from deal_versions
    union all
    select
        source_key,
        modified_by_id as employee_id
    from deal_versions
    union all
    select
        source_key,
        owner_id as employee_id
    from lead_versions
    union all
    select
        source_key,
        moved_by_id as employee_id
    from lead_versions
    union all
    select
        source_key,
        modified_by_id as employee_id
    from lead_versions
    union all
    select
        source_key,
        responsible_id as employee_id
    from tasks
    union all
    select
        source_key,
        created_by_id as employee_id
    from tasks
    union all
    select
        source_key,
        closed_by_id as employee_id
    from tasks
    union all
    select
        source_key,
        changed_by_id as employee_id
    from task_history
    union all
    select
        source_key,
        responsible_id as employee_id
    from activities
    union all
    select
        source_key,
        created_by_id as employee_id
    from activities
    union all
    select
        source_key,
        created_by_id as employee_id
    from timeline_comments
    union all
    select
        source_key,
        owner_id as employee_id
    from invoices
)

select
    source_key,
    employee_id,
    true as is_system,
    null::timestamp as last_own_action_at
from named
where employee_id is not null
group by source_key, employee_id
