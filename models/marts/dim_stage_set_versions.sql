with versions as (
    select * from {{ ref('int_stage_set_versions') }}
),

pipelines as (
    select * from {{ ref('dim_pipelines') }}
),

days as (
    select * from {{ ref('int_days_by_utc_date') }}
)

select
    versions.stage_set_version_key,
    versions.source_key,
    versions.pipeline_key,
    versions.version_number,
    versions.version_number > 1 as is_break,
    versions.valid_from_at,
    days.date_day as changed_on,
    versions.valid_to,
    versions.stages_count,
    versions.stage_set
from versions
inner join pipelines
    on versions.pipeline_key = pipelines.pipeline_key
left join days
    on versions.valid_from_at::date = days.utc_on
    and versions.valid_from_at >= days.starts_at
    and versions.valid_from_at < days.ends_at
