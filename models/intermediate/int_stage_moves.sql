-- Moves of cards between stages: who made them, as far as the system tells, and whether they were
-- part of a mass move (Q14): at least `mass_move_cards` moves into one stage within
-- `mass_move_minutes`, by one actor where known.
{{ config(materialized='affected_keys', affected_by=['card_key']) }}

with visits as (
    select * from {{ ref('int_stage_visits_bounded') }}
    where visit_number > 1 and not is_inferred
),

-- amoCRM says which entry of the history an actor made, Bitrix24 only when.
told as (
    select * from {{ ref('int_card_changes') }}
    where change_type = 'move' and stage_entry_key is not null
),

timed as (
    select * from {{ ref('int_card_changes') }}
    where change_type = 'move' and stage_entry_key is null
),

rules as (
    select * from {{ ref('stg_company__rules') }}
),

moved as (
    select
        visits.stage_visit_key,
        visits.source_key,
        visits.card_key,
        visits.stage_key,
        visits.entered_at as moved_at,
        coalesce(told.employee_key, timed.employee_key) as mover_employee_key,
        coalesce(told.is_robot, timed.is_robot, false) as is_robot,
        coalesce(told.is_lower_bound, timed.is_lower_bound, true) as is_lower_bound,
        {{ epoch_second('visits.entered_at') }} as moved_second,
        rules.mass_move_cards,
        rules.mass_move_minutes * 60 as mass_move_seconds
    from visits
    cross join rules
    left join told
        on visits.stage_visit_key = told.stage_entry_key
    left join timed
        on visits.card_key = timed.card_key
        and visits.entered_at = timed.changed_at
),

counted as (
    select
        *,
        count(*) over (
            partition by stage_key, mover_employee_key order by moved_second
            range between mass_move_seconds preceding and current row
        ) as moves_before
    from moved
)

select
    stage_visit_key,
    source_key,
    card_key,
    stage_key,
    moved_at,
    mover_employee_key,
    is_robot,
    is_lower_bound,
    -- The fullest window that contains the move.
    max(moves_before) over (
        partition by stage_key, mover_employee_key order by moved_second
        range between current row and mass_move_seconds following
    ) >= mass_move_cards as is_mass_move
from counted
