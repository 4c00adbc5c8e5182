-- Every pipeline of deals that the dictionary lists or once listed, or that a stage names; leads
-- have one of their own, always listed.
with categories as (
    select * from {{ ref('stg_bitrix24__categories') }}
    -- 2 is a deal: invoices and smart processes have pipelines with ids of their own.
    where entity_type_id = 2
),

versions as (
    select * from {{ ref('stg_bitrix24__category_versions') }}
    where entity_type_id = 2
),

stages as (
    select * from {{ ref('int_bitrix24__stages') }}
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
        categories.source_key,
        categories.pipeline_id,
        categories.pipeline_name,
        categories.pipeline_sort,
        categories.received_at >= connections.as_of_at as is_listed
    from categories
    inner join connections
        on categories.source_key = connections.source_key
    union all
    select
        newest_versions.source_key,
        newest_versions.pipeline_id,
        newest_versions.pipeline_name,
        newest_versions.pipeline_sort,
        false as is_listed
    from newest_versions
    left join categories
        on newest_versions.source_key = categories.source_key
        and newest_versions.pipeline_id = categories.pipeline_id
    where newest_versions.age = 1 and categories.pipeline_id is null
)

select
    coalesce(listed.source_key, named.source_key) as source_key,
    coalesce(listed.pipeline_id, named.pipeline_id) as pipeline_id,
    case
        when named.pipeline_id = {{ leads_pipeline_id() }} then 'Leads'
        else coalesce(
            nullif(listed.pipeline_name, ''),
            'Pipeline ' || coalesce(listed.pipeline_id, named.pipeline_id)
        )
    end as pipeline_name,
    -- Leads come before deals.
    case when named.pipeline_id = {{ leads_pipeline_id() }} then -1 else listed.pipeline_sort end
        as pipeline_sort,
    coalesce(listed.is_listed, named.pipeline_id = {{ leads_pipeline_id() }}) as is_listed,
    false as is_archived
from listed
full outer join named
    on listed.source_key = named.source_key
    and listed.pipeline_id = named.pipeline_id
