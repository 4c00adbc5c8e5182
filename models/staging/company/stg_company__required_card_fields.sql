with source as (
    select * from {{ source('raw_company', 'required_card_fields') }}
)

select card_field
from source
