-- The client that the portal's own entity names, one row per call. Of several rows of a call the
-- first that leads to a client decides. A contact the portal no longer has leads nowhere: merging
-- duplicates deletes ids, the number finds the contact that took over.
with call_rows as (
    select * from {{ ref('int_bitrix24__call_rows') }}
),

contacts as (
    select * from {{ ref('stg_bitrix24__contacts') }}
),

deals as (
    select * from {{ ref('int_bitrix24__deals') }}
    where is_counted
),

named as (
    select
        call_rows.call_key,
        call_rows.call_id,
        case
            when call_rows.entity_type = 'COMPANY'
                then {{ hash_key(["call_rows.source_key", "'company'", "call_rows.entity_id"]) }}
            when contacts.company_id is not null
                then {{ hash_key(["call_rows.source_key", "'company'", "contacts.company_id"]) }}
            when contacts.contact_id is not null
                then {{ hash_key(["call_rows.source_key", "'contact'", "contacts.contact_id"]) }}
            when deals.deal_id is not null
                then deals.client_key
        end as client_key,
        case
            when contacts.contact_id is not null
                then {{ hash_key(["call_rows.source_key", "'contact'", "contacts.contact_id"]) }}
        end as contact_key
    from call_rows
    left join contacts
        on call_rows.entity_type = 'CONTACT'
        and call_rows.source_key = contacts.source_key
        and call_rows.entity_id = contacts.contact_id
    left join deals
        on call_rows.entity_type = 'DEAL'
        and call_rows.source_key = deals.source_key
        and call_rows.entity_id = deals.deal_id
    where call_rows.entity_id is not null
),

ordered as (
    select
        call_key,
        client_key,
        contact_key,
        row_number() over (partition by call_key order by call_id) as row_order
    from named
    where client_key is not null
)

select
    call_key,
    client_key,
    contact_key
from ordered
where row_order = 1
