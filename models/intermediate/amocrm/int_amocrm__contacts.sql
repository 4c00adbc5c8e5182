-- One row per contact with its company.
with contacts as (
    select * from {{ ref('stg_amocrm__contacts') }}
)

select
    source_key,
    contact_id,
    {{ json_path_integer('companies', '$[0].id') }} as company_id,
    custom_fields
from contacts
where not is_deleted
