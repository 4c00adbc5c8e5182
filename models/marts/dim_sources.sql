-- Where cards come from: the systems' dictionaries, and what cards name beside them.
with sources as (
    select * from {{ ref('int_sources') }}
),

deals as (
    select * from {{ ref('int_deals') }}
),

leads as (
    select * from {{ ref('int_leads') }}
),

named as (
    select
        source_key,
        source_id
    from deals
    union
    select
        source_key,
        source_id
    from leads
),

all_sources as (
    select
        source_key,
        source_id,
        source_name,
        is_listed
    from sources
    union all
    select
        named.source_key,
        named.source_id,
        named.source_id as source_name,
        false as is_listed
    from named
    left join sources
        on named.source_key = sources.source_key
        and named.source_id = sources.source_id
    where named.source_id <> '' and sources.source_id is null
)

select
    {{ hash_key(['source_key', "'source'", 'source_id']) }} as lead_source_key,
    source_key,
    source_id,
    source_name,
    is_listed
from all_sources
