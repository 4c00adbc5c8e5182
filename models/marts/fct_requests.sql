-- What came in: every lead; where a connection has no leads, a deal's first entry into a setter or
-- sales pipeline, once per deal. A lead is qualified by its conversion, a deal by its first entry
-- into a stage with that role.
{{ config(materialized='affected_keys', affected_by=['card_key as touched_card']) }}

with leads as (
    select * from {{ ref('fct_leads') }}
),

visits as (
    select * from {{ ref('fct_stage_visits') }}
),

pipelines as (
    select * from {{ ref('dim_pipelines') }}
    where pipeline_role <> 'ignore'
),

stages as (
    select * from {{ ref('dim_stages') }}
),

touches as (
    select * from {{ ref('fct_touches') }}
    where card_key is not null
),

with_leads as (
    select * from {{ ref('int_connections_with_leads') }}
),

work_visits as (
    select
        visits.*,
        pipelines.pipeline_role,
        {{ has_role('stages.stage_roles', 'qualified') }} as is_qualified_stage
    from visits
    inner join pipelines
        on visits.pipeline_key = pipelines.pipeline_key
    left join stages
        on visits.stage_key = stages.stage_key
),

first_visits as (
    select * from work_visits
    where visit_number = 1
),

lead_conversions as (
    select
        card_key,
        max_by(pipeline_key, visit_number) as pipeline_key,
        max_by(stage_key, visit_number) as stage_key,
        max_by(reporting_employee_key, visit_number) as reporting_employee_key
    from work_visits
    where card_type = 'lead' and stage_semantics = 'won'
    group by card_key
),

deal_requests as (
    select
        work_visits.card_key,
        work_visits.source_key,
        min_by(work_visits.pipeline_key, work_visits.visit_number) as pipeline_key,
        min_by(work_visits.stage_key, work_visits.visit_number) as stage_key,
        min_by(work_visits.reporting_employee_key, work_visits.visit_number)
            as reporting_employee_key,
        min_by(work_visits.entered_on, work_visits.visit_number) as requested_on
    from work_visits
    left join with_leads
        on work_visits.source_key = with_leads.source_key
    where
        with_leads.source_key is null
        and work_visits.card_type = 'deal'
        and work_visits.pipeline_role in ('sales', 'setter')
    group by work_visits.card_key, work_visits.source_key
),

deal_qualifications as (
    select
        card_key,
        min_by(pipeline_key, visit_number) as pipeline_key,
        min_by(stage_key, visit_number) as stage_key,
        min_by(reporting_employee_key, visit_number) as reporting_employee_key,
        min_by(entered_on, visit_number) as qualified_on
    from work_visits
    where is_qualified_stage and card_type = 'deal' and pipeline_role in ('sales', 'setter')
    group by card_key
),

-- A request is handled with the first touch of a person.
first_touches as (
    select
        card_key,
        min_by(touched_on, (touched_at, touch_key)) as handled_on,
        min_by(reporting_employee_key, (touched_at, touch_key)) as handled_reporting_employee_key
    from touches
    group by card_key
),

requests as (
    select
        leads.lead_key as card_key,
        'lead' as card_type,
        leads.source_key,
        leads.lead_key,
        leads.first_deal_key as deal_key,
        first_visits.pipeline_key,
        first_visits.stage_key,
        first_visits.reporting_employee_key,
        leads.created_on as requested_on,
        case when leads.lead_state = 'won' then leads.closed_on end as qualified_on,
        case
            when leads.lead_state = 'won'
                then coalesce(lead_conversions.pipeline_key, first_visits.pipeline_key)
        end as qualified_pipeline_key,
        case when leads.lead_state = 'won' then lead_conversions.stage_key end
            as qualified_stage_key,
        case
            when leads.lead_state = 'won'
                then coalesce(
                    lead_conversions.reporting_employee_key, first_visits.reporting_employee_key
                )
        end as qualified_reporting_employee_key
    from leads
    inner join first_visits
        on leads.lead_key = first_visits.card_key
    left join lead_conversions
        on leads.lead_key = lead_conversions.card_key
    union all
    select
        deal_requests.card_key,
        'deal' as card_type,
        deal_requests.source_key,
        null as lead_key,
        deal_requests.card_key as deal_key,
        deal_requests.pipeline_key,
        deal_requests.stage_key,
        deal_requests.reporting_employee_key,
        deal_requests.requested_on,
        deal_qualifications.qualified_on,
        deal_qualifications.pipeline_key as qualified_pipeline_key,
        deal_qualifications.stage_key as qualified_stage_key,
        deal_qualifications.reporting_employee_key as qualified_reporting_employee_key
    from deal_requests
    left join deal_qualifications
        on deal_requests.card_key = deal_qualifications.card_key
)

select
    requests.card_key,
    requests.card_type,
    requests.source_key,
    requests.lead_key,
    requests.deal_key,
    requests.pipeline_key,
    requests.stage_key,
    requests.reporting_employee_key,
    requests.requested_on,
    requests.qualified_on,
    requests.qualified_pipeline_key,
    requests.qualified_stage_key,
    requests.qualified_reporting_employee_key,
    first_touches.handled_on,
    first_touches.handled_reporting_employee_key
from requests
left join first_touches
    on requests.card_key = first_touches.card_key
