-- R18: why deals were lost, by the stage that they were lost from, owner at the loss, source and
-- product.
with losses as (
    select * from {{ ref('fct_losses') }}
),

cards as (
    select * from {{ ref('dim_cards') }}
),

stages as (
    select * from {{ ref('dim_stages') }}
),

pipelines as (
    select * from {{ ref('dim_pipelines') }}
    where pipeline_role <> 'ignore'
),

employees as (
    select * from {{ ref('dim_employees') }}
),

dates as (
    select * from {{ ref('dim_dates') }}
),

described as (
    select
        losses.source_key,
        losses.pipeline_key,
        dates.month_start_on,
        losses.lost_from_stage_key as stage_key,
        losses.reporting_employee_key,
        cards.source_name,
        cards.product_name,
        losses.loss_reason_name,
        losses.loss_reason_basis,
        losses.company_amount,
        losses.was_proposed,
        losses.was_let_go
    from losses
    inner join cards
        on losses.deal_key = cards.card_key
    inner join pipelines
        on losses.pipeline_key = pipelines.pipeline_key
    inner join dates
        on losses.closed_on = dates.date_day
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
