-- Notes that are calls, up to the cut, with the call each belongs to: one `uniq` on notes of
-- several cards is one call, represented by its lowest note.
{{ config(
    materialized='affected_keys',
    affected_nodes=text_node('call_note', "entity_type || '/' || note_id"),
) }}

with notes as (
    select * from {{ ref('stg_amocrm__notes') }}
    where note_type in ('call_in', 'call_out')
),

users as (
    select * from {{ ref('stg_amocrm__users') }}
),

user_versions as (
    select * from {{ ref('stg_amocrm__user_versions') }}
),

connections as (
    select * from {{ ref('int_connections') }}
),

unpacked as (
    select
        notes.source_key,
        notes.note_id,
        notes.entity_type,
        case notes.entity_type
            when 'leads' then 'lead_notes'
            when 'contacts' then 'contact_notes'
            else 'company_notes'
        end as entity,
        notes.entity_id,
        notes.note_type,
        notes.owner_id,
        notes.created_by_id,
        notes.created_at as started_at,
        nullif({{ json_path_text('notes.params', '$.uniq') }}, '') as system_call_id,
        {{ json_path_integer('notes.params', '$.duration') }} as duration_seconds,
        nullif({{ json_path_text('notes.params', '$.phone') }}, '') as phone,
        nullif({{ json_path_text('notes.params', '$.link') }}, '') as recording_url,
        {{ json_path_integer('notes.params', '$.call_status') }} as call_status,
        nullif({{ json_path_text('notes.params', '$.call_responsible') }}, '') as call_responsible
    from notes
    inner join connections
        on notes.source_key = connections.source_key
    where
        notes.created_at <= connections.as_of_at
        and notes.created_at <= notes.received_at
),

-- Old notes keep the name that a user had when they were written.
user_names as (
    select
        source_key,
        employee_id,
        lower(employee_name) as known_name
    from users
    union
    select
        source_key,
        employee_id,
        lower(employee_name) as known_name
    from user_versions
),

-- The name of two people says nothing.
users_by_name as (
    select
        source_key,
        known_name,
        min(employee_id) as employee_id
    from user_names
    where known_name <> ''
    group by source_key, known_name
    having count(*) = 1
),

-- Who spoke: the field of the telephony, by id or by name, else who is responsible, else who wrote
-- the note; 0 is the system and nobody.
named as (
    select
        unpacked.*,
        coalesce(
            nullif(try_cast(unpacked.call_responsible as bigint), 0), users_by_name.employee_id
        ) as speaker_id
    from unpacked
    left join users_by_name
        on unpacked.source_key = users_by_name.source_key
        and lower(trim(unpacked.call_responsible)) = users_by_name.known_name
),

with_talker as (
    select
        *,
        coalesce(speaker_id, owner_id, created_by_id) as talker_id,
        case
            when speaker_id is not null then 'crm_user'
            when owner_id is not null then 'crm_responsible'
            when created_by_id is not null then 'crm_creator'
            else 'unknown'
        end as talker_basis
    from named
),

grouped as (
    select
        *,
        case
            when system_call_id is null then note_id
            else min(note_id) over (partition by source_key, system_call_id)
        end as representative_id
    from with_talker
)

select
    grouped.*,
    grouped.note_id = grouped.representative_id as is_representative,
    {{ hash_key(['source_key', 'representative_id']) }} as call_key
from grouped
