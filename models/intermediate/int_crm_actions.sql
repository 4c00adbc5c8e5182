-- What people did in the CRM, one row each, all systems. Calls are in fct_calls.
{{ config(materialized='affected_keys', affected_by=['crm_action_key']) }}

with cards as (
    select * from {{ ref('int_cards') }}
),

deals as (
    select * from {{ ref('int_deals') }}
),

leads as (
    select * from {{ ref('int_leads') }}
),

moves as (
    select * from {{ ref('int_stage_moves') }}
),

mass_moves as (
    select * from {{ ref('int_mass_moves') }}
),

changes as (
    select * from {{ ref('int_card_changes') }}
    where change_type = 'change'
),

-- Making and moving a card changes it too: that is told already.
told_instants as (
    select
        card_key,
        created_at as told_at
    from cards
    union
    select
        card_key,
        moved_at as told_at
    from moves
),

other_changes as (
    select changes.*
    from changes
    left join told_instants
        on changes.card_key = told_instants.card_key
        and changes.changed_at = told_instants.told_at
    where told_instants.card_key is null
),

comments as (
    select * from {{ ref('int_comments') }}
),

messages as (
    select * from {{ ref('int_messages') }}
),

tasks as (
    select * from {{ ref('int_tasks') }}
),

deadline_moves as (
    select * from {{ ref('int_deadline_moves') }}
),

unioned as (
    select
        'card_created' as action_type,
        deal_key as record_key,
        source_key,
        created_at as acted_at,
        creator_employee_key as employee_key,
        deal_key as card_key,
        false as is_lower_bound,
        false as is_robot,
        false as is_touch
    from deals
    union all
    select
        'card_created' as action_type,
        lead_key as record_key,
        source_key,
        created_at as acted_at,
        creator_employee_key as employee_key,
        lead_key as card_key,
        false as is_lower_bound,
        false as is_robot,
        false as is_touch
    from leads
    union all
    select
        'stage_move' as action_type,
        moves.stage_visit_key as record_key,
        moves.source_key,
        moves.moved_at as acted_at,
        moves.mover_employee_key as employee_key,
        moves.card_key,
        moves.is_lower_bound,
        moves.is_robot,
        not(mass_moves.stage_visit_key is not null or moves.is_robot) as is_touch
    from moves
    left join mass_moves
        on moves.stage_visit_key = mass_moves.stage_visit_key
    union all
    select
        'card_changed' as action_type,
        {{ hash_key(['card_key', 'changed_at', "coalesce(employee_key, 0)"]) }} as record_key,
        source_key,
        changed_at as acted_at,
        employee_key,
        card_key,
        is_lower_bound,
        is_robot,
        false as is_touch
    from other_changes
    union all
    select
        'comment' as action_type,
        comment_key as record_key,
        source_key,
        written_at as acted_at,
        employee_key,
        card_key,
        false as is_lower_bound,
        false as is_robot,
        true as is_touch
    from comments
    union all
    -- What a client writes is no touch of ours; a chat session is both sides' talk.
    select
        'message' as action_type,
        message_key as record_key,
        source_key,
        sent_at as acted_at,
        employee_key,
        card_key,
        false as is_lower_bound,
        false as is_robot,
        true as is_touch
    from messages
    where is_session or direction <> 'inbound'
    union all
    select
        'task_created' as action_type,
        task_key as record_key,
        source_key,
        created_at as acted_at,
        creator_employee_key as employee_key,
        card_key,
        false as is_lower_bound,
        false as is_robot,
        false as is_touch
    from tasks
    union all
    select
        case task_kind when 'meeting' then 'meeting' else 'task_completed' end as action_type,
        task_key as record_key,
        source_key,
        -- A meeting is a touch when it was held, whenever that was noted.
        case
            when task_kind = 'meeting' then coalesce(least(held_at, completed_at), completed_at)
            else completed_at
        end as acted_at,
        completer_employee_key as employee_key,
        card_key,
        completed_at_basis = 'last_change' as is_lower_bound,
        false as is_robot,
        true as is_touch
    from tasks
    where is_completed
    union all
    select
        'deadline_moved' as action_type,
        deadline_move_key as record_key,
        source_key,
        moved_at as acted_at,
        mover_employee_key as employee_key,
        card_key,
        is_lower_bound,
        false as is_robot,
        false as is_touch
    from deadline_moves
)

select
    {{ hash_key(['unioned.action_type', 'unioned.record_key']) }} as crm_action_key,
    unioned.action_type,
    unioned.record_key,
    unioned.source_key,
    unioned.acted_at,
    unioned.employee_key,
    cards.card_key,
    unioned.is_lower_bound,
    unioned.is_robot,
    unioned.is_touch
from unioned
left join cards
    on unioned.card_key = cards.card_key
where unioned.acted_at is not null
