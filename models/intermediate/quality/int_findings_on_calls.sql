-- Q8, Q9, Q13, Q16 and codes that nobody knows: what makes calls count wrongly.
with calls as (
    select
        *,
        {{ shown_call_id() }} as shown_id
    from {{ ref('fct_calls') }}
),

shared_lines as (
    select * from {{ ref('int_shared_line_findings') }}
),

methods as (
    select * from {{ ref('int_call_methods_by_week') }}
),

told_twice as (
    select * from {{ ref('int_duplicate_calls') }}
),

cards as (
    select * from {{ ref('dim_cards') }}
),

call_codes as (
    select * from {{ ref('int_unknown_call_codes') }}
),

-- One row, joined on what is always so: a comparison with it alone would be a nested loop.
rules as (
    select
        *,
        true as is_set
    from {{ ref('stg_company__quality_rules') }}
),

last_weeks as (
    select
        *,
        row_number() over (
            partition by source_key, match_method order by week_start_on desc
        ) as age
    from methods
),

q9_methods_moved as (
    select
        'Q9' as rule_id,
        'method_share_moved' as finding,
        last_weeks.source_key,
        'match_method' as entity,
        last_weeks.match_method as record_id,
        null::bigint as employee_key,
        null::varchar as card_url,
        {{ facts({
            'method': 'last_weeks.match_method',
            'week': 'last_weeks.week_start_on',
            'now': 'round(100.0 * last_weeks.calls_count / last_weeks.all_calls_count)::integer',
            'before': 'round(100.0 * last_weeks.previous_calls_count '
                ~ '/ last_weeks.previous_all_calls_count)::integer',
            'count': 'last_weeks.all_calls_count',
        }) }} as facts
    from last_weeks
    inner join rules
        on (last_weeks.age = 1) = rules.is_set
    where
        last_weeks.age = 1
        and last_weeks.all_calls_count >= rules.share_calls_min
        and last_weeks.previous_all_calls_count >= rules.share_calls_min
        and abs(
            last_weeks.calls_count / last_weeks.all_calls_count
            - last_weeks.previous_calls_count / last_weeks.previous_all_calls_count
        ) > rules.method_share_move
),

q9_unknown_numbers as (
    select
        'Q9' as rule_id,
        'too_many_unknown_numbers' as finding,
        last_weeks.source_key,
        'calls' as entity,
        last_weeks.source_key as record_id,
        null::bigint as employee_key,
        null::varchar as card_url,
        {{ facts({
            'week': 'last_weeks.week_start_on',
            'share': 'round(100.0 * last_weeks.calls_count / last_weeks.all_calls_count)::integer',
            'count': 'last_weeks.calls_count',
            'all': 'last_weeks.all_calls_count',
            'connection': 'last_weeks.source_key',
        }) }} as facts
    from last_weeks
    inner join rules
        on (last_weeks.age = 1) = rules.is_set
    where
        last_weeks.age = 1
        and last_weeks.match_method = 'unknown_number'
        and last_weeks.all_calls_count >= rules.share_calls_min
        and last_weeks.calls_count / last_weeks.all_calls_count > rules.unknown_number_share
),

duplicates as (
    select
        calls.*,
        earlier_calls.shown_id as earlier_shown_id
    from told_twice
    inner join calls
        on told_twice.call_key = calls.call_key
    inner join calls as earlier_calls
        on told_twice.earlier_call_key = earlier_calls.call_key
),

q13_duplicates as (
    select
        'Q13' as rule_id,
        'call_told_twice' as finding,
        duplicates.source_key,
        'call' as entity,
        duplicates.shown_id as record_id,
        duplicates.talker_employee_key as employee_key,
        cards.card_url,
        {{ facts({
            'record': 'duplicates.shown_id',
            'earlier': 'duplicates.earlier_shown_id',
            'at': "strftime(duplicates.started_at, '%Y-%m-%d %H:%M:%S')",
        }) }} as facts
    from duplicates
    left join cards
        on duplicates.card_key = cards.card_key
),

q16_absurd_length as (
    select
        'Q16' as rule_id,
        'call_too_long' as finding,
        calls.source_key,
        'call' as entity,
        calls.shown_id as record_id,
        calls.talker_employee_key as employee_key,
        cards.card_url,
        {{ facts({
            'record': 'calls.shown_id',
            'hours': 'round(calls.total_seconds / 3600.0, 1)',
        }) }} as facts
    from calls
    inner join rules
        on (calls.total_seconds > 0) = rules.is_set
    left join cards
        on calls.card_key = cards.card_key
    where calls.total_seconds > rules.long_call_hours * 3600
),

unknown_codes as (
    select
        'CODES' as rule_id,
        case code_kind
            when 'result' then 'call_result_unknown'
            else 'call_direction_unknown'
        end as finding,
        source_key,
        'call' as entity,
        code_kind || ' ' || code as record_id,
        null::bigint as employee_key,
        null::varchar as card_url,
        {{ facts({'code': 'code', 'connection': 'source_key', 'count': 'legs_count'}) }} as facts
    from call_codes
)

select * from shared_lines
union all
select * from q9_methods_moved
union all
select * from q9_unknown_numbers
union all
select * from q13_duplicates
union all
select * from q16_absurd_length
union all
select * from unknown_codes
