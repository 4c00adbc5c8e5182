-- The client that the card of the note names, one row per call. Of several notes of a call the
-- first that leads to a client decides.
with call_rows as (
    select * from {{ ref('int_amocrm__call_rows') }}
),

contacts as (
    select * from {{ ref('int_amocrm__contacts') }}
),

deals as (
    select * from {{ ref('int_amocrm__deals') }}
    where is_counted
),

-- The id by kind first: a condition on the call's side inside a left join is planned as a loop.
entities as (
    select
        call_key,
        note_id,
        source_key,
        case when entity_type = 'companies' then entity_id end as company_id,
        case when entity_type = 'contacts' then entity_id end as contact_id,
        case when entity_type = 'leads' then entity_id end as deal_id
    from call_rows
),

named as (
    select
        entities.call_key,
        entities.note_id,
        case
            when entities.company_id is not null
                then {{ hash_key(["entities.source_key", "'company'", "entities.company_id"]) }}
            when contacts.company_id is not null
                then {{ hash_key(["entities.source_key", "'company'", "contacts.company_id"]) }}
            when contacts.contact_id is not null
                then {{ hash_key(["entities.source_key", "'contact'", "contacts.contact_id"]) }}
            when deals.deal_id is not null
                then deals.client_key
        end as client_key,
        case
            when contacts.contact_id is not null
                then {{ hash_key(["entities.source_key", "'contact'", "contacts.contact_id"]) }}
        end as contact_key
    from entities
    left join contacts
        on entities.source_key = contacts.source_key
        and entities.contact_id = contacts.contact_id
    left join deals
        on entities.source_key = deals.source_key
        and entities.deal_id = deals.deal_id
),

ordered as (
    select
        call_key,
        client_key,
        contact_key,
        row_number() over (partition by call_key order by note_id) as row_order
    from named
    where client_key is not null
)

select
    call_key,
    client_key,
    contact_key
from ordered
where row_order = 1
