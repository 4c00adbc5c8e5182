{{ config(materialized='affected_keys', affected_by=['task_key']) }}

with tasks as (
    select * from {{ ref('int_tasks') }}
),

cards as (
    select * from {{ ref('int_cards') }}
),

deadline_moves as (
    select * from {{ ref('int_deadline_moves') }}
),

days as (
    select * from {{ ref('int_days_by_utc_date') }}
),

employees as (
    select * from {{ ref('dim_employees') }}
),

moves as (
    select
        task_key,
        count(*) as deadline_moves_count,
        max(moved_at) as deadline_moved_at
    from deadline_moves
    group by task_key
),

dated as (
    select
        tasks.*,
        created_days.date_day as created_on,
        completed_days.date_day as completed_on
    from tasks
    left join days as created_days
        on tasks.created_at::date = created_days.utc_on
        and tasks.created_at >= created_days.starts_at
        and tasks.created_at < created_days.ends_at
    left join days as completed_days
        on tasks.completed_at::date = completed_days.utc_on
        and tasks.completed_at >= completed_days.starts_at
        and tasks.completed_at < completed_days.ends_at
)

select
    dated.task_key,
    dated.source_key,
    dated.entity,
    dated.record_id::varchar as record_id,
    dated.task_kind,
    dated.title as task_title,
    cards.card_type,
    cards.card_key,
    cards.deal_key,
    case cards.card_type when 'lead' then cards.lead_key end as lead_key,
    dated.created_at,
    dated.created_on,
    dated.deadline_at,
    dated.held_at,
    dated.is_completed,
    dated.completed_at,
    dated.completed_on,
    dated.completed_at_basis,
    case when dated.is_completed then dated.completed_at > dated.deadline_at end
        as was_completed_late,
    coalesce(moves.deadline_moves_count, 0)::integer as deadline_moves_count,
    moves.deadline_moved_at,
    coalesce(dated.owner_employee_key, {{ nobody_key() }}) as owner_employee_key,
    coalesce(dated.creator_employee_key, {{ nobody_key() }}) as creator_employee_key,
    case
        when dated.is_completed then coalesce(dated.completer_employee_key, {{ nobody_key() }})
    end as completer_employee_key,
    -- The completion is an event of its day; a task that is still planned is one of now.
    case
        when dated.completed_on is null
            then coalesce(owners.current_reporting_key, {{ nobody_key() }})
        else {{ reporting_key('completers', 'dated.completed_on', 'dated.completer_employee_key') }}
    end as reporting_employee_key,
    coalesce(owners.current_reporting_key, {{ nobody_key() }}) as current_reporting_employee_key
from dated
left join cards
    on dated.card_key = cards.card_key
left join moves
    on dated.task_key = moves.task_key
left join employees as owners
    on dated.owner_employee_key = owners.employee_key
left join employees as completers
    on dated.completer_employee_key = completers.employee_key
