with source as (
    select * from {{ source('raw_company', 'report_rules') }}
)

select
    company,
    forgotten_days,
    open_cards_limit,
    health_cards_min,
    turbulence_share,
    accumulation_factor,
    accumulation_share,
    insufficiency_share,
    graveyard_share,
    graveyard_days,
    signal_cases_min,
    short_call_seconds,
    short_calls_factor,
    record_months_min,
    few_calls_share,
    many_wins_share,
    trace_minutes,
    untraced_factor,
    canned_repeats,
    canned_share,
    alarm_drop_share,
    asleep_days,
    next_deal_days
from source
