-- Numbers of clients: those of their contacts.
{{ config(materialized='affected_keys', affected_by=['contact_client_key']) }}

with phones as (
    select * from {{ ref('int_client_phones') }}
)

select
    {{ hash_key(['contact_key', 'phone_e164']) }} as client_phone_key,
    source_key,
    client_key,
    contact_key as contact_client_key,
    phone_e164
from phones
