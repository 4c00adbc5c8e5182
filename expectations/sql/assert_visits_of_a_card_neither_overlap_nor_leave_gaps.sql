{{ config(meta={'dagster': {'ref': {'name': 'fct_stage_visits'}}}) }}
with visits as (
    select
        *,
        lead(entered_at) over (partition by card_key order by visit_number) as next_entered_at
    from {{ ref('fct_stage_visits') }}
),

cards as (
    select * from {{ ref('int_cards') }}
)

select
    cards.card_key,
    visits.visit_number,
    visits.entered_at,
    visits.valid_to,
    visits.next_entered_at
from cards
left join visits
    on cards.card_key = visits.card_key
where
    visits.card_key is null
    or visits.valid_to < visits.entered_at
    or (visits.visit_number = 1 and visits.entered_at <> cards.created_at)
    or visits.valid_to <> coalesce(visits.next_entered_at, {{ end_of_time() }})
