-- Ids by which a telephony may know a call of the portal: its own and the one that the integration
-- has registered.
{{ config(materialized='view') }}

with call_rows as (
    select * from {{ ref('int_bitrix24__call_rows') }}
),

links as (
    select
        call_key,
        system_call_id as link_id
    from call_rows
    where system_call_id is not null
    union
    select
        call_key,
        external_call_id as link_id
    from call_rows
    where external_call_id is not null
)

select
    call_key,
    link_id
from links
