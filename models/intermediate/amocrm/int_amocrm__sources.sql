-- Sources are texts of a field: they are their own names, and no dictionary lists them.
with deals as (
    select * from {{ ref('int_amocrm__deals') }}
)

select
    source_key,
    source_id,
    source_id as source_name,
    false as is_listed
from deals
where source_id is not null
group by source_key, source_id
