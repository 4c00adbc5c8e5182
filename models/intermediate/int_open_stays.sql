-- Stays of deals on open stages under one owner, by the company's days: what the stock of open
-- deals is made of.
{{ config(materialized='affected_keys', affected_by=['deal_key']) }}

with visits as (
    select * from {{ ref('int_stage_visits_bounded') }}
    where card_type = 'deal' and stage_semantics = 'open'
),

owner_intervals as (
    select * from {{ ref('int_owner_intervals') }}
),

days as (
    select * from {{ ref('int_days_by_utc_date') }}
),

stays as (
    select
        visits.card_key as deal_key,
        visits.source_key,
        visits.pipeline_key,
        visits.stage_key,
        owner_intervals.owner_employee_key,
        greatest(visits.entered_at, owner_intervals.owned_from) as began_at,
        least(visits.valid_to, owner_intervals.valid_to) as ended_at
    from visits
    inner join owner_intervals
        on visits.card_key = owner_intervals.card_key
        and visits.entered_at < owner_intervals.valid_to
        and visits.valid_to > owner_intervals.owned_from
)

select
    stays.deal_key,
    stays.source_key,
    stays.pipeline_key,
    stays.stage_key,
    stays.owner_employee_key,
    stays.began_at,
    began_days.date_day as began_on,
    ended_days.date_day as ended_on
from stays
inner join days as began_days
    on stays.began_at::date = began_days.utc_on
    and stays.began_at >= began_days.starts_at
    and stays.began_at < began_days.ends_at
left join days as ended_days
    on stays.ended_at::date = ended_days.utc_on
    and stays.ended_at >= ended_days.starts_at
    and stays.ended_at < ended_days.ends_at
where stays.ended_at > stays.began_at
