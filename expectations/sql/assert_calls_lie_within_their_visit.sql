{{ config(meta={'dagster': {'ref': {'name': 'fct_calls'}}}) }}
-- A call attributed to a standing card started within the visit it is counted on; a lead to which
-- the CRM binds a call may have been made after it.
select
    calls.call_key,
    calls.started_at,
    visits.entered_at,
    visits.valid_to
from {{ ref('fct_calls') }} as calls
inner join {{ ref('fct_stage_visits') }} as visits
    on calls.stage_visit_key = visits.stage_visit_key
where
    calls.match_method not in ('started_deal', 'started_lead', 'before_deal')
    and not (calls.match_method = 'bound_lead' and visits.visit_number = 1)
    and (calls.started_at < visits.entered_at or calls.started_at >= visits.valid_to)
