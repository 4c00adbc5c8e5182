-- What R1 adds up: the sum of every metric by day and slice. Deals by origin stand here once for
-- each type of period, since their origin depends on it.
{{ config(materialized='touched_parts') }}

{% set slices = [
    ('all', "'all'", '0'),
    ('pipeline', "''", 'coalesce(pipeline_key, 0)'),
    ('employee', "''", 'reporting_employee_key'),
    ('department', 'department_name', '0'),
    ('source', 'source_name', '0'),
] -%}
with card_metrics as (
    select * from {{ ref('metric_cards__by_metric') }}
    where
        {{ of_touched(
            'family_days', part_key([metric_family('metric_name'), 'happened_on'])
        ) }}
),

creations as (
    select * from {{ ref('fct_deal_creations') }}
),

employees as (
    select * from {{ ref('dim_employees') }}
),

origins as (
    {% for period_type in ['day', 'week', 'month', 'quarter', 'year'] -%}
    select
        card_metrics.source_key,
        card_metrics.happened_on,
        card_metrics.pipeline_key,
        card_metrics.is_in_totals,
        card_metrics.reporting_employee_key,
        card_metrics.source_name,
        '{{ period_type }}' as period_type,
        'deals_origin_' || creations.origin_of_{{ period_type }} as metric_name,
        card_metrics.contribution
    from card_metrics
    inner join creations
        on card_metrics.card_key = creations.deal_key
    where card_metrics.metric_name = 'deals_created'
    {%- if not loop.last %}
    union all
    {% endif %}
    {%- endfor %}
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
