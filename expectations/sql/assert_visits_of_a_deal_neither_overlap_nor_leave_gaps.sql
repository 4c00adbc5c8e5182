{{ config(meta={'dagster': {'ref': {'name': 'fct_stage_visits'}}}) }}
with visits as (
    select
        *,
        lead(entered_at) over (partition by deal_key order by visit_number) as next_entered_at
    from {{ ref('fct_stage_visits') }}
),

deals as (
    select * from {{ ref('fct_deals') }}
)

select
    deals.deal_key,
    visits.visit_number,
    visits.entered_at,
    visits.valid_to,
    visits.next_entered_at
from deals
left join visits
    on deals.deal_key = visits.deal_key
where
    visits.deal_key is null
    or visits.valid_to < visits.entered_at
    or (visits.visit_number = 1 and visits.entered_at <> deals.created_at)
    or visits.valid_to <> coalesce(visits.next_entered_at, {{ end_of_time() }})
