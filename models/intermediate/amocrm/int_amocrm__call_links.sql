-- Ids by which a telephony may know a call of the account: `uniq` of its notes.
{{ config(materialized='view') }}

with call_rows as (
    select * from {{ ref('int_amocrm__call_rows') }}
)

select
    call_key,
    system_call_id as link_id
from call_rows
where system_call_id is not null
group by call_key, system_call_id
