with methods as (
    select * from {{ ref('int_call_methods_by_week') }}
),

shares as (
    select
        *,
        case when all_calls_count > 0 then calls_count / all_calls_count end as method_share,
        case
            when previous_all_calls_count > 0
                then previous_calls_count / previous_all_calls_count
        end as previous_method_share
    from methods
)

select
    {{ hash_key(["'call_matching'", 'source_key', 'week_start_on', 'match_method']) }}
        as call_matching_key,
    source_key,
    week_start_on,
    match_method,
    calls_count as matched_calls_count,
    all_calls_count,
    method_share,
    previous_calls_count as previous_matched_calls_count,
    previous_all_calls_count,
    previous_method_share,
    method_share - previous_method_share as method_share_move
from shares
