-- R25: the cards behind every number, and what the numbers are made of: period tables, goals, norms
-- and scorecards sum these rows. Credit as SPEC says: entries to the owner at entry, wins and
-- payments to the owner at the win, losses to the owner at the loss, calls to the talker. What
-- describes now stands on the day of as-of, under whom reports name now.
{{ config(materialized='touched_parts') }}

with cards as (
    select * from {{ ref('dim_cards') }}
),

requests as (
    select * from {{ ref('fct_requests') }}
    where {{ of_touched('events', card_or_day('card_key', 'requested_on')) }}
),

creations as (
    select * from {{ ref('fct_deal_creations') }}
    where {{ of_touched('events', card_or_day('deal_key', 'created_on')) }}
),

visits as (
    select * from {{ ref('fct_stage_visits') }}
    where {{ of_touched('events', card_or_day('card_key', 'entered_on')) }}
),

closes as (
    select * from {{ ref('fct_deal_closes') }}
    where
        is_counted
        and {{ of_touched('events', card_or_day('deal_key', 'closed_on')) }}
),

calls as (
    select * from {{ ref('fct_calls') }}
    where
        is_external
        and {{ of_touched('events', card_or_day('card_key', 'started_on')) }}
),

touches as (
    select * from {{ ref('fct_touches') }}
    where
        touch_type in ('meeting', 'task')
        and {{ of_touched('events', card_or_day('card_key', 'touched_on')) }}
),

payments as (
    select * from {{ ref('fct_payments') }}
    where {{ of_touched('events', card_or_day('deal_key', 'paid_on')) }}
),

open_cards as (
    select * from {{ ref('metric_open_cards__by_card') }}
    where {{ of_touched('now', 'card_key') }}
),

pipelines as (
    select * from {{ ref('dim_pipelines') }}
),

stages as (
    select * from {{ ref('dim_stages') }}
),

work_visits as (
    select
        visits.*,
        {{ has_role('stages.stage_roles', 'key') }} as is_key_stage,
        {{ has_role('stages.stage_roles', 'proposal') }} as is_proposal_stage
    from visits
    inner join pipelines
        on visits.pipeline_key = pipelines.pipeline_key
        and pipelines.pipeline_role <> 'ignore'
    left join stages
        on visits.stage_key = stages.stage_key
),

created_deals as (
    select creations.*
    from creations
    inner join pipelines
        on creations.pipeline_key = pipelines.pipeline_key
        and pipelines.pipeline_role <> 'ignore'
),

closed_deals as (
    select
        closes.*,
        cards.is_repeat_client
    from closes
    inner join cards
        on closes.deal_key = cards.card_key
    inner join pipelines
        on closes.pipeline_key = pipelines.pipeline_key
        and pipelines.pipeline_role <> 'ignore'
),

call_days as (
    select
        source_key,
        started_on as happened_on,
        pipeline_key,
        reporting_employee_key,
        card_key,
        count(*) as calls_count,
        count(*) filter (where is_successful) as successful_count,
        sum(talk_seconds) as talk_seconds
    from calls
    group by source_key, started_on, pipeline_key, reporting_employee_key, card_key
),

-- One row per metric, day and card already: calls are summed above, and a deal is created once.
-- Grouped with the others they would be most of what has to fit into memory.
single_contributions as (
    {% for metric_name, contribution in {
        'calls': 'calls_count', 'successful_calls': 'successful_count',
        'talk_seconds': 'talk_seconds',
    }.items() -%}
    select
        '{{ metric_name }}' as metric_name,
        source_key,
        happened_on,
        pipeline_key,
        true as is_in_totals,
        null::bigint as stage_key,
        reporting_employee_key,
        card_key,
        {{ contribution }}::decimal(24, 4) as contribution
    from call_days
    where {{ contribution }} <> 0
    {{ 'union all' if not loop.last }}
    {% endfor -%}
    {% for metric_name, condition in {
        'deals_created': 'true',
        'deals_created_for_new_clients': 'not is_repeat_client',
        'deals_created_for_repeat_clients': 'is_repeat_client',
        'deals_created_won_so_far': 'is_won',
        'deals_created_open_so_far': 'is_in_work',
        'deals_created_won_in_30_days': 'won_after_seconds <= 30 * 86400',
        'deals_created_won_in_60_days': 'won_after_seconds <= 60 * 86400',
        'deals_created_won_in_90_days': 'won_after_seconds <= 90 * 86400',
        'deals_created_won_in_180_days': 'won_after_seconds <= 180 * 86400',
        'deals_created_won_in_365_days': 'won_after_seconds <= 365 * 86400',
    }.items() -%}
    union all
    select
        '{{ metric_name }}' as metric_name,
        source_key,
        created_on as happened_on,
        pipeline_key,
        is_in_totals,
        stage_key,
        reporting_employee_key,
        deal_key as card_key,
        1 as contribution
    from created_deals
    where {{ condition }}
    {% endfor -%}
),

-- One row per thing that counts: several of a day, card and metric are added up.
other_contributions as (
    select
        'requests' as metric_name,
        source_key,
        requested_on as happened_on,
        pipeline_key,
        true as is_in_totals,
        stage_key,
        reporting_employee_key,
        card_key,
        1::decimal(24, 4) as contribution
    from requests
    union all
    select
        'requests_handled' as metric_name,
        source_key,
        handled_on as happened_on,
        pipeline_key,
        true as is_in_totals,
        stage_key,
        handled_reporting_employee_key as reporting_employee_key,
        card_key,
        1 as contribution
    from requests
    where handled_on is not null
    union all
    select
        'requests_qualified_so_far' as metric_name,
        source_key,
        requested_on as happened_on,
        pipeline_key,
        true as is_in_totals,
        stage_key,
        reporting_employee_key,
        card_key,
        1 as contribution
    from requests
    where qualified_on is not null
    union all
    select
        'qualified' as metric_name,
        source_key,
        qualified_on as happened_on,
        qualified_pipeline_key as pipeline_key,
        true as is_in_totals,
        qualified_stage_key as stage_key,
        qualified_reporting_employee_key as reporting_employee_key,
        card_key,
        1 as contribution
    from requests
    where qualified_on is not null
    union all
    select
        'stage_entries' as metric_name,
        source_key,
        entered_on as happened_on,
        pipeline_key,
        true as is_in_totals,
        stage_key,
        reporting_employee_key,
        card_key,
        1 as contribution
    from work_visits
    {% for metric_name, condition in {
        'key_stage_entries': 'is_key_stage', 'proposals': 'is_proposal_stage',
    }.items() -%}
    union all
    select
        '{{ metric_name }}' as metric_name,
        source_key,
        entered_on as happened_on,
        pipeline_key,
        true as is_in_totals,
        stage_key,
        reporting_employee_key,
        card_key,
        1 as contribution
    from work_visits
    where {{ condition }}
    {% endfor -%}
    {% for metric_name, outcome, contribution in [
        ('won', 'won', '1'),
        ('won_amount', 'won', 'company_amount'),
        ('won_with_amount', 'won', 'case when company_amount > 0 then 1 end'),
        ('won_for_new_clients', 'won', 'case when not is_repeat_client then 1 end'),
        ('won_for_repeat_clients', 'won', 'case when is_repeat_client then 1 end'),
        ('won_cycle_seconds', 'won', 'cycle_seconds'),
        ('lost', 'lost', '1'),
        ('lost_amount', 'lost', 'company_amount'),
    ] -%}
    union all
    select
        '{{ metric_name }}' as metric_name,
        source_key,
        closed_on as happened_on,
        pipeline_key,
        is_in_totals,
        stage_key,
        reporting_employee_key,
        deal_key as card_key,
        {{ contribution }} as contribution
    from closed_deals
    where outcome = '{{ outcome }}'
    {% endfor -%}
    {% for metric_name, contribution in {
        'payments': '1', 'payment_amount': 'company_amount',
    }.items() -%}
    union all
    select
        '{{ metric_name }}' as metric_name,
        source_key,
        paid_on as happened_on,
        pipeline_key,
        true as is_in_totals,
        null as stage_key,
        reporting_employee_key,
        deal_key as card_key,
        {{ contribution }} as contribution
    from payments
    {% endfor -%}
    {% for metric_name, touch_type in {'meetings': 'meeting', 'tasks_done': 'task'}.items() -%}
    union all
    select
        '{{ metric_name }}' as metric_name,
        touches.source_key,
        touches.touched_on as happened_on,
        cards.pipeline_key,
        true as is_in_totals,
        null as stage_key,
        touches.reporting_employee_key,
        touches.card_key,
        1 as contribution
    from touches
    left join cards
        on touches.card_key = cards.card_key
    where touches.touch_type = '{{ touch_type }}'
    {% endfor -%}
    {% for metric_name, contribution in {
        'open_cards': "case when card_type = 'deal' then 1 end",
        'open_amount': 'company_amount',
        'forgotten_cards': 'case when is_forgotten then 1 end',
    }.items() -%}
    union all
    select
        '{{ metric_name }}' as metric_name,
        source_key,
        counted_on as happened_on,
        pipeline_key,
        true as is_in_totals,
        stage_key,
        current_reporting_employee_key as reporting_employee_key,
        card_key,
        {{ contribution }} as contribution
    from open_cards
    {% endfor -%}
),

summed as (
    select
        metric_name,
        source_key,
        happened_on,
        pipeline_key,
        is_in_totals,
        stage_key,
        reporting_employee_key,
        card_key,
        sum(contribution) as contribution
    from other_contributions
    where contribution is not null
    group by all
    union all
    select * from single_contributions
)

select
    {{ hash_key([
        'summed.metric_name', 'summed.source_key', 'summed.happened_on',
        "coalesce(summed.pipeline_key, 0)", "coalesce(summed.stage_key, 0)",
        'summed.reporting_employee_key', "coalesce(summed.card_key, 0)",
    ]) }} as card_metric_key,
    summed.metric_name,
    summed.source_key,
    summed.happened_on,
    summed.pipeline_key,
    summed.is_in_totals,
    summed.stage_key,
    summed.reporting_employee_key,
    cards.card_type,
    summed.card_key,
    cards.card_url,
    cards.client_key,
    coalesce(cards.source_name, '(no card)') as source_name,
    cards.company_amount as card_amount,
    summed.contribution::decimal(24, 4) as contribution
from summed
left join cards
    on summed.card_key = cards.card_key
