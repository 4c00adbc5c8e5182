with source as (
    select * from {{ source('raw_company', 'rules') }}
)

select
    company,
    company_name,
    time_zone,
    language,
    currency_code,
    phone_region,
    successful_call_seconds,
    call_starts_card_minutes,
    after_close_days,
    callback_hours,
    contact_seconds,
    shared_lines,
    mass_move_cards,
    mass_move_minutes
from source
