-- Every pipeline that the dictionary or a stage names.
with pipelines as (
    select * from {{ ref('stg_amocrm__pipelines') }}
),

stages as (
    select * from {{ ref('int_amocrm__stages') }}
),

connections as (
    select * from {{ ref('int_connections') }}
),

named as (
    select
        source_key,
        pipeline_id
    from stages
    where pipeline_id is not null
    group by source_key, pipeline_id
),

listed as (
    select
        pipelines.*,
        pipelines.received_at >= connections.as_of_at as is_listed
    from pipelines
    inner join connections
        on pipelines.source_key = connections.source_key
)

select
    coalesce(listed.source_key, named.source_key) as source_key,
    coalesce(listed.pipeline_id, named.pipeline_id) as pipeline_id,
    coalesce(nullif(listed.pipeline_name, ''), 'Pipeline ' || named.pipeline_id) as pipeline_name,
    listed.pipeline_sort,
    coalesce(listed.is_listed, false) as is_listed,
    coalesce(listed.is_archived, false) as is_archived
from listed
full outer join named
    on listed.source_key = named.source_key
    and listed.pipeline_id = named.pipeline_id
