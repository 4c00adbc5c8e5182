-- Every stage of deals and leads that the dictionary lists or once listed, or the history or a card
-- names. A
-- deleted stage keeps its last known name and semantics; one that no load has seen, the id.
with statuses as (
    select * from {{ ref('stg_bitrix24__statuses') }}
    where
        dictionary in ('STATUS', 'DEAL_STAGE') or dictionary like 'DEAL\_STAGE\_%' escape '\'
),

versions as (
    select * from {{ ref('stg_bitrix24__status_versions') }}
    where
        dictionary in ('STATUS', 'DEAL_STAGE') or dictionary like 'DEAL\_STAGE\_%' escape '\'
),

history as (
    select * from {{ ref('int_bitrix24__card_history') }}
),

deals as (
    select * from {{ ref('stg_bitrix24__deals') }}
),

leads as (
    select * from {{ ref('stg_bitrix24__leads') }}
),

-- The dictionary of leads' stages is there in every portal, also in one that works without leads.
portals_with_leads as (
    select source_key
    from leads
    group by source_key
),

connections as (
    select * from {{ ref('int_connections') }}
),

newest_versions as (
    select
        *,
        row_number() over (
            partition by source_key, dictionary, status_id
            order by first_seen_at desc
        ) as age
    from versions
),

-- Versions outlive the dictionary: what is gone when a warehouse is restored stands only in them.
known as (
    select
        statuses.source_key,
        statuses.dictionary,
        statuses.status_id,
        statuses.status_name,
        statuses.status_sort,
        statuses.semantics_code,
        statuses.received_at >= connections.as_of_at as is_listed
    from statuses
    inner join connections
        on statuses.source_key = connections.source_key
    union all
    select
        newest_versions.source_key,
        newest_versions.dictionary,
        newest_versions.status_id,
        newest_versions.status_name,
        newest_versions.status_sort,
        newest_versions.semantics_code,
        false as is_listed
    from newest_versions
    left join statuses
        on newest_versions.source_key = statuses.source_key
        and newest_versions.dictionary = statuses.dictionary
        and newest_versions.status_id = statuses.status_id
    where newest_versions.age = 1 and statuses.status_id is null
),

-- Funnel 0 has no suffix: DEAL_STAGE, the others are DEAL_STAGE_1, DEAL_STAGE_2…; of leads: STATUS.
listed as (
    select
        known.source_key,
        case
            when known.dictionary = 'STATUS' then {{ leads_pipeline_id() }}
            else coalesce(try_cast(nullif(substr(known.dictionary, 12), '') as bigint), 0)
        end as pipeline_id,
        known.status_id as stage_id,
        known.status_name as stage_name,
        known.status_sort as stage_sort,
        known.semantics_code,
        known.is_listed
    from known
    left join portals_with_leads
        on known.source_key = portals_with_leads.source_key
    where known.dictionary <> 'STATUS' or portals_with_leads.source_key is not null
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
    union all
    select
        source_key,
        {{ leads_pipeline_id() }} as pipeline_id,
        stage_id,
        stage_semantics_code
    from leads
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
