-- Reported, raw and marts side by side, per connection and entity of its last load (Q5, R23).
-- Unexplained at the source = reported − (raw − deleted) − quarantined; unexplained in the marts =
-- held in raw − every counted reason for leaving a row out − rows in the marts. What can't be
-- compared with the source has not passed: its state says so.
with bitrix24 as (
    select * from {{ ref('int_bitrix24__reconciliation') }}
),

deals as (
    select * from {{ ref('fct_deals') }}
),

calls as (
    select * from {{ ref('fct_calls') }}
),

entries as (
    select * from {{ ref('int_stage_entries') }}
    where not is_inferred
),

marts as (
    select
        source_key,
        'deals' as entity,
        count(*) as rows_in_marts
    from deals
    group by source_key
    union all
    select
        source_key,
        'calls' as entity,
        count(*) as rows_in_marts
    from calls
    group by source_key
    union all
    select
        source_key,
        'stage_history' as entity,
        count(*) as rows_in_marts
    from entries
    group by source_key
)

select
    bitrix24.source_key,
    bitrix24.entity,
    bitrix24.cut_at,
    bitrix24.rows_reported,
    bitrix24.rows_received,
    bitrix24.rows_quarantined,
    bitrix24.rows_raw,
    bitrix24.rows_deleted,
    bitrix24.rows_fewer,
    bitrix24.owners_pending,
    bitrix24.owners_inferred,
    bitrix24.complete_up_to_at,
    bitrix24.problem,
    case
        when bitrix24.problem is not null then 'cannot_be_checked'
        when bitrix24.rows_reported is null then 'not_counted'
        when bitrix24.unexplained_source_count = 0 then 'passed'
        else 'failed'
    end as source_check_state,
    bitrix24.unexplained_source_count,
    bitrix24.deleted_count,
    bitrix24.template_count,
    bitrix24.waiting_count,
    bitrix24.merged_count,
    bitrix24.orphan_count,
    case
        when bitrix24.rows_held is not null then coalesce(marts.rows_in_marts, 0)
    end as rows_in_marts,
    coalesce(
        bitrix24.rows_held - bitrix24.deleted_count - bitrix24.template_count
        - bitrix24.waiting_count - bitrix24.merged_count - bitrix24.orphan_count
        - coalesce(marts.rows_in_marts, 0),
        0
    ) as unexplained_marts_count
from bitrix24
left join marts
    on bitrix24.source_key = marts.source_key
    and bitrix24.entity = marts.entity
