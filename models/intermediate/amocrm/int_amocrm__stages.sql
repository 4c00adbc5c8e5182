-- Every stage that the dictionary, a change or a lead names. A stage only they know was deleted: it
-- keeps the id as its name.
with statuses as (
    select * from {{ ref('stg_amocrm__statuses') }}
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
