-- What the account reported, what raw holds, and how much of it does not count, each reason
-- counted; per entity of the last load. There are no totals: reported is what a sweep has seen.
with load_log as (
    select * from {{ ref('stg_amocrm__load_log') }}
),

connections as (
    select * from {{ ref('int_amocrm__connections') }}
),

deals as (
    select * from {{ ref('int_amocrm__deals') }}
),

latest as (
    select load_log.*
    from load_log
    inner join connections
        on load_log.source_key = connections.source_key
        and load_log.cut_at = connections.as_of_at
),

deal_counts as (
    select
        source_key,
        'leads' as entity,
        count(*) as rows_held,
        count(*) filter (where is_deleted) as deleted_count,
        0 as template_count,
        count(*) filter (where is_after_cut and not is_deleted) as waiting_count,
        0 as merged_count,
        0 as orphan_count
    from deals
    group by source_key
),

counts as (
    select * from deal_counts
)

select
    latest.source_key,
    latest.entity,
    latest.cut_at,
    latest.rows_reported,
    latest.rows_received,
    latest.rows_quarantined,
    latest.rows_raw,
    latest.rows_deleted,
    latest.rows_fewer,
    latest.owners_pending,
    latest.owners_inferred,
    latest.complete_up_to_at,
    latest.problem,
    -- Nothing to compare: the account refused the entity, or it was not swept.
    case
        when latest.problem is not null or latest.rows_reported is null then 0
        else
            latest.rows_reported
            - (latest.rows_raw - latest.rows_deleted)
            - latest.rows_quarantined
    end as unexplained_source_count,
    counts.deleted_count,
    counts.template_count,
    counts.waiting_count,
    counts.merged_count,
    counts.orphan_count,
    counts.rows_held
from latest
left join counts
    on latest.source_key = counts.source_key
    and latest.entity = counts.entity
