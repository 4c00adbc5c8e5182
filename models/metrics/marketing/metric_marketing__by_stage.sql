-- R17: of each period's requests, how many came to each key stage, by source and by each UTM tag.
-- A request that never was in a pipeline has not come to its stages: the share is of all requests.
with reached as (
    select * from {{ ref('metric_request_stages__by_request') }}
),

marketing as (
    select * from {{ ref('metric_marketing__by_source') }}
    where requests_count > 0
),

stages as (
    select * from {{ ref('dim_stages') }}
),

pipelines as (
    select * from {{ ref('dim_pipelines') }}
),

dates as (
    select * from {{ ref('dim_dates') }}
),

days_of_periods as (
    {{ days_of_periods('dates') }}
),

sliced as (
    select
        reached.*,
        slices.slice_type,
        case slices.slice_type
            when 'all' then 'all'
            when 'source' then reached.source_name
            when 'utm_source' then coalesce(reached.utm_source, '(not set)')
            when 'utm_medium' then coalesce(reached.utm_medium, '(not set)')
            else coalesce(reached.utm_campaign, '(not set)')
        end as slice_value
    from reached
    cross join (values ('all'), ('source'), ('utm_source'), ('utm_medium'), ('utm_campaign'))
        as slices (slice_type)
),

counted as (
    select
        sliced.source_key,
        days_of_periods.period_type,
        days_of_periods.starts_on,
        sliced.slice_type,
        sliced.slice_value,
        sliced.stage_key,
        count(*) as reached_count,
        count(*) filter (where sliced.request_state = 'won') as won_requests_count
    from sliced
    inner join days_of_periods
        on sliced.requested_on = days_of_periods.date_day
    group by all
),

-- A key stage that no request of the slice has come to has a row too.
key_stages as (
    select
        stages.source_key,
        stages.stage_key,
        stages.stage_name,
        stages.stage_position,
        stages.pipeline_key,
        pipelines.pipeline_name
    from stages
    inner join pipelines
        on stages.pipeline_key = pipelines.pipeline_key
        and pipelines.pipeline_role <> 'ignore'
    where {{ has_role('stages.stage_roles', 'key') }} and stages.stage_semantics <> 'lost'
)

select
    {{ hash_key(['marketing.marketing_key', 'key_stages.stage_key']) }} as marketing_stage_key,
    marketing.period_key,
    marketing.period_type,
    marketing.starts_on,
    marketing.ends_on,
    marketing.is_finished,
    marketing.source_key,
    marketing.slice_type,
    marketing.slice_value,
    key_stages.pipeline_key,
    key_stages.pipeline_name,
    key_stages.stage_key,
    key_stages.stage_name,
    key_stages.stage_position,
    marketing.requests_count,
    coalesce(counted.reached_count, 0)::bigint as reached_count,
    (coalesce(counted.reached_count, 0) / marketing.requests_count)::double as reached_share,
    coalesce(counted.won_requests_count, 0)::bigint as won_requests_count,
    (counted.won_requests_count / counted.reached_count)::double as won_of_reached_share
from marketing
inner join key_stages
    on marketing.source_key = key_stages.source_key
left join counted
    on marketing.source_key = counted.source_key
    and marketing.period_type = counted.period_type
    and marketing.starts_on = counted.starts_on
    and marketing.slice_type = counted.slice_type
    and marketing.slice_value = counted.slice_value
    and key_stages.stage_key = counted.stage_key
