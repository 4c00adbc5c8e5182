-- Every pipeline that the dictionary lists or once listed, or that a stage names.
with pipelines as (
    select * from {{ ref('stg_amocrm__pipelines') }}
),

versions as (
    select * from {{ ref('stg_amocrm__pipeline_versions') }}
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

newest_versions as (
    select
        *,
        row_number() over (
            partition by source_key, pipeline_id
            order by first_seen_at desc
        ) as age
    from versions
),

-- Versions outlive the dictionary: what is gone when a warehouse is restored stands only in them.
listed as (
    select
        pipelines.source_key,
        pipelines.pipeline_id,
        pipelines.pipeline_name,
        pipelines.pipeline_sort,
        pipelines.is_archived,
        pipelines.received_at >= connections.as_of_at as is_listed
    from pipelines
    inner join connections
        on pipelines.source_key = connections.source_key
    union all
    select
        newest_versions.source_key,
        newest_versions.pipeline_id,
        newest_versions.pipeline_name,
        newest_versions.pipeline_sort,
        newest_versions.is_archived,
        false as is_listed
    from newest_versions
    left join pipelines
        on newest_versions.source_key = pipelines.source_key
        and newest_versions.pipeline_id = pipelines.pipeline_id
    where newest_versions.age = 1 and pipelines.pipeline_id is null
)

select
    coalesce(listed.source_key, named.source_key) as source_key,
    coalesce(listed.pipeline_id, named.pipeline_id) as pipeline_id,
    coalesce(
        nullif(listed.pipeline_name, ''),
        'Pipeline ' || coalesce(listed.pipeline_id, named.pipeline_id)
    ) as pipeline_name,
    listed.pipeline_sort,
    coalesce(listed.is_listed, false) as is_listed,
    coalesce(listed.is_archived, false) as is_archived
from listed
full outer join named
    on listed.source_key = named.source_key
    and listed.pipeline_id = named.pipeline_id
