-- Contacts' numbers in E.164, all systems. A contact's client is its company, if it has one.
{{ config(materialized='affected_keys', affected_by=['contact_key']) }}

with contacts as (
    select * from {{ ref('int_bitrix24__contacts') }}
    union all
    select * from {{ ref('int_amocrm__contacts') }}
),

phone_numbers as (
    select * from {{ ref('stg_derived__phone_numbers') }}
),

connections as (
    select * from {{ ref('int_connections') }}
),

phones as (
    select
        source_key,
        contact_id,
        company_id,
        {{ unnest_list('phones') }} as phone
    from contacts
),

numbers as (
    select
        phones.source_key,
        phones.contact_id,
        phones.company_id,
        phone_numbers.phone_e164
    from phones
    inner join connections
        on phones.source_key = connections.source_key
    inner join phone_numbers
        on phones.phone = phone_numbers.phone
        and connections.phone_region = phone_numbers.phone_region
    where phone_numbers.phone_e164 is not null
    group by phones.source_key, phones.contact_id, phones.company_id, phone_numbers.phone_e164
)

select
    source_key,
    phone_e164,
    {{ hash_key(["source_key", "'contact'", "contact_id"]) }} as contact_key,
    case
        when company_id is not null
            then {{ hash_key(["source_key", "'company'", "company_id"]) }}
        else {{ hash_key(["source_key", "'contact'", "contact_id"]) }}
    end as client_key,
    -- The tie rule's lowest key: contacts before companies, then by number.
    case when company_id is not null then 4 else 3 end as client_type_order,
    coalesce(company_id, contact_id) as client_id_order
from numbers
