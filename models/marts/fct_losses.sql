-- Every loss that counts, with the reason, the open stage that the deal was lost from, and what was
-- done between the proposal and the loss: two touches or fewer, and it was let go.
{{ config(materialized='affected_keys', affected_by=['deal_key as touched_card']) }}

with closes as (
    select * from {{ ref('fct_deal_closes') }}
    where outcome = 'lost' and is_counted
),

deals as (
    select * from {{ ref('fct_deals') }}
),

visits as (
    select * from {{ ref('fct_stage_visits') }}
    where card_type = 'deal' and stage_semantics = 'open'
),

stages as (
    select * from {{ ref('dim_stages') }}
),

touches as (
    select * from {{ ref('fct_touches') }}
    where deal_key is not null
),

last_open as (
    select
        closes.deal_close_key,
        max_by(visits.stage_key, visits.visit_number) as stage_key,
        min(visits.entered_at) filter (
            where {{ has_role('stages.stage_roles', 'proposal') }}
        ) as proposed_at
    from closes
    inner join visits
        on closes.deal_key = visits.deal_key
        and closes.pipeline_key = visits.pipeline_key
    inner join stages
        on visits.stage_key = stages.stage_key
    where visits.entered_at <= closes.closed_at
    group by closes.deal_close_key
),

touched as (
    select
        closes.deal_close_key,
        count(*) as touches_count
    from closes
    inner join last_open
        on closes.deal_close_key = last_open.deal_close_key
    inner join touches
        on closes.deal_key = touches.deal_key
    where touches.touched_at > last_open.proposed_at and touches.touched_at < closes.closed_at
    group by closes.deal_close_key
)

select
    closes.deal_close_key,
    closes.source_key,
    closes.deal_key,
    closes.pipeline_key,
    last_open.stage_key as lost_from_stage_key,
    closes.reporting_employee_key,
    closes.closed_on,
    -- Where no reason is mapped, the lost stage's name is the reason.
    coalesce(deals.loss_reason_name, '(not set)') as loss_reason_name,
    coalesce(deals.loss_reason_basis, 'none') as loss_reason_basis,
    closes.company_amount,
    last_open.proposed_at,
    last_open.proposed_at is not null as was_proposed,
    case when last_open.proposed_at is not null then coalesce(touched.touches_count, 0) end
        as touches_after_proposal_count,
    last_open.proposed_at is not null and coalesce(touched.touches_count, 0) <= 2 as was_let_go
from closes
inner join deals
    on closes.deal_key = deals.deal_key
left join last_open
    on closes.deal_close_key = last_open.deal_close_key
left join touched
    on closes.deal_close_key = touched.deal_close_key
