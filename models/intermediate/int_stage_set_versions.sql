-- Which stages a pipeline had, in which order, from one change to the next. A load sees a version
-- of a stage if it was seen first before the next load and last not before this one.
with bitrix24 as (
    select * from {{ ref('int_bitrix24__stage_versions') }}
),

amocrm as (
    select * from {{ ref('int_amocrm__stage_versions') }}
),

load_log as (
    select * from {{ ref('int_load_log') }}
),

versions as (
    select * from bitrix24
    union all
    select * from amocrm
),

cuts as (
    select
        source_key,
        cut_at
    from load_log
    group by source_key, cut_at
),

loads as (
    select
        source_key,
        cut_at,
        coalesce(
            lead(cut_at) over (partition by source_key order by cut_at), {{ end_of_time() }}
        ) as next_cut_at
    from cuts
),

-- Of two versions in one load the later one.
seen as (
    select
        versions.*,
        loads.cut_at,
        row_number() over (
            partition by
                versions.source_key, versions.pipeline_id, versions.stage_id, loads.cut_at
            order by versions.first_seen_at desc
        ) as age
    from loads
    inner join versions
        on loads.source_key = versions.source_key
        and loads.next_cut_at > versions.first_seen_at
        and loads.cut_at <= versions.last_seen_at
),

stage_sets as (
    select
        source_key,
        pipeline_id,
        cut_at,
        count(*) as stages_count,
        string_agg(
            stage_id || ' (' || stage_semantics || ')', ', '
            order by
                case stage_semantics when 'open' then 0 when 'won' then 1 else 2 end,
                coalesce(stage_sort, 2147483647),
                stage_id
        ) as stage_set
    from seen
    where age = 1
    group by source_key, pipeline_id, cut_at
),

compared as (
    select
        *,
        lag(stage_set) over pipeline as previous_stage_set
    from stage_sets
    window pipeline as (partition by source_key, pipeline_id order by cut_at)
),

changes as (
    select
        *,
        row_number() over (partition by source_key, pipeline_id order by cut_at) as version_number
    from compared
    where previous_stage_set is distinct from stage_set
)

select
    {{ hash_key(['source_key', 'pipeline_id', "'stages'", 'cut_at']) }} as stage_set_version_key,
    source_key,
    {{ hash_key(['source_key', 'pipeline_id']) }} as pipeline_key,
    version_number,
    stages_count,
    stage_set,
    -- What the first load has seen is taken for all the time before.
    case when version_number = 1 then {{ beginning_of_time() }} else cut_at end as valid_from_at,
    coalesce(
        lead(cut_at) over (partition by source_key, pipeline_id order by cut_at),
        {{ end_of_time() }}
    ) as valid_to
from changes
