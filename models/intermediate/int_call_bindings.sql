-- Calls bound to cards, all systems.
{{ config(materialized='affected_keys', affected_by=['call_key']) }}

with bitrix24 as (
    select * from {{ ref('int_bitrix24__call_bindings') }}
),

amocrm as (
    select * from {{ ref('int_amocrm__call_bindings') }}
),

unioned as (
    select * from bitrix24
    union all
    select * from amocrm
)

select
    call_key,
    card_key
from unioned
