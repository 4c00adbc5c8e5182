with source as (
    select * from {{ source('raw_company', 'talkers') }}
)

select
    source_key,
    lower(trim(talker_name)) as talker_name,
    employee_id,
    line
from source
