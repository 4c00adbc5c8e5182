-- Every stage of deals that the dictionary, the history or a deal names. A stage only the history
-- knows was deleted in the portal: it keeps the id as its name.
with statuses as (
    select * from {{ ref('stg_bitrix24__statuses') }}
    where dictionary = 'DEAL_STAGE' or dictionary like 'DEAL\_STAGE\_%' escape '\'
),

history as (
    select * from {{ ref('stg_bitrix24__stage_history') }}
),

deals as (
    select * from {{ ref('stg_bitrix24__deals') }}
),

connections as (
    select * from {{ ref('int_connections') }}
),

-- Funnel 0 has no suffix: DEAL_STAGE, the others are DEAL_STAGE_1, DEAL_STAGE_2…
listed as (
    select
        statuses.source_key,
        coalesce(try_cast(nullif(substr(statuses.dictionary, 12), '') as bigint), 0) as pipeline_id,
        statuses.status_id as stage_id,
        statuses.status_name as stage_name,
        statuses.status_sort as stage_sort,
        statuses.semantics_code,
        statuses.received_at >= connections.as_of_at as is_listed
    from statuses
    inner join connections
        on statuses.source_key = connections.source_key
),

named_rows as (
    select
        source_key,
        pipeline_id,
        stage_id,
        stage_semantics_code
    from history
    union all
    select
        source_key,
        pipeline_id,
        stage_id,
        stage_semantics_code
    from deals
),

named as (
    select
        source_key,
        pipeline_id,
        stage_id,
        max(stage_semantics_code) as semantics_code
    from named_rows
    group by source_key, pipeline_id, stage_id
)

select
    coalesce(listed.source_key, named.source_key) as source_key,
    coalesce(listed.pipeline_id, named.pipeline_id) as pipeline_id,
    coalesce(listed.stage_id, named.stage_id) as stage_id,
    coalesce(nullif(listed.stage_name, ''), listed.stage_id, named.stage_id) as stage_name,
    listed.stage_sort,
    coalesce(listed.is_listed, false) as is_listed,
    listed.stage_id is not null as is_known,
    -- Semantics come from the system's field, never from the name; P, null and "" are in progress.
    case coalesce(
        listed.semantics_code, case when listed.stage_id is null then named.semantics_code end
    )
        when 'S' then 'won'
        when 'F' then 'lost'
        else 'open'
    end as stage_semantics
from listed
full outer join named
    on listed.source_key = named.source_key
    and listed.pipeline_id = named.pipeline_id
    and listed.stage_id = named.stage_id
