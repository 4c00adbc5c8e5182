{{ config(meta={'dagster': {'ref': {'name': 'metric_sales_kpi__by_period'}}}) }}
-- Sums over employees, departments and sources are the sum of all; months add up to the cards
-- behind the number.
with kpi as (
    select sales_kpi.*
    from {{ ref('metric_sales_kpi__by_period') }} as sales_kpi
    inner join {{ ref('kpi_definitions') }} as definitions
        on sales_kpi.metric_name = definitions.metric_name
    where definitions.denominator_metric is null
),

whole as (
    select * from kpi
    where slice_type = 'all'
),

slices as (
    select
        metric_name,
        period_key,
        source_key,
        slice_type,
        sum(numerator) as numerator
    from kpi
    where slice_type in ('employee', 'department', 'source')
    group by all
),

behind as (
    select
        definitions.metric_name,
        cards.source_key,
        sum(cards.contribution) as contribution
    from {{ ref('metric_cards__by_metric') }} as cards
    inner join {{ ref('kpi_definitions') }} as definitions
        on cards.metric_name = definitions.numerator_metric
        and definitions.denominator_metric is null
    inner join {{ ref('int_connections') }} as connections
        on cards.source_key = connections.source_key
        and cards.happened_on <= connections.report_as_of_on
    where cards.is_in_totals
    group by all
),

months as (
    select
        metric_name,
        source_key,
        sum(numerator) as numerator,
        max_by(numerator is not null, starts_on) as is_known_to_the_end
    from whole
    where period_type = 'month'
    group by metric_name, source_key
)

select
    whole.metric_name,
    whole.source_key,
    slices.slice_type as compared_with,
    whole.starts_on,
    whole.numerator as whole,
    slices.numerator as parts
from whole
inner join slices
    on whole.metric_name = slices.metric_name
    and whole.period_key = slices.period_key
    and whole.source_key = slices.source_key
where whole.numerator <> coalesce(slices.numerator, 0)
union all
select
    behind.metric_name,
    behind.source_key,
    'cards' as compared_with,
    null as starts_on,
    behind.contribution as whole,
    months.numerator as parts
from behind
inner join months
    on behind.metric_name = months.metric_name
    and behind.source_key = months.source_key
-- A stale telephony leaves the last periods unknown.
where behind.contribution <> coalesce(months.numerator, 0) and months.is_known_to_the_end
