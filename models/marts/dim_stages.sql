with stages as (
    select * from {{ ref('int_stages') }}
),

entries as (
    select * from {{ ref('int_stage_entries') }}
),

roles as (
    select * from {{ ref('stg_company__stage_roles') }}
),

-- The unknown open stage of closed cards without history, where there is one.
unknown_stages as (
    select
        source_key,
        pipeline_id,
        stage_id,
        'Unknown stage' as stage_name,
        0 as stage_sort,
        false as is_listed,
        false as is_known,
        'open' as stage_semantics
    from entries
    where stage_id = '(unknown)'
    group by source_key, pipeline_id, stage_id
),

all_stages as (
    select
        source_key,
        pipeline_id,
        stage_id,
        stage_name,
        stage_sort,
        is_listed,
        is_known,
        stage_semantics
    from stages
    union all
    select * from unknown_stages
),

roles_by_stage as (
    select
        source_key,
        pipeline_id,
        stage_id,
        string_agg(stage_role, ',' order by stage_role) as stage_roles
    from roles
    group by source_key, pipeline_id, stage_id
)

select
    {{ hash_key(['all_stages.source_key', 'all_stages.pipeline_id', 'all_stages.stage_id']) }}
        as stage_key,
    all_stages.source_key,
    {{ hash_key(['all_stages.source_key', 'all_stages.pipeline_id']) }} as pipeline_key,
    all_stages.stage_id,
    all_stages.stage_name,
    row_number() over (
        partition by all_stages.source_key, all_stages.pipeline_id
        order by
            case all_stages.stage_semantics when 'open' then 0 when 'won' then 1 else 2 end,
            coalesce(all_stages.stage_sort, 2147483647),
            all_stages.stage_id
    ) as stage_position,
    all_stages.stage_semantics,
    coalesce(roles_by_stage.stage_roles, '') as stage_roles,
    all_stages.is_listed
from all_stages
left join roles_by_stage
    on all_stages.source_key = roles_by_stage.source_key
    and all_stages.pipeline_id = roles_by_stage.pipeline_id
    and all_stages.stage_id = roles_by_stage.stage_id
