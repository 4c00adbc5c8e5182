-- Options of deals' list fields, all systems.
with bitrix24 as (
    select * from {{ ref('int_bitrix24__custom_field_options') }}
)

select
    source_key,
    custom_field,
    option_id,
    option_label
from bitrix24
