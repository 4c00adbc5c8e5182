-- Codes of telephony that the seed does not know, one row per code: their calls count with the
-- result or direction `unknown`.
with legs as (
    select * from {{ ref('int_pbx_call_legs') }}
)

select
    source_key,
    'result' as code_kind,
    result_code as code,
    count(*) as legs_count,
    max(started_at) as last_seen_at
from legs
where not is_known_result
group by source_key, result_code
union all
select
    source_key,
    'direction' as code_kind,
    '(none)' as code,
    count(*) as legs_count,
    max(started_at) as last_seen_at
from legs
where direction = 'unknown'
group by source_key
