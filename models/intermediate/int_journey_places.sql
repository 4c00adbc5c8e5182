-- Where the steps of the through funnel stand: what the company says, else leads, setter pipelines,
-- sales pipelines and the win, in this order and as far as the connection has them.
with steps as (
    select * from {{ ref('stg_company__journey_steps') }}
),

with_leads as (
    select * from {{ ref('int_connections_with_leads') }}
),

pipelines as (
    select * from {{ ref('dim_pipelines') }}
),

stages as (
    select * from {{ ref('dim_stages') }}
),

with_file as (
    select source_key
    from steps
    group by source_key
),

assumed as (
    select
        pipelines.source_key,
        pipelines.pipeline_key,
        null::bigint as stage_key,
        case pipelines.pipeline_role when 'lead' then 1 when 'setter' then 2 else 3 end as place,
        case pipelines.pipeline_role
            when 'lead' then 'Leads' when 'setter' then 'Setters' else 'Sales'
        end as step_name
    from pipelines
    left join with_leads
        on pipelines.source_key = with_leads.source_key
    where
        pipelines.pipeline_role in ('setter', 'sales')
        or (pipelines.pipeline_role = 'lead' and with_leads.source_key is not null)
    union all
    select
        pipelines.source_key,
        pipelines.pipeline_key,
        stages.stage_key,
        4 as place,
        'Won' as step_name
    from pipelines
    inner join stages
        on pipelines.pipeline_key = stages.pipeline_key
    where pipelines.pipeline_role = 'sales' and stages.stage_semantics = 'won'
),

unioned as (
    select
        assumed.source_key,
        'Sales' as funnel_name,
        dense_rank() over (partition by assumed.source_key order by assumed.place) as step_number,
        assumed.step_name,
        assumed.pipeline_key,
        assumed.stage_key
    from assumed
    left join with_file
        on assumed.source_key = with_file.source_key
    where with_file.source_key is null
    union all
    select
        steps.source_key,
        steps.funnel_name,
        steps.step_number,
        steps.step_name,
        pipelines.pipeline_key,
        case
            when steps.stage_id is not null
                then {{ hash_key(['steps.source_key', 'steps.pipeline_id', 'steps.stage_id']) }}
        end as stage_key
    from steps
    inner join pipelines
        on steps.source_key = pipelines.source_key
        and steps.pipeline_id = pipelines.pipeline_id
)

select
    {{ hash_key(['source_key', "'funnel'", 'funnel_name']) }} as funnel_key,
    source_key,
    funnel_name,
    step_number::integer as step_number,
    step_name,
    pipeline_key,
    stage_key
from unioned
