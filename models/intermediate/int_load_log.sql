-- What the loads of all systems say of themselves.
with bitrix24 as (
    select * from {{ ref('stg_bitrix24__load_log') }}
),

amocrm as (
    select * from {{ ref('stg_amocrm__load_log') }}
),

telephony as (
    select * from {{ ref('stg_telephony__load_log') }}
),

unioned as (
    select * from bitrix24
    union all
    select * from amocrm
    union all
    select * from telephony
)

select
    source_key,
    entity,
    cut_at,
    rows_reported,
    rows_received,
    rows_quarantined,
    rows_raw,
    rows_deleted,
    rows_fewer,
    owners_pending,
    owners_inferred,
    complete_up_to_at,
    problem
from unioned
