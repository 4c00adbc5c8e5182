-- Moves of cards between stages, and who made them, as far as the system tells.
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
)

select
    visits.stage_visit_key,
    visits.source_key,
    visits.card_key,
    visits.stage_key,
    visits.entered_at as moved_at,
    coalesce(told.employee_key, timed.employee_key) as mover_employee_key,
    coalesce(told.is_robot, timed.is_robot, false) as is_robot,
    coalesce(told.is_lower_bound, timed.is_lower_bound, true) as is_lower_bound
from visits
left join told
    on visits.stage_visit_key = told.stage_entry_key
left join timed
    on visits.card_key = timed.card_key
    and visits.entered_at = timed.changed_at
