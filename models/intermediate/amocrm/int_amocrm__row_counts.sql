-- What raw holds of the entities that become facts, and how much of it does not count, each reason
-- counted.
with deals as (
    select * from {{ ref('int_amocrm__deals') }}
),

notes as (
    select * from {{ ref('stg_amocrm__notes') }}
),

call_rows as (
    select * from {{ ref('int_amocrm__call_rows') }}
),

events as (
    select * from {{ ref('stg_amocrm__events') }}
),

moves as (
    select * from {{ ref('int_amocrm__stage_moves') }}
),

connections as (
    select * from {{ ref('int_connections') }}
),

deal_counts as (
    select
        source_key,
        'leads' as entity,
        count(*) as rows_held,
        count(*) filter (where is_deleted) as deleted_count,
        0::bigint as template_count,
        count(*) filter (where is_after_cut and not is_deleted) as waiting_count,
        0::bigint as merged_count,
        0::bigint as orphan_count,
        0::bigint as other_count
    from deals
    group by source_key
),

placed_notes as (
    select
        notes.source_key,
        case notes.entity_type
            when 'leads' then 'lead_notes'
            when 'contacts' then 'contact_notes'
            else 'company_notes'
        end as entity,
        notes.note_type in ('call_in', 'call_out') as is_call,
        call_rows.note_id,
        call_rows.is_representative
    from notes
    left join call_rows
        on notes.source_key = call_rows.source_key
        and notes.entity_type = call_rows.entity_type
        and notes.note_id = call_rows.note_id
),

call_counts as (
    select
        source_key,
        entity,
        count(*) as rows_held,
        0::bigint as deleted_count,
        0::bigint as template_count,
        count(*) filter (where is_call and note_id is null) as waiting_count,
        count(*) filter (where not is_representative) as merged_count,
        0::bigint as orphan_count,
        count(*) filter (where not is_call) as other_count
    from placed_notes
    group by source_key, entity
),

-- The lead by kind first: a condition on the event's side inside a left join is planned as a loop.
events_of_leads as (
    select
        source_key,
        event_id,
        case when event_type = 'lead_status_changed' then entity_id end as lead_id,
        created_at,
        received_at
    from events
),

placed_events as (
    select
        events_of_leads.source_key,
        events_of_leads.lead_id is not null as is_change,
        moves.event_id is not null as is_move,
        events_of_leads.created_at > connections.as_of_at
        or events_of_leads.created_at > events_of_leads.received_at as is_waiting,
        coalesce(deals.is_counted, false) as is_counted
    from events_of_leads
    inner join connections
        on events_of_leads.source_key = connections.source_key
    left join moves
        on events_of_leads.source_key = moves.source_key
        and events_of_leads.event_id = moves.event_id
    left join deals
        on events_of_leads.source_key = deals.source_key
        and events_of_leads.lead_id = deals.deal_id
),

event_counts as (
    select
        source_key,
        'events' as entity,
        count(*) as rows_held,
        0::bigint as deleted_count,
        0::bigint as template_count,
        count(*) filter (where is_change and is_waiting) as waiting_count,
        -- Artefacts of synchronisation: the same stage before and after.
        count(*) filter (where is_change and not is_waiting and not is_move) as merged_count,
        count(*) filter (where is_move and not is_counted) as orphan_count,
        count(*) filter (where not is_change) as other_count
    from placed_events
    group by source_key
)

select * from deal_counts
union all
select * from call_counts
union all
select * from event_counts
