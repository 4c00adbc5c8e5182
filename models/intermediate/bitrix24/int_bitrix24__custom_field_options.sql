-- What the option ids in list fields of deals mean. An option that was removed keeps its label.
with options as (
    select * from {{ ref('stg_bitrix24__custom_field_options') }}
    where entity_type = 'deal'
)

select
    source_key,
    custom_field,
    option_id,
    coalesce(option_label, option_id) as option_label
from options
