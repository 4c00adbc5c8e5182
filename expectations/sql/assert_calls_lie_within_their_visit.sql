{{ config(meta={'dagster': {'ref': {'name': 'fct_calls'}}}) }}
-- A call attributed to a standing deal started within the visit it is counted on.
select
    calls.call_key,
    calls.started_at,
    visits.entered_at,
    visits.valid_to
from {{ ref('fct_calls') }} as calls
inner join {{ ref('fct_stage_visits') }} as visits
    on calls.stage_visit_key = visits.stage_visit_key
where
    calls.match_method not in ('started_deal', 'before_deal')
    and (calls.started_at < visits.entered_at or calls.started_at >= visits.valid_to)
