-- R19: what is worth looking into, never a verdict. Sellers only, each signal with its numbers,
-- whether or not it is raised: short calls of the last five complete working days, the others by
-- month of the last twelve that are over.
{%- set earlier_days = 90 %}
with calls as (
    select * from {{ ref('fct_calls') }}
    where is_external
),

actions as (
    select * from {{ ref('fct_crm_actions') }}
    where card_key is not null and action_type <> 'card_created'
),

comments as (
    select * from {{ ref('int_comments') }}
),

card_metrics as (
    select * from {{ ref('metric_cards__by_metric') }}
    where metric_name in ('won', 'won_amount') and is_in_totals
),

daily_activity as (
    select * from {{ ref('metric_employee_activity__by_day') }}
),

sellers as (
    select * from {{ ref('dim_sellers') }}
),

employees as (
    select * from {{ ref('dim_employees') }}
),

dates as (
    select * from {{ ref('dim_dates') }}
),

days as (
    select * from {{ ref('int_days_by_utc_date') }}
),

rules as (
    select * from {{ ref('stg_company__report_rules') }}
),

report as (
    select
        date_day as as_of_on,
        month_start_on as this_month_on
    from dates
    where is_as_of_day
),

-- Months that sellers were there for from their first to their last day.
first_days as (
    select min(active_on) as first_on from daily_activity
),

months as (
    select
        month_start_on,
        (month_start_on + interval 1 month)::date as month_end_on
    from dates
    group by month_start_on
),

seller_months as (
    select
        sellers.employee_key,
        months.month_start_on,
        months.month_end_on
    from sellers
    cross join months
    cross join report
    cross join first_days
    where
        months.month_start_on < report.this_month_on
        and months.month_start_on >= greatest(
            coalesce(sellers.seller_from_on, first_days.first_on), first_days.first_on
        )
        and months.month_end_on <= sellers.seller_until_on
),

months_looked_at as (
    select seller_months.*
    from seller_months
    cross join report
    where seller_months.month_start_on >= report.this_month_on - interval 12 months
),

-- Short calls of the last five complete working days beside those of the 90 days before.
last_working_days as (
    select
        dates.date_day,
        row_number() over (order by dates.date_day desc) as days_back
    from dates
    cross join report
    where dates.is_working_day and dates.date_day < report.as_of_on
),

window_days as (
    select
        min(last_working_days.date_day) as starts_on,
        max(report.as_of_on) as ends_on
    from last_working_days
    cross join report
    where last_working_days.days_back <= 5
),

outbound_calls as (
    select
        calls.reporting_employee_key as employee_key,
        window_days.starts_on,
        window_days.ends_on,
        calls.started_on >= window_days.starts_on as is_of_window,
        -- What nobody answered is an attempt, not a short call.
        calls.is_answered and calls.talk_seconds < rules.short_call_seconds as is_short
    from calls
    cross join window_days
    cross join rules
    where
        calls.direction = 'outbound'
        and calls.started_on < window_days.ends_on
        and calls.started_on >= window_days.starts_on - {{ earlier_days }}
),

short_calls as (
    select
        sellers.employee_key,
        window_days.starts_on,
        window_days.ends_on,
        count(outbound_calls.is_short) filter (
            where outbound_calls.is_of_window and outbound_calls.is_short
        ) as short_count,
        count(outbound_calls.is_short) filter (where outbound_calls.is_of_window)
            as outbound_count,
        count(outbound_calls.is_short) filter (
            where not outbound_calls.is_of_window and outbound_calls.is_short
        ) as earlier_short_count,
        count(outbound_calls.is_short) filter (where not outbound_calls.is_of_window)
            as earlier_outbound_count
    from sellers
    cross join window_days
    left join outbound_calls
        on sellers.employee_key = outbound_calls.employee_key
    where sellers.seller_until_on > window_days.starts_on
    group by sellers.employee_key, window_days.starts_on, window_days.ends_on
),

won_months as (
    select
        card_metrics.reporting_employee_key as employee_key,
        dates.month_start_on,
        sum(card_metrics.contribution) filter (where card_metrics.metric_name = 'won')
            as won_count,
        sum(card_metrics.contribution) filter (where card_metrics.metric_name = 'won_amount')
            as won_amount
    from card_metrics
    inner join dates
        on card_metrics.happened_on = dates.date_day
    group by card_metrics.reporting_employee_key, dates.month_start_on
),

call_months as (
    select
        daily_activity.reporting_employee_key as employee_key,
        dates.month_start_on,
        sum(daily_activity.calls_count) as calls_count
    from daily_activity
    inner join dates
        on daily_activity.active_on = dates.date_day
    group by daily_activity.reporting_employee_key, dates.month_start_on
),

month_figures as (
    select
        seller_months.*,
        coalesce(call_months.calls_count, 0) as calls_count,
        coalesce(won_months.won_count, 0) as won_count,
        coalesce(won_months.won_amount, 0) as won_amount
    from seller_months
    left join call_months
        on seller_months.employee_key = call_months.employee_key
        and seller_months.month_start_on = call_months.month_start_on
    left join won_months
        on seller_months.employee_key = won_months.employee_key
        and seller_months.month_start_on = won_months.month_start_on
),

compared_months as (
    select
        *,
        count(*) over earlier as earlier_months_count,
        max(won_amount) over earlier as best_amount,
        count(*) over colleagues as sellers_count,
        median(calls_count) over colleagues as calls_median,
        median(won_count) over colleagues as won_median
    from month_figures
    window
        earlier as (
            partition by employee_key
            order by month_start_on
            rows between unbounded preceding and 1 preceding
        ),
        colleagues as (partition by month_start_on)
),

record_months as (
    select
        compared_months.*,
        compared_months.won_amount > compared_months.best_amount
        and compared_months.earlier_months_count >= rules.record_months_min as is_record
    from compared_months
    cross join rules
),

record_runs as (
    select
        *,
        count(*) filter (where not coalesce(is_record, false)) over (
            partition by employee_key order by month_start_on
        ) as run_number
    from record_months
),

records_running as (
    select
        *,
        count(*) filter (where is_record) over (
            partition by employee_key, run_number order by month_start_on
        ) as months_running
    from record_runs
),

-- The next thing that the talker did in the CRM with the card.
calls_and_actions as (
    select
        calls.card_key,
        calls.reporting_employee_key as employee_key,
        calls.started_at as happened_at,
        calls.started_on,
        {{ seconds('coalesce(calls.total_seconds, calls.talk_seconds, 0)') }} as call_length,
        null::timestamp as acted_at
    from calls
    where calls.is_successful and calls.card_key is not null
    union all
    select
        actions.card_key,
        actions.reporting_employee_key as employee_key,
        actions.acted_at as happened_at,
        null as started_on,
        null as call_length,
        actions.acted_at
    from actions
),

followed as (
    select
        employee_key,
        started_on,
        happened_at,
        call_length,
        min(acted_at) over (
            partition by card_key, employee_key
            order by happened_at
            range between current row and unbounded following
        ) as next_action_at
    from calls_and_actions
),

traces as (
    select
        followed.employee_key,
        dates.month_start_on,
        count(*) as calls_count,
        count(*) filter (
            where
            followed.next_action_at is null
            or followed.next_action_at > followed.happened_at + followed.call_length
            + {{ seconds('rules.trace_minutes * 60') }}
        ) as untraced_count
    from followed
    cross join rules
    inner join dates
        on followed.started_on = dates.date_day
    group by followed.employee_key, dates.month_start_on
),

-- A card changed on a day on which the person had no call with it.
changed_cards as (
    select
        reporting_employee_key as employee_key,
        acted_on,
        card_key
    from actions
    where action_type in ('card_changed', 'stage_move')
    group by reporting_employee_key, acted_on, card_key
),

called_cards as (
    select
        reporting_employee_key as employee_key,
        started_on,
        card_key
    from calls
    where card_key is not null
    group by reporting_employee_key, started_on, card_key
),

changes as (
    select
        changed_cards.employee_key,
        dates.month_start_on,
        count(*) as changes_count,
        count(*) filter (where called_cards.card_key is null) as uncalled_count
    from changed_cards
    inner join dates
        on changed_cards.acted_on = dates.date_day
    left join called_cards
        on changed_cards.employee_key = called_cards.employee_key
        and changed_cards.acted_on = called_cards.started_on
        and changed_cards.card_key = called_cards.card_key
    group by changed_cards.employee_key, dates.month_start_on
),

texts as (
    select
        {{ reporting_key('employees', 'days.date_day', 'comments.employee_key') }}
            as employee_key,
        dates.month_start_on,
        comments.text_key,
        bool_and(coalesce(comments.text_length, 0) = 0) as is_empty,
        count(*) as comments_count
    from comments
    inner join days
        on comments.written_at::date = days.utc_on
        and comments.written_at >= days.starts_at
        and comments.written_at < days.ends_at
    inner join dates
        on days.date_day = dates.date_day
    left join employees
        on comments.employee_key = employees.employee_key
    group by all
),

comment_months as (
    select
        texts.employee_key,
        texts.month_start_on,
        sum(texts.comments_count) as comments_count,
        coalesce(sum(texts.comments_count) filter (where texts.is_empty), 0) as empty_count,
        coalesce(sum(texts.comments_count) filter (
            where not texts.is_empty and texts.comments_count >= rules.canned_repeats
        ), 0) as canned_count
    from texts
    cross join rules
    group by texts.employee_key, texts.month_start_on
),

habits as (
    select
        months_looked_at.*,
        coalesce(traces.calls_count, 0) as calls_count,
        coalesce(traces.untraced_count, 0) as untraced_count,
        coalesce(changes.changes_count, 0) as changes_count,
        coalesce(changes.uncalled_count, 0) as uncalled_count,
        coalesce(comment_months.comments_count, 0) as comments_count,
        coalesce(comment_months.empty_count, 0) as empty_count,
        coalesce(comment_months.canned_count, 0) as canned_count,
        median(traces.untraced_count / nullif(traces.calls_count, 0)::double)
            over (partition by months_looked_at.month_start_on) as untraced_median,
        median(changes.uncalled_count / nullif(changes.changes_count, 0)::double)
            over (partition by months_looked_at.month_start_on) as uncalled_median
    from months_looked_at
    left join traces
        on months_looked_at.employee_key = traces.employee_key
        and months_looked_at.month_start_on = traces.month_start_on
    left join changes
        on months_looked_at.employee_key = changes.employee_key
        and months_looked_at.month_start_on = changes.month_start_on
    left join comment_months
        on months_looked_at.employee_key = comment_months.employee_key
        and months_looked_at.month_start_on = comment_months.month_start_on
),

signals as (
    select
        'short_calls' as signal_name,
        short_calls.starts_on,
        short_calls.ends_on,
        short_calls.employee_key,
        short_calls.short_count as numerator,
        short_calls.outbound_count as denominator,
        short_calls.earlier_short_count as second_numerator,
        short_calls.earlier_outbound_count as second_denominator,
        rules.short_calls_factor * short_calls.earlier_short_count
        / nullif(short_calls.earlier_outbound_count, 0)::double as limit_value,
        null::double as second_limit_value,
        short_calls.short_count as cases_count,
        rules.signal_cases_min as cases_min
    from short_calls
    cross join rules
    union all
    select
        'record_months' as signal_name,
        records_running.month_start_on as starts_on,
        records_running.month_end_on as ends_on,
        records_running.employee_key,
        records_running.won_amount as numerator,
        records_running.best_amount as denominator,
        records_running.months_running as second_numerator,
        1 as second_denominator,
        1 as limit_value,
        2 as second_limit_value,
        records_running.earlier_months_count as cases_count,
        rules.record_months_min as cases_min
    from records_running
    cross join rules
    inner join months_looked_at
        on records_running.employee_key = months_looked_at.employee_key
        and records_running.month_start_on = months_looked_at.month_start_on
    union all
    select
        'few_calls_many_wins' as signal_name,
        compared_months.month_start_on as starts_on,
        compared_months.month_end_on as ends_on,
        compared_months.employee_key,
        compared_months.calls_count as numerator,
        compared_months.calls_median as denominator,
        compared_months.won_count as second_numerator,
        compared_months.won_median as second_denominator,
        rules.few_calls_share as limit_value,
        rules.many_wins_share as second_limit_value,
        compared_months.sellers_count as cases_count,
        4 as cases_min
    from compared_months
    cross join rules
    inner join months_looked_at
        on compared_months.employee_key = months_looked_at.employee_key
        and compared_months.month_start_on = months_looked_at.month_start_on
    {% for signal_name, (counted, of_all, median_name) in {
        'calls_without_trace': ('untraced_count', 'calls_count', 'untraced_median'),
        'cards_changed_without_call': ('uncalled_count', 'changes_count', 'uncalled_median'),
    }.items() -%}
    union all
    select
        '{{ signal_name }}' as signal_name,
        habits.month_start_on as starts_on,
        habits.month_end_on as ends_on,
        habits.employee_key,
        habits.{{ counted }} as numerator,
        habits.{{ of_all }} as denominator,
        habits.{{ median_name }} as second_numerator,
        1 as second_denominator,
        rules.untraced_factor * habits.{{ median_name }} as limit_value,
        null as second_limit_value,
        habits.{{ counted }} as cases_count,
        rules.signal_cases_min as cases_min
    from habits
    cross join rules
    {% endfor -%}
    union all
    select
        'canned_comments' as signal_name,
        habits.month_start_on as starts_on,
        habits.month_end_on as ends_on,
        habits.employee_key,
        habits.empty_count + habits.canned_count as numerator,
        habits.comments_count as denominator,
        habits.empty_count as second_numerator,
        habits.comments_count as second_denominator,
        rules.canned_share as limit_value,
        null as second_limit_value,
        habits.comments_count as cases_count,
        rules.signal_cases_min as cases_min
    from habits
    cross join rules
),

measured as (
    select
        signal_name,
        starts_on,
        ends_on,
        employee_key,
        numerator::decimal(24, 4) as numerator,
        denominator::decimal(24, 4) as denominator,
        (numerator / nullif(denominator, 0))::double as measured_value,
        limit_value,
        second_numerator::decimal(24, 4) as second_numerator,
        second_denominator::decimal(24, 4) as second_denominator,
        (second_numerator / nullif(second_denominator, 0))::double as second_measured_value,
        second_limit_value,
        cases_count,
        cases_min
    from signals
)

select
    {{ hash_key(['measured.signal_name', 'measured.starts_on', 'measured.employee_key']) }}
        as signal_key,
    measured.signal_name,
    measured.starts_on,
    measured.ends_on,
    measured.employee_key as reporting_employee_key,
    sellers.employee_name,
    sellers.department_name,
    measured.numerator,
    measured.denominator,
    measured.measured_value,
    measured.limit_value::double as limit_value,
    measured.second_numerator,
    measured.second_denominator,
    measured.second_measured_value,
    measured.second_limit_value::double as second_limit_value,
    measured.cases_count::bigint as cases_count,
    case
        when measured.cases_count < measured.cases_min then 'none'
        when measured.cases_count < measured.cases_min * 2 then 'low'
        else 'normal'
    end as confidence,
    case
        when measured.cases_count < measured.cases_min then null
        when measured.signal_name = 'few_calls_many_wins'
            then
                measured.measured_value <= measured.limit_value
                and measured.second_measured_value >= measured.second_limit_value
        when measured.signal_name = 'record_months'
            then
                measured.measured_value > measured.limit_value
                and measured.second_measured_value >= measured.second_limit_value
        else measured.measured_value >= measured.limit_value
    end as is_raised
from measured
inner join sellers
    on measured.employee_key = sellers.employee_key
