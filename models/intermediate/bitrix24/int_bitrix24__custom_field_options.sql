-- What the option ids in list fields of deals and leads mean. An option that was removed keeps its
-- label.
with options as (
    select * from {{ ref('stg_bitrix24__custom_field_options') }}
    where entity_type in ('deal', 'lead')
)

select
    source_key,
    custom_field,
    option_id,
    max(coalesce(option_label, option_id)) as option_label
from options
group by source_key, custom_field, option_id
