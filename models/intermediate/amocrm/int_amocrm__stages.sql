-- Every stage that the dictionary lists or once listed, or that a change or a lead names. A deleted
-- stage keeps its last known name; one that no load has seen, the id.
with statuses as (
    select * from {{ ref('stg_amocrm__statuses') }}
),

versions as (
    select * from {{ ref('stg_amocrm__status_versions') }}
),

moves as (
    select * from {{ ref('int_amocrm__stage_moves') }}
),

leads as (
    select * from {{ ref('stg_amocrm__leads') }}
),

connections as (
    select * from {{ ref('int_connections') }}
),

newest_versions as (
    select
        *,
        row_number() over (
            partition by source_key, pipeline_id, status_id
            order by first_seen_at desc
        ) as age
    from versions
),

-- Versions outlive the dictionary: what is gone when a warehouse is restored stands only in them.
listed as (
    select
        statuses.source_key,
        statuses.pipeline_id,
        statuses.status_id,
        statuses.status_name,
        statuses.status_sort,
        statuses.received_at >= connections.as_of_at as is_listed
    from statuses
    inner join connections
        on statuses.source_key = connections.source_key
    union all
    select
        newest_versions.source_key,
        newest_versions.pipeline_id,
        newest_versions.status_id,
        newest_versions.status_name,
        newest_versions.status_sort,
        false as is_listed
    from newest_versions
    left join statuses
        on newest_versions.source_key = statuses.source_key
        and newest_versions.pipeline_id = statuses.pipeline_id
        and newest_versions.status_id = statuses.status_id
    where newest_versions.age = 1 and statuses.status_id is null
),

named_rows as (
    select
        source_key,
        pipeline_id,
        status_id
    from moves
    union all
    select
        source_key,
        pipeline_id_before as pipeline_id,
        status_id_before as status_id
    from moves
    where status_id_before is not null
    union all
    select
        source_key,
        pipeline_id,
        status_id
    from leads
),

named as (
    select
        source_key,
        pipeline_id,
        status_id
    from named_rows
    group by source_key, pipeline_id, status_id
)

select
    coalesce(listed.source_key, named.source_key) as source_key,
    coalesce(listed.pipeline_id, named.pipeline_id) as pipeline_id,
    coalesce(listed.status_id, named.status_id)::varchar as stage_id,
    coalesce(nullif(listed.status_name, ''), coalesce(listed.status_id, named.status_id)::varchar)
        as stage_name,
    listed.status_sort as stage_sort,
    coalesce(listed.is_listed, false) as is_listed,
    listed.status_id is not null as is_known,
    case coalesce(listed.status_id, named.status_id)
        when 142 then 'won'
        when 143 then 'lost'
        else 'open'
    end as stage_semantics
from listed
full outer join named
    on listed.source_key = named.source_key
    and listed.pipeline_id = named.pipeline_id
    and listed.status_id = named.status_id
