-- R14: what each person is recorded to have done on a day. Calls are the talker's, everything else
-- the actor's. Talk is split by where the card stood: first, middle and last third of the open
-- stages of its pipeline.
{{ config(materialized='touched_parts') }}

with calls as (
    select * from {{ ref('fct_calls') }}
    where is_external and {{ of_touched_activity('started_on') }}
),

actions as (
    select * from {{ ref('fct_crm_actions') }}
    where actor_kind = 'person' and {{ of_touched_activity('acted_on') }}
),

messages as (
    select * from {{ ref('fct_messages') }}
    where
        (is_session or direction <> 'inbound')
        and {{ of_touched_activity('sent_on') }}
),

touches as (
    select * from {{ ref('fct_touches') }}
    where {{ of_touched_activity('touched_on') }}
),

visits as (
    select * from {{ ref('fct_stage_visits') }}
    where {{ of_touched('moves', part_key(['source_key', 'entered_on'])) }}
),

stages as (
    select * from {{ ref('dim_stages') }}
),

employees as (
    select * from {{ ref('dim_employees') }}
),

stock as (
    select * from {{ ref('fct_open_pipeline') }}
    where {{ of_touched_activity('stock_on') }}
),

pipelines as (
    select * from {{ ref('dim_pipelines') }}
    where pipeline_role in ('sales', 'setter')
),

open_stages as (
    select
        stage_key,
        ceil(
            3.0 * row_number() over (partition by pipeline_key order by stage_position)
            / count(*) over (partition by pipeline_key)
        ) as third
    from stages
    where stage_semantics = 'open' and is_listed
),

call_days as (
    select
        calls.source_key,
        calls.started_on as active_on,
        calls.reporting_employee_key,
        count(*) as calls_count,
        count(*) filter (where calls.direction = 'inbound') as inbound_count,
        count(*) filter (where calls.direction = 'outbound') as outbound_count,
        count(*) filter (where calls.is_answered) as answered_count,
        count(*) filter (where calls.is_successful) as successful_count,
        count(*) filter (where calls.direction = 'outbound' and not calls.is_answered)
            as unanswered_outbound_count,
        sum(calls.talk_seconds) as talk_seconds,
        sum(calls.talk_seconds) filter (where open_stages.third = 1) as first_third_talk_seconds,
        sum(calls.talk_seconds) filter (where open_stages.third = 2) as middle_third_talk_seconds,
        sum(calls.talk_seconds) filter (where open_stages.third = 3) as last_third_talk_seconds
    from calls
    left join open_stages
        on calls.stage_key = open_stages.stage_key
    group by calls.source_key, calls.started_on, calls.reporting_employee_key
),

moves as (
    select
        {{ hash_key(["'stage_move'", 'visits.stage_visit_key']) }} as crm_action_key,
        stages.pipeline_key = previous_stages.pipeline_key
        and stages.stage_semantics <> 'lost'
        and stages.stage_position > previous_stages.stage_position as is_forward
    from visits
    inner join stages
        on visits.stage_key = stages.stage_key
    inner join stages as previous_stages
        on visits.previous_stage_key = previous_stages.stage_key
),

action_days as (
    select
        actions.source_key,
        actions.acted_on as active_on,
        actions.reporting_employee_key,
        count(*) filter (where actions.action_type = 'meeting') as meetings_count,
        count(*) filter (where actions.action_type = 'task_completed') as tasks_done_count,
        count(*) filter (where actions.action_type = 'stage_move') as stage_moves_count,
        count(*) filter (where actions.action_type = 'stage_move' and moves.is_forward)
            as forward_moves_count,
        count(*) filter (where actions.action_type = 'comment') as comments_count,
        count(distinct actions.card_key) filter (
            where actions.action_type in ('card_changed', 'stage_move')
        ) as changed_cards_count
    from actions
    left join moves
        on actions.crm_action_key = moves.crm_action_key
    group by actions.source_key, actions.acted_on, actions.reporting_employee_key
),

message_days as (
    select
        source_key,
        sent_on as active_on,
        reporting_employee_key,
        count(*) filter (where message_type = 'email') as emails_count,
        count(*) filter (where message_type = 'chat') as chats_count
    from messages
    group by source_key, sent_on, reporting_employee_key
),

touch_days as (
    select
        source_key,
        touched_on as active_on,
        reporting_employee_key,
        count(*) as touches_count
    from touches
    group by source_key, touched_on, reporting_employee_key
),

held as (
    select
        stock.source_key,
        stock.stock_on as active_on,
        stock.reporting_employee_key,
        sum(stock.open_deals_count) as open_deals_count
    from stock
    inner join pipelines
        on stock.pipeline_key = pipelines.pipeline_key
    group by stock.source_key, stock.stock_on, stock.reporting_employee_key
),

-- A call that came in and that nobody picked up is nothing that the person did.
recorded as (
    select
        source_key,
        started_on as active_on,
        reporting_employee_key,
        started_at as acted_at
    from calls
    where is_answered or direction = 'outbound'
    union all
    select
        source_key,
        acted_on as active_on,
        reporting_employee_key,
        acted_at
    from actions
),

timed as (
    select
        *,
        lag(acted_at) over (
            partition by source_key, active_on, reporting_employee_key
            order by acted_at
        ) as previous_acted_at
    from recorded
),

bounds as (
    select
        source_key,
        active_on,
        reporting_employee_key,
        min(acted_at) as first_action_at,
        max(acted_at) as last_action_at,
        max({{ seconds_between('previous_acted_at', 'acted_at') }}) as longest_pause_seconds
    from timed
    group by source_key, active_on, reporting_employee_key
),

days as (
    select
        source_key,
        active_on,
        reporting_employee_key
    from bounds
    union
    select
        source_key,
        active_on,
        reporting_employee_key
    from call_days
    union
    select
        source_key,
        active_on,
        reporting_employee_key
    from message_days
    union
    select
        source_key,
        active_on,
        reporting_employee_key
    from touch_days
),

counted as (
    select
        days.source_key,
        days.active_on,
        days.reporting_employee_key,
        coalesce(call_days.calls_count, 0) as calls_count,
        coalesce(call_days.inbound_count, 0) as inbound_count,
        coalesce(call_days.outbound_count, 0) as outbound_count,
        coalesce(call_days.answered_count, 0) as answered_count,
        coalesce(call_days.successful_count, 0) as successful_count,
        coalesce(call_days.unanswered_outbound_count, 0) as unanswered_outbound_count,
        coalesce(call_days.talk_seconds, 0) as talk_seconds,
        coalesce(call_days.first_third_talk_seconds, 0) as first_third_talk_seconds,
        coalesce(call_days.middle_third_talk_seconds, 0) as middle_third_talk_seconds,
        coalesce(call_days.last_third_talk_seconds, 0) as last_third_talk_seconds,
        coalesce(message_days.emails_count, 0) as emails_count,
        coalesce(message_days.chats_count, 0) as chats_count,
        coalesce(action_days.meetings_count, 0) as meetings_count,
        coalesce(action_days.tasks_done_count, 0) as tasks_done_count,
        coalesce(action_days.stage_moves_count, 0) as stage_moves_count,
        coalesce(action_days.forward_moves_count, 0) as forward_moves_count,
        coalesce(action_days.comments_count, 0) as comments_count,
        coalesce(action_days.changed_cards_count, 0) as changed_cards_count,
        coalesce(touch_days.touches_count, 0) as touches_count,
        -- Of former employees, on all days, the stock stands under one name, not under theirs.
        case
            when employees.employee_kind = 'person' and employees.former_from_on is null
                then coalesce(held.open_deals_count, 0)
        end as open_deals_count,
        employees.employee_name,
        employees.department_name,
        bounds.first_action_at,
        bounds.last_action_at,
        bounds.longest_pause_seconds
    from days
    inner join employees
        on days.reporting_employee_key = employees.employee_key
    left join held
        on days.source_key = held.source_key
        and days.active_on = held.active_on
        and days.reporting_employee_key = held.reporting_employee_key
    left join call_days
        on days.source_key = call_days.source_key
        and days.active_on = call_days.active_on
        and days.reporting_employee_key = call_days.reporting_employee_key
    left join action_days
        on days.source_key = action_days.source_key
        and days.active_on = action_days.active_on
        and days.reporting_employee_key = action_days.reporting_employee_key
    left join message_days
        on days.source_key = message_days.source_key
        and days.active_on = message_days.active_on
        and days.reporting_employee_key = message_days.reporting_employee_key
    left join touch_days
        on days.source_key = touch_days.source_key
        and days.active_on = touch_days.active_on
        and days.reporting_employee_key = touch_days.reporting_employee_key
    left join bounds
        on days.source_key = bounds.source_key
        and days.active_on = bounds.active_on
        and days.reporting_employee_key = bounds.reporting_employee_key
)

select
    {{ hash_key(['counted.source_key', 'counted.active_on', 'counted.reporting_employee_key']) }}
        as activity_day_key,
    counted.source_key,
    counted.active_on,
    counted.reporting_employee_key,
    counted.employee_name,
    counted.department_name,
    counted.calls_count::bigint as calls_count,
    counted.inbound_count::bigint as inbound_count,
    counted.outbound_count::bigint as outbound_count,
    counted.answered_count::bigint as answered_count,
    counted.successful_count::bigint as successful_count,
    counted.talk_seconds::bigint as talk_seconds,
    (counted.outbound_count / nullif(counted.calls_count, 0))::double as outbound_share,
    counted.first_third_talk_seconds::bigint as first_third_talk_seconds,
    counted.middle_third_talk_seconds::bigint as middle_third_talk_seconds,
    counted.last_third_talk_seconds::bigint as last_third_talk_seconds,
    counted.emails_count::bigint as emails_count,
    counted.chats_count::bigint as chats_count,
    counted.meetings_count::bigint as meetings_count,
    counted.tasks_done_count::bigint as tasks_done_count,
    counted.stage_moves_count::bigint as stage_moves_count,
    counted.forward_moves_count::bigint as forward_moves_count,
    counted.comments_count::bigint as comments_count,
    counted.changed_cards_count::bigint as changed_cards_count,
    counted.touches_count::bigint as touches_count,
    counted.open_deals_count::bigint as open_deals_count,
    (counted.touches_count / nullif(counted.open_deals_count, 0))::double as touches_per_open_deal,
    counted.first_action_at,
    counted.last_action_at,
    counted.longest_pause_seconds::double as longest_pause_seconds,
    -- SPEC R14: 3 a successful call, 1 another answered one, 0.3 an attempt, 1 a message, 5 a
    -- meeting, 1 a task, 1 a move forward. Attempts go out: a missed call earns nobody anything.
    (
        3 * counted.successful_count
        + (counted.answered_count - counted.successful_count)
        + 0.3 * counted.unanswered_outbound_count
        + counted.emails_count + counted.chats_count
        + 5 * counted.meetings_count
        + counted.tasks_done_count
        + counted.forward_moves_count
    )::decimal(18, 1)::double as activity_points
from counted
