-- Q5, Q15 and what loads could not read: rows that are missing, connections and lists that are
-- stale.
with reconciliation as (
    select * from {{ ref('int_reconciliation_by_entity') }}
),

rejected_rows as (
    select * from {{ ref('int_rejected_rows') }}
),

calls as (
    select * from {{ ref('fct_calls') }}
),

cards as (
    select * from {{ ref('dim_cards') }}
),

connections as (
    select * from {{ ref('int_connections') }}
    where is_configured
),

volumes as (
    select * from {{ ref('int_volumes_by_day') }}
),

rules as (
    select * from {{ ref('stg_company__quality_rules') }}
),

q5_unexplained_rows as (
    select
        'Q5' as rule_id,
        'rows_missing' as finding,
        source_key,
        entity,
        entity as record_id,
        null::bigint as employee_key,
        null::varchar as card_url,
        {{ facts({
            'entity': 'entity',
            'connection': 'source_key',
            'reported': 'coalesce(rows_reported, rows_raw)',
            'raw': 'rows_raw',
            'deleted': 'rows_deleted',
            'quarantined': 'rows_quarantined',
            'missing': 'unexplained_marts_count',
        }) }} as facts
    from reconciliation
    where unexplained_source_count <> 0 or unexplained_marts_count <> 0
),

-- What the system refuses can't be compared with it: said here, and no offence of Q5.
unread_entities as (
    select
        'UNREAD' as rule_id,
        case when problem is not null then 'entity_not_read' else 'details_pending' end as finding,
        source_key,
        entity,
        entity as record_id,
        null::bigint as employee_key,
        null::varchar as card_url,
        {{ facts({
            'entity': 'entity',
            'connection': 'source_key',
            'problem': 'problem',
            'count': 'owners_pending',
        }) }} as facts
    from reconciliation
    where problem is not null or owners_pending > 0
),

newest_connection as (
    select max(as_of_at) as newest_as_of_at
    from connections
),

q15_stale_connections as (
    select
        'Q15' as rule_id,
        'connection_stale' as finding,
        connections.source_key,
        'connection' as entity,
        connections.source_key as record_id,
        null::bigint as employee_key,
        null::varchar as card_url,
        {{ facts({
            'connection': 'connections.source_key',
            'since': "strftime(connections.as_of_at, '%Y-%m-%d %H:%M')",
            'hours': "date_diff('hour', connections.as_of_at, newest_connection.newest_as_of_at)",
        }) }} as facts
    from connections
    cross join newest_connection
    cross join rules
    where
        date_diff('hour', connections.as_of_at, newest_connection.newest_as_of_at)
        > rules.stale_hours
),

q15_few_rows as (
    select
        'Q15' as rule_id,
        'fewer_rows_than_usual' as finding,
        volumes.source_key,
        volumes.entity,
        volumes.entity as record_id,
        null::bigint as employee_key,
        null::varchar as card_url,
        {{ facts({
            'entity': 'volumes.entity',
            'connection': 'volumes.source_key',
            'day': 'volumes.date_day',
            'count': 'volumes.rows_count',
            'usual': 'volumes.usual_count::integer',
            'sample': 'volumes.sample_count',
        }) }} as facts
    from volumes
    inner join connections
        on volumes.source_key = connections.source_key
        and volumes.date_day = connections.as_of_on - 1
    where volumes.volume_verdict = 'fewer'
),

rejected as (
    select
        rejected_rows.rule_id,
        rejected_rows.finding,
        rejected_rows.source_key,
        rejected_rows.entity,
        rejected_rows.record_id,
        null::bigint as employee_key,
        cards.card_url,
        rejected_rows.facts
    from rejected_rows
    left join calls
        on rejected_rows.call_key = calls.call_key
    left join cards
        on coalesce(rejected_rows.card_key, calls.card_key) = cards.card_key
)

select * from q5_unexplained_rows
union all
select * from unread_entities
union all
select * from q15_stale_connections
union all
select * from q15_few_rows
union all
select * from rejected
