-- Dictionaries of loss reasons of all systems; Bitrix24 has none.
with amocrm as (
    select * from {{ ref('int_amocrm__loss_reasons') }}
)

select
    source_key,
    loss_reason_id,
    loss_reason_name,
    is_listed
from amocrm
