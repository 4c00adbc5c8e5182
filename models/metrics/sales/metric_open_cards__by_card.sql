-- R9 and R10: what is in work now. Chances are those of the deals that visited the card's stage and
-- closed in the last twelve months; under 30 of them, those of the whole pipeline. Cards of sales
-- and setter pipelines, and open leads.
with deals as (
    select * from {{ ref('fct_deals') }}
    where deal_state = 'open'
),

leads as (
    select * from {{ ref('fct_leads') }}
    where lead_state = 'open'
),

pipelines as (
    select * from {{ ref('dim_pipelines') }}
    where pipeline_role in ('sales', 'setter', 'lead')
),

stages as (
    select * from {{ ref('dim_stages') }}
),

employees as (
    select * from {{ ref('dim_employees') }}
),

calls as (
    select * from {{ ref('fct_calls') }}
    where is_external and card_key is not null
),

touches as (
    select * from {{ ref('fct_touches') }}
    where card_key is not null
),

actions as (
    select * from {{ ref('fct_crm_actions') }}
    where action_type in ('card_created', 'card_changed', 'stage_move')
),

tasks as (
    select * from {{ ref('fct_tasks') }}
    where not is_completed and card_key is not null
),

visits as (
    select * from {{ ref('fct_stage_visits') }}
    where card_type = 'deal' and stage_semantics = 'open'
),

closes as (
    select * from {{ ref('fct_deal_closes') }}
    where is_counted
),

connections as (
    select * from {{ ref('int_connections') }}
),

rules as (
    select * from {{ ref('stg_company__report_rules') }}
),

open_cards as (
    select
        deal_key as card_key,
        'deal' as card_type,
        source_key,
        card_url,
        client_key,
        pipeline_key,
        stage_key,
        stage_entered_at,
        created_at,
        current_reporting_employee_key,
        source_name,
        product_name,
        client_grade,
        company_amount,
        planned_close_at
    from deals
    union all
    select
        lead_key as card_key,
        'lead' as card_type,
        source_key,
        card_url,
        client_key,
        pipeline_key,
        stage_key,
        stage_entered_at,
        created_at,
        current_reporting_employee_key,
        source_name,
        product_name,
        client_grade,
        null as company_amount,
        null as planned_close_at
    from leads
),

last_calls as (
    select
        card_key,
        max(started_at) as last_call_at
    from calls
    group by card_key
),

last_touches as (
    select
        card_key,
        max(touched_at) as last_touch_at
    from touches
    group by card_key
),

last_changes as (
    select
        card_key,
        max(acted_at) as last_change_at
    from actions
    group by card_key
),

planned as (
    select
        card_key,
        count(*) as planned_tasks_count,
        min(deadline_at) as next_deadline_at,
        min_by(task_key, (coalesce(deadline_at, {{ end_of_time() }}), task_key)) as next_task_key
    from tasks
    group by card_key
),

-- Deals closed in the twelve months before as-of, once for each stage that they visited.
closed as (
    select
        closes.deal_key,
        closes.pipeline_key,
        closes.outcome,
        closes.closed_at
    from closes
    inner join connections
        on closes.source_key = connections.source_key
        and closes.closed_at > connections.as_of_at - interval 12 months
),

visited as (
    select
        closed.deal_key,
        closed.pipeline_key,
        closed.outcome,
        visits.stage_key,
        min({{ seconds_between('visits.entered_at', 'closed.closed_at') }}) as seconds_to_close
    from closed
    inner join visits
        on closed.deal_key = visits.deal_key
        and closed.pipeline_key = visits.pipeline_key
    where visits.entered_at <= closed.closed_at
    group by closed.deal_key, closed.pipeline_key, closed.outcome, visits.stage_key
),

by_stage as (
    select
        stage_key,
        count(*) as closed_count,
        count(*) filter (where outcome = 'won') as won_count,
        median(seconds_to_close) filter (where outcome = 'won') as won_seconds_median
    from visited
    group by stage_key
),

by_pipeline as (
    select
        pipeline_key,
        count(*) as closed_count,
        count(*) filter (where outcome = 'won') as won_count
    from closed
    group by pipeline_key
),

-- Of a whole pipeline: from any of its stages to the win.
by_pipeline_stays as (
    select
        pipeline_key,
        median(seconds_to_close) filter (where outcome = 'won') as won_seconds_median
    from visited
    group by pipeline_key
),

described as (
    select
        open_cards.*,
        connections.as_of_at,
        connections.report_as_of_on,
        rules.forgotten_days,
        pipelines.pipeline_name,
        stages.stage_name,
        stages.stage_position,
        coalesce({{ has_role('stages.stage_roles', 'key') }}, false) as is_on_key_stage,
        coalesce(
            {% for role in ['proposal', 'contract', 'invoice'] -%}
            {{ has_role('stages.stage_roles', role) }}{{ ' or ' if not loop.last }}
            {%- endfor %},
            false
        ) as is_to_push,
        {{ seconds_between('open_cards.stage_entered_at', 'connections.as_of_at') }}
            as stage_seconds,
        last_changes.last_change_at,
        last_calls.last_call_at,
        last_touches.last_touch_at,
        coalesce(planned.planned_tasks_count, 0) as planned_tasks_count,
        planned.next_task_key,
        planned.next_deadline_at,
        coalesce(by_stage.closed_count >= 30, false) as is_chance_of_stage,
        coalesce(by_stage.won_count >= 30, false) as is_time_of_stage,
        by_stage.closed_count as stage_closed_count,
        by_stage.won_count as stage_won_count,
        by_stage.won_seconds_median as stage_won_seconds_median,
        by_pipeline.closed_count as pipeline_closed_count,
        by_pipeline.won_count as pipeline_won_count,
        by_pipeline_stays.won_seconds_median as pipeline_won_seconds_median
    from open_cards
    inner join pipelines
        on open_cards.pipeline_key = pipelines.pipeline_key
    inner join connections
        on open_cards.source_key = connections.source_key
    cross join rules
    left join stages
        on open_cards.stage_key = stages.stage_key
    left join last_changes
        on open_cards.card_key = last_changes.card_key
    left join last_calls
        on open_cards.card_key = last_calls.card_key
    left join last_touches
        on open_cards.card_key = last_touches.card_key
    left join planned
        on open_cards.card_key = planned.card_key
    left join by_stage
        on open_cards.stage_key = by_stage.stage_key
        and open_cards.card_type = 'deal'
    left join by_pipeline
        on open_cards.pipeline_key = by_pipeline.pipeline_key
        and open_cards.card_type = 'deal'
    left join by_pipeline_stays
        on open_cards.pipeline_key = by_pipeline_stays.pipeline_key
        and open_cards.card_type = 'deal'
),

aged as (
    select
        *,
        {{ whole_days_between('stage_entered_at', 'as_of_at') }} as days_on_stage,
        {{ whole_days_between('last_change_at', 'as_of_at') }} as days_since_change,
        {{ whole_days_between('last_call_at', 'as_of_at') }} as days_since_call,
        {{ whole_days_between('last_touch_at', 'as_of_at') }} as days_since_touch,
        case when is_chance_of_stage then stage_won_count else pipeline_won_count end
            as weight_won_count,
        case when is_chance_of_stage then stage_closed_count else pipeline_closed_count end
            as weight_closed_count,
        case
            when is_time_of_stage then stage_won_seconds_median
            else pipeline_won_seconds_median
        end as won_seconds_median
    from described
),

weighed as (
    select
        *,
        (weight_won_count / nullif(weight_closed_count, 0))::double as weight_share,
        -- Engines differ in what is greater, nothing or 0.
        case
            when won_seconds_median is not null
                then
                    as_of_at
                    + {{ seconds('greatest(won_seconds_median - stage_seconds, 0)') }}
        end as reckoned_close_at,
        -- Bitrix24 fills the planned date by itself, a week from creation: that is nobody's plan.
        planned_close_at is not null
        and abs({{ seconds_between('created_at', 'planned_close_at') }} - 7 * 86400) > 86400
            as has_plan
    from aged
)

select
    weighed.card_key,
    weighed.card_type,
    weighed.source_key,
    weighed.report_as_of_on as counted_on,
    weighed.card_url,
    weighed.client_key,
    weighed.pipeline_key,
    weighed.pipeline_name,
    weighed.stage_key,
    weighed.stage_name,
    weighed.stage_position,
    weighed.current_reporting_employee_key,
    employees.employee_name,
    employees.department_name,
    weighed.source_name,
    weighed.product_name,
    weighed.client_grade,
    weighed.company_amount,
    weighed.created_at,
    weighed.stage_entered_at,
    weighed.days_on_stage,
    weighed.last_change_at,
    weighed.days_since_change,
    {{ days_band('weighed.days_since_change') }} as change_band,
    weighed.last_call_at,
    weighed.days_since_call,
    {{ days_band('weighed.days_since_call') }} as call_band,
    weighed.last_touch_at,
    weighed.days_since_touch,
    {{ days_band('weighed.days_since_touch') }} as touch_band,
    weighed.planned_tasks_count::bigint as planned_tasks_count,
    weighed.next_task_key,
    weighed.next_deadline_at,
    coalesce(weighed.next_deadline_at < weighed.as_of_at, false) as has_overdue_task,
    weighed.is_on_key_stage,
    weighed.is_on_key_stage
    and weighed.days_on_stage >= weighed.forgotten_days
    and coalesce(weighed.days_since_touch >= weighed.forgotten_days, true) as is_forgotten,
    case
        when weighed.has_plan then weighed.planned_close_at else weighed.reckoned_close_at
    end as expected_close_at,
    case
        when weighed.has_plan then 'planned'
        when weighed.reckoned_close_at is null then 'unknown'
        when weighed.is_time_of_stage then 'stage'
        else 'pipeline'
    end as expected_close_basis,
    coalesce(weighed.has_plan and weighed.planned_close_at < weighed.as_of_at, false)
        as is_overdue,
    weighed.weight_won_count::bigint as weight_won_count,
    weighed.weight_closed_count::bigint as weight_closed_count,
    weighed.weight_share,
    case
        when weighed.is_chance_of_stage then 'stage'
        when weighed.weight_share is not null then 'pipeline'
        else 'unknown'
    end as weight_basis,
    (weighed.weight_share * weighed.company_amount)::decimal(18, 2) as weighted_amount,
    case
        when weighed.is_to_push
            then rank() over (
                partition by
                    weighed.source_key, weighed.current_reporting_employee_key, weighed.is_to_push
                order by coalesce(weighed.weight_share * weighed.company_amount, 0) desc
            )
    end as push_rank
from weighed
left join employees
    on weighed.current_reporting_employee_key = employees.employee_key
