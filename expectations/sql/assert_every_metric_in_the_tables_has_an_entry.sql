{{ config(meta={'dagster': {'ref': {'name': 'metric_catalogue'}}}) }}
-- Whoever meets a name in a table finds it in the catalogue.
with named as (
    select distinct metric_name from {{ ref('metric_cards__by_metric') }}
    union
    select distinct metric_name from {{ ref('metric_daily_sums__by_slice') }}
    union
    select distinct metric_name from {{ ref('metric_sales_kpi__by_period') }}
),

explained as (
    select entry_name as metric_name
    from {{ ref('metric_catalogue') }}
    where entry_kind = 'metric'
)

select named.metric_name
from named
left join explained
    on named.metric_name = explained.metric_name
where explained.metric_name is null
