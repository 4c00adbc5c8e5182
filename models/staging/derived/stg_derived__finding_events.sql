with source as (
    select * from {{ source('raw_derived', 'finding_events') }}
)

select
    event_number,
    event,
    {{ utc('happened_at') }} as happened_at,
    {{ utc('last_seen_at') }} as last_seen_at,
    issue_key,
    rule_id,
    finding,
    issue_source_key as source_key,
    entity,
    record_id,
    employee_key,
    card_url,
    {{ facts_of_text('facts') }} as facts
from source
