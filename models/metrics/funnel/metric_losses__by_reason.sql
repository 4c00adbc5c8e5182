-- R18: why deals were lost, by the stage that they were lost from, owner at the loss, source and
-- product. A deal with two touches or fewer between the proposal and the loss was let go.
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

pipelines as (
    select * from {{ ref('dim_pipelines') }}
    where pipeline_role <> 'ignore'
),

touches as (
    select * from {{ ref('fct_touches') }}
    where deal_key is not null
),

employees as (
    select * from {{ ref('dim_employees') }}
),

dates as (
    select * from {{ ref('dim_dates') }}
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
),

described as (
    select
        closes.source_key,
        closes.pipeline_key,
        dates.month_start_on,
        last_open.stage_key,
        closes.reporting_employee_key,
        deals.source_name,
        deals.product_name,
        -- Where no reason is mapped, the lost stage's name is the reason.
        coalesce(deals.loss_reason_name, '(not set)') as loss_reason_name,
        coalesce(deals.loss_reason_basis, 'none') as loss_reason_basis,
        deals.company_amount,
        last_open.proposed_at is not null as was_proposed,
        last_open.proposed_at is not null and coalesce(touched.touches_count, 0) <= 2
            as was_let_go
    from closes
    inner join deals
        on closes.deal_key = deals.deal_key
    inner join pipelines
        on closes.pipeline_key = pipelines.pipeline_key
    inner join dates
        on closes.closed_on = dates.date_day
    left join last_open
        on closes.deal_close_key = last_open.deal_close_key
    left join touched
        on closes.deal_close_key = touched.deal_close_key
),

counted as (
    select
        source_key,
        pipeline_key,
        month_start_on,
        stage_key,
        reporting_employee_key,
        source_name,
        product_name,
        loss_reason_name,
        loss_reason_basis,
        count(*) as lost_count,
        sum(company_amount) as lost_amount,
        count(*) filter (where was_proposed) as lost_after_proposal_count,
        count(*) filter (where was_let_go) as let_go_count
    from described
    group by all
)

select
    {{ hash_key([
        'counted.pipeline_key', 'counted.month_start_on', "coalesce(counted.stage_key, 0)",
        'counted.reporting_employee_key', 'counted.source_name', 'counted.product_name',
        'counted.loss_reason_name', 'counted.loss_reason_basis',
    ]) }} as loss_key,
    counted.source_key,
    counted.pipeline_key,
    pipelines.pipeline_name,
    counted.month_start_on,
    counted.stage_key,
    coalesce(stages.stage_name, '(not set)') as stage_name,
    counted.reporting_employee_key,
    employees.employee_name,
    counted.source_name,
    counted.product_name,
    counted.loss_reason_name,
    counted.loss_reason_basis,
    counted.lost_count::bigint as lost_count,
    counted.lost_amount::decimal(18, 2) as lost_amount,
    counted.lost_after_proposal_count::bigint as lost_after_proposal_count,
    counted.let_go_count::bigint as let_go_count
from counted
inner join pipelines
    on counted.pipeline_key = pipelines.pipeline_key
inner join employees
    on counted.reporting_employee_key = employees.employee_key
left join stages
    on counted.stage_key = stages.stage_key
