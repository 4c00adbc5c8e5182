-- What R1 adds up: the sum of every metric by day and slice. Deals by origin stand here once for
-- each type of period, since their origin depends on it.
{% set slices = [
    ('all', "'all'", '0'),
    ('pipeline', "''", 'coalesce(pipeline_key, 0)'),
    ('employee', "''", 'reporting_employee_key'),
    ('department', 'department_name', '0'),
    ('source', 'source_name', '0'),
] -%}
with card_metrics as (
    select * from {{ ref('metric_cards__by_metric') }}
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

-- Where a deal came from depends on the period: a lead of the same month may be of another week.
origins as (
    select
        card_metrics.source_key,
        card_metrics.happened_on,
        card_metrics.pipeline_key,
        card_metrics.is_in_totals,
        card_metrics.reporting_employee_key,
        card_metrics.source_name,
        period_types.period_type,
        case
            when
                leads.lead_key is not null
                and date_trunc(period_types.period_type, leads.created_on)
                = date_trunc(period_types.period_type, card_metrics.happened_on)
                then 'deals_origin_lead_of_period'
            when deals.lead_key is not null then 'deals_origin_older_lead'
            when deals.made_by = 'system' then 'deals_origin_system'
            when deals.is_repeat_client then 'deals_origin_repeat_client'
            else 'deals_origin_by_hand'
        end as metric_name,
        card_metrics.contribution
    from card_metrics
    inner join deals
        on card_metrics.card_key = deals.deal_key
    left join leads
        on deals.lead_key = leads.lead_key
    cross join (values ('day'), ('week'), ('month'), ('quarter'), ('year'))
        as period_types (period_type)
    where card_metrics.metric_name = 'deals_created'
),

counted as (
    select
        metric_name,
        'all' as period_type,
        source_key,
        happened_on,
        pipeline_key,
        is_in_totals,
        reporting_employee_key,
        source_name,
        contribution
    from card_metrics
    union all
    select
        'closed' as metric_name,
        'all' as period_type,
        source_key,
        happened_on,
        pipeline_key,
        is_in_totals,
        reporting_employee_key,
        source_name,
        contribution
    from card_metrics
    where metric_name in ('won', 'lost')
    union all
    select
        metric_name,
        period_type,
        source_key,
        happened_on,
        pipeline_key,
        is_in_totals,
        reporting_employee_key,
        source_name,
        contribution
    from origins
),

summed as (
    select
        metric_name,
        period_type,
        source_key,
        happened_on,
        pipeline_key,
        is_in_totals,
        reporting_employee_key,
        source_name,
        sum(contribution) as daily_value
    from counted
    group by all
),

events as (
    select
        summed.*,
        employees.department_name
    from summed
    inner join employees
        on summed.reporting_employee_key = employees.employee_key
),

-- Slices multiply sums of days, not cards.
sliced as (
    {% for slice_type, slice_value, slice_key in slices -%}
    select
        metric_name,
        period_type,
        source_key,
        happened_on,
        '{{ slice_type }}' as slice_type,
        {{ slice_value }} as slice_value,
        {{ slice_key }}::bigint as slice_key,
        sum(daily_value) as daily_value
    from events
    {%- if slice_type != 'pipeline' %}
    where is_in_totals
    {%- endif %}
    group by all
    {%- if not loop.last %}
    union all
    {% endif %}
    {%- endfor %}
)

select
    {{ hash_key([
        'metric_name', 'period_type', 'source_key', 'happened_on', 'slice_type', 'slice_value',
        'slice_key',
    ]) }} as daily_sum_key,
    metric_name,
    period_type,
    source_key,
    happened_on,
    slice_type,
    slice_value,
    case when slice_type = 'pipeline' then nullif(slice_key, 0) end as pipeline_key,
    case when slice_type = 'employee' then slice_key end as reporting_employee_key,
    daily_value::decimal(24, 4) as daily_value
from sliced
