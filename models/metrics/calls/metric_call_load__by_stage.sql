-- R5. Long: one table for any segment, so that a new segment needs no new model. Calls are first
-- summed per card and talker, then spread over segments: segments multiply sums, not calls.
{{ config(materialized='touched_parts') }}

with calls as (
    select * from {{ ref('fct_calls') }}
    where is_external
),

deals as (
    select * from {{ ref('fct_deals') }}
),

leads as (
    select * from {{ ref('fct_leads') }}
),

employees as (
    select * from {{ ref('dim_employees') }}
),

pipelines as (
    select * from {{ ref('dim_pipelines') }}
),

stages as (
    select * from {{ ref('dim_stages') }}
),

dates as (
    select * from {{ ref('dim_dates') }}
    where {{ of_touched('dates', 'date_day') }}
),

connections as (
    select * from {{ ref('int_connections') }}
),

custom_fields as (
    select * from {{ ref('int_custom_field_values') }}
),

segments as (
    select * from {{ ref('stg_company__segments') }}
),

summed as (
    select
        started_on as called_on,
        source_key,
        pipeline_key,
        stage_key,
        case when stage_key is null then match_method else 'on_stage' end as call_place,
        card_key,
        deal_key,
        lead_key,
        reporting_employee_key,
        count(*) as calls_count,
        count(*) filter (where direction = 'inbound') as inbound_count,
        count(*) filter (where direction = 'outbound') as outbound_count,
        count(*) filter (where is_answered) as answered_count,
        count(*) filter (where is_successful) as successful_count,
        sum(talk_seconds) as talk_seconds,
        count(*) filter (where is_on_shared_line) as shared_line_count,
        count(*) filter (where is_spread) as spread_count,
        count(*) filter (where talk_seconds = 0) as talk_0_count,
        count(*) filter (where talk_seconds between 1 and 10) as talk_1_to_10_count,
        count(*) filter (where talk_seconds between 11 and 20) as talk_11_to_20_count,
        count(*) filter (where talk_seconds between 21 and 39) as talk_21_to_39_count,
        count(*) filter (where talk_seconds between 40 and 119) as talk_40_to_119_count,
        count(*) filter (where talk_seconds >= 120) as talk_120_plus_count
    from calls
    where {{ of_touched('days', 'started_on') }} or {{ of_touched('sources', 'source_key') }}
    group by all
),

by_all as (
    select
        summed.*,
        'all' as segment_type,
        'all' as segment_value
    from summed
),

by_talker as (
    select
        summed.*,
        'talker' as segment_type,
        {{ employee_label('employees') }} as segment_value
    from summed
    inner join employees
        on summed.reporting_employee_key = employees.employee_key
),

by_department as (
    select
        summed.*,
        'department' as segment_type,
        employees.department_name as segment_value
    from summed
    inner join employees
        on summed.reporting_employee_key = employees.employee_key
),

by_source as (
    select
        summed.*,
        'source' as segment_type,
        coalesce(deals.source_name, leads.source_name, '(no card)') as segment_value
    from summed
    left join deals
        on summed.deal_key = deals.deal_key
    left join leads
        on summed.lead_key = leads.lead_key
),

by_pipeline as (
    select
        summed.*,
        'pipeline' as segment_type,
        coalesce(pipelines.pipeline_name, '(no card)') as segment_value
    from summed
    left join pipelines
        on summed.pipeline_key = pipelines.pipeline_key
),

-- Every connection shows every segment, also one that it has no field for: totals stay whole.
segment_types as (
    select segment_type
    from segments
    group by segment_type
),

by_custom_field as (
    select
        summed.*,
        segment_types.segment_type,
        case
            when summed.card_key is null then '(no card)'
            else coalesce(custom_fields.segment_value, '(not set)')
        end as segment_value
    from summed
    cross join segment_types
    left join custom_fields
        on summed.card_key = custom_fields.card_key
        and segment_types.segment_type = custom_fields.segment_type
),

spread as (
    select * from by_all
    union all
    select * from by_talker
    union all
    select * from by_department
    union all
    select * from by_source
    union all
    select * from by_pipeline
    union all
    select * from by_custom_field
),

-- Dense for the whole company: a stage without calls shows 0 on every day since the first call.
first_days as (
    select
        source_key,
        min(started_on) as first_on
    from calls
    group by source_key
),

dense as (
    select
        dates.date_day as called_on,
        stages.source_key,
        stages.pipeline_key,
        stages.stage_key,
        'on_stage' as call_place,
        'all' as segment_type,
        'all' as segment_value
    from stages
    inner join pipelines
        on stages.pipeline_key = pipelines.pipeline_key
        and pipelines.is_listed
        and not pipelines.is_archived
        and pipelines.pipeline_role <> 'ignore'
    inner join connections
        on stages.source_key = connections.source_key
    inner join first_days
        on stages.source_key = first_days.source_key
    inner join dates
        on first_days.first_on <= dates.date_day
        and connections.as_of_on >= dates.date_day
    where stages.is_listed
),

totalled as (
    select
        called_on,
        source_key,
        pipeline_key,
        stage_key,
        call_place,
        segment_type,
        segment_value,
        sum(calls_count) as calls_count,
        sum(inbound_count) as inbound_count,
        sum(outbound_count) as outbound_count,
        sum(answered_count) as answered_count,
        sum(successful_count) as successful_count,
        sum(talk_seconds) as talk_seconds,
        sum(shared_line_count) as shared_line_count,
        sum(spread_count) as spread_count,
        sum(talk_0_count) as talk_0_count,
        sum(talk_1_to_10_count) as talk_1_to_10_count,
        sum(talk_11_to_20_count) as talk_11_to_20_count,
        sum(talk_21_to_39_count) as talk_21_to_39_count,
        sum(talk_40_to_119_count) as talk_40_to_119_count,
        sum(talk_120_plus_count) as talk_120_plus_count
    from spread
    group by all
),

complete as (
    select
        coalesce(totalled.called_on, dense.called_on) as called_on,
        coalesce(totalled.source_key, dense.source_key) as source_key,
        coalesce(totalled.pipeline_key, dense.pipeline_key) as pipeline_key,
        coalesce(totalled.stage_key, dense.stage_key) as stage_key,
        coalesce(totalled.call_place, dense.call_place) as call_place,
        coalesce(totalled.segment_type, dense.segment_type) as segment_type,
        coalesce(totalled.segment_value, dense.segment_value) as segment_value,
        totalled.calls_count,
        totalled.inbound_count,
        totalled.outbound_count,
        totalled.answered_count,
        totalled.successful_count,
        totalled.talk_seconds,
        totalled.shared_line_count,
        totalled.spread_count,
        totalled.talk_0_count,
        totalled.talk_1_to_10_count,
        totalled.talk_11_to_20_count,
        totalled.talk_21_to_39_count,
        totalled.talk_40_to_119_count,
        totalled.talk_120_plus_count
    from totalled
    full outer join dense
        on totalled.called_on = dense.called_on
        and totalled.stage_key = dense.stage_key
        and totalled.segment_type = dense.segment_type
)

select
    {{ hash_key([
        'complete.called_on', 'complete.source_key', "coalesce(complete.stage_key, 0)",
        'complete.call_place', 'complete.segment_type', 'complete.segment_value',
    ]) }} as call_load_key,
    complete.called_on,
    complete.source_key,
    complete.pipeline_key,
    complete.stage_key,
    complete.call_place,
    pipelines.pipeline_name,
    stages.stage_name,
    stages.stage_position,
    complete.segment_type,
    complete.segment_value,
    coalesce(complete.calls_count, 0)::bigint as calls_count,
    coalesce(complete.inbound_count, 0)::bigint as inbound_count,
    coalesce(complete.outbound_count, 0)::bigint as outbound_count,
    coalesce(complete.answered_count, 0)::bigint as answered_count,
    coalesce(complete.successful_count, 0)::bigint as successful_count,
    coalesce(complete.talk_seconds, 0)::bigint as talk_seconds,
    (complete.talk_seconds / nullif(complete.answered_count, 0))::double as talk_seconds_mean,
    coalesce(complete.shared_line_count, 0)::bigint as shared_line_count,
    coalesce(complete.spread_count, 0)::bigint as spread_count,
    coalesce(complete.talk_0_count, 0)::bigint as talk_0_count,
    coalesce(complete.talk_1_to_10_count, 0)::bigint as talk_1_to_10_count,
    coalesce(complete.talk_11_to_20_count, 0)::bigint as talk_11_to_20_count,
    coalesce(complete.talk_21_to_39_count, 0)::bigint as talk_21_to_39_count,
    coalesce(complete.talk_40_to_119_count, 0)::bigint as talk_40_to_119_count,
    coalesce(complete.talk_120_plus_count, 0)::bigint as talk_120_plus_count
from complete
left join pipelines
    on complete.pipeline_key = pipelines.pipeline_key
left join stages
    on complete.stage_key = stages.stage_key
