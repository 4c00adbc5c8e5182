-- Reported, raw and marts side by side, per connection and entity of its last load (Q5, R23).
-- Unexplained at the source = reported − (raw − deleted) − quarantined; unexplained in the marts =
-- held in raw − every counted reason for leaving a row out − rows in the marts. What can't be
-- compared with the source has not passed: its state says so.
with load_log as (
    select * from {{ ref('int_load_log') }}
),

connections as (
    select * from {{ ref('int_connections') }}
),

counts as (
    select * from {{ ref('int_bitrix24__row_counts') }}
    union all
    select * from {{ ref('int_amocrm__row_counts') }}
    union all
    select * from {{ ref('int_telephony__row_counts') }}
),

deals as (
    select * from {{ ref('fct_deals') }}
),

leads as (
    select * from {{ ref('fct_leads') }}
),

tasks as (
    select * from {{ ref('fct_tasks') }}
),

messages as (
    select * from {{ ref('fct_messages') }}
),

system_messages as (
    select * from {{ ref('int_messages') }}
),

calls as (
    select * from {{ ref('fct_calls') }}
),

unified_calls as (
    select * from {{ ref('int_calls_unified') }}
),

system_deals as (
    select * from {{ ref('int_deals') }}
),

entries as (
    select * from {{ ref('int_stage_entries') }}
    where is_recorded
),

-- Rows that stand in marts, by the list they came from: one list may feed several facts.
mart_rows as (
    select
        deals.source_key,
        system_deals.entity,
        count(*) as rows_in_marts
    from deals
    inner join system_deals
        on deals.deal_key = system_deals.deal_key
    group by deals.source_key, system_deals.entity
    union all
    select
        source_key,
        'leads' as entity,
        count(*) as rows_in_marts
    from leads
    group by source_key
    union all
    select
        unified_calls.origin_source_key as source_key,
        unified_calls.entity,
        count(*) as rows_in_marts
    from calls
    inner join unified_calls
        on calls.call_key = unified_calls.call_key
    group by unified_calls.origin_source_key, unified_calls.entity
    union all
    select
        source_key,
        entity,
        count(*) as rows_in_marts
    from entries
    group by source_key, entity
    union all
    select
        source_key,
        entity,
        count(*) as rows_in_marts
    from tasks
    group by source_key, entity
    union all
    select
        messages.source_key,
        system_messages.entity,
        count(*) as rows_in_marts
    from messages
    inner join system_messages
        on messages.message_key = system_messages.message_key
    group by messages.source_key, system_messages.entity
),

marts as (
    select
        source_key,
        entity,
        sum(rows_in_marts) as rows_in_marts
    from mart_rows
    group by source_key, entity
),

latest as (
    select
        load_log.*,
        -- Nothing to compare: the system refused the entity, or has no count of it.
        case
            when load_log.problem is not null or load_log.rows_reported is null then 0
            else
                load_log.rows_reported
                - (load_log.rows_raw - load_log.rows_deleted)
                - load_log.rows_quarantined
        end as unexplained_source_count
    from load_log
    inner join connections
        on load_log.source_key = connections.source_key
        and load_log.cut_at = connections.as_of_at
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
    case
        when latest.problem is not null or latest.rows_reported is null then 'cannot_be_checked'
        when latest.unexplained_source_count = 0 then 'passed'
        else 'failed'
    end as source_check_state,
    latest.unexplained_source_count,
    counts.deleted_count,
    counts.template_count,
    counts.waiting_count,
    counts.merged_count,
    counts.orphan_count,
    counts.other_count,
    case
        when counts.rows_held is not null then coalesce(marts.rows_in_marts, 0)
    end as rows_in_marts,
    coalesce(
        counts.rows_held - counts.deleted_count - counts.template_count - counts.waiting_count
        - counts.merged_count - counts.orphan_count - counts.other_count
        - coalesce(marts.rows_in_marts, 0),
        0
    ) as unexplained_marts_count
from latest
left join counts
    on latest.source_key = counts.source_key
    and latest.entity = counts.entity
left join marts
    on latest.source_key = marts.source_key
    and latest.entity = marts.entity
