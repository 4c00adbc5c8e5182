with pipelines as (
    select * from {{ ref('int_pipelines') }}
),

roles as (
    select * from {{ ref('stg_company__pipeline_roles') }}
)

select
    {{ hash_key(['pipelines.source_key', 'pipelines.pipeline_id']) }} as pipeline_key,
    pipelines.source_key,
    pipelines.pipeline_id,
    case when pipelines.pipeline_id = {{ leads_pipeline_id() }} then 'lead' else 'deal' end
        as card_type,
    pipelines.pipeline_name,
    coalesce(pipelines.pipeline_sort, 2147483647)::bigint as pipeline_sort,
    case
        when pipelines.pipeline_id = {{ leads_pipeline_id() }} then 'lead'
        else coalesce(roles.pipeline_role, 'sales')
    end as pipeline_role,
    pipelines.is_listed,
    pipelines.is_archived
from pipelines
left join roles
    on pipelines.source_key = roles.source_key
    and pipelines.pipeline_id = roles.pipeline_id
