-- R25: the cards behind every number, and what the numbers are made of: period tables, goals, norms
-- and scorecards sum these rows. Credit as SPEC says: entries to the owner at entry, wins and
-- payments to the owner at the win, losses to the owner at the loss, calls to the talker. What
-- describes now stands on the day of as-of, under whom reports name now.
with deals as (
    select * from {{ ref('fct_deals') }}
),

leads as (
    select * from {{ ref('fct_leads') }}
),

visits as (
    select * from {{ ref('fct_stage_visits') }}
),

closes as (
    select * from {{ ref('fct_deal_closes') }}
    where is_counted
),

calls as (
    select * from {{ ref('fct_calls') }}
    where is_external
),

touches as (
    select * from {{ ref('fct_touches') }}
),

payments as (
    select * from {{ ref('fct_payments') }}
),

open_cards as (
    select * from {{ ref('metric_open_cards__by_card') }}
),

pipelines as (
    select * from {{ ref('dim_pipelines') }}
),

stages as (
    select * from {{ ref('dim_stages') }}
),

connections as (
    select * from {{ ref('int_connections') }}
),

cards as (
    select
        deal_key as card_key,
        'deal' as card_type,
        card_url,
        client_key,
        source_name,
        company_amount as card_amount
    from deals
    union all
    select
        lead_key as card_key,
        'lead' as card_type,
        card_url,
        client_key,
        source_name,
        null as card_amount
    from leads
),

with_leads as (
    select source_key
    from leads
    group by source_key
),

work_visits as (
    select
        visits.*,
        pipelines.pipeline_role,
        {{ has_role('stages.stage_roles', 'key') }} as is_key_stage,
        {{ has_role('stages.stage_roles', 'qualified') }} as is_qualified_stage,
        {{ has_role('stages.stage_roles', 'proposal') }} as is_proposal_stage
    from visits
    inner join pipelines
        on visits.pipeline_key = pipelines.pipeline_key
        and pipelines.pipeline_role <> 'ignore'
    left join stages
        on visits.stage_key = stages.stage_key
),

first_visits as (
    select * from work_visits
    where visit_number = 1
),

-- Where a connection has no leads, a deal's first entry into a setter or sales pipeline is the
-- request, once per deal.
deal_requests as (
    select
        work_visits.card_key,
        work_visits.source_key,
        min_by(work_visits.pipeline_key, work_visits.visit_number) as pipeline_key,
        min_by(work_visits.stage_key, work_visits.visit_number) as stage_key,
        min_by(work_visits.reporting_employee_key, work_visits.visit_number)
            as reporting_employee_key,
        min_by(work_visits.entered_on, work_visits.visit_number) as requested_on
    from work_visits
    left join with_leads
        on work_visits.source_key = with_leads.source_key
    where
        with_leads.source_key is null
        and work_visits.card_type = 'deal'
        and work_visits.pipeline_role in ('sales', 'setter')
    group by work_visits.card_key, work_visits.source_key
),

deal_qualifications as (
    select
        card_key,
        min_by(pipeline_key, visit_number) as pipeline_key,
        min_by(stage_key, visit_number) as stage_key,
        min_by(reporting_employee_key, visit_number) as reporting_employee_key,
        min_by(entered_on, visit_number) as qualified_on
    from work_visits
    where is_qualified_stage and card_type = 'deal' and pipeline_role in ('sales', 'setter')
    group by card_key
),

lead_conversions as (
    select
        card_key,
        max_by(pipeline_key, visit_number) as pipeline_key,
        max_by(stage_key, visit_number) as stage_key,
        max_by(reporting_employee_key, visit_number) as reporting_employee_key
    from work_visits
    where card_type = 'lead' and stage_semantics = 'won'
    group by card_key
),

requests as (
    select
        leads.lead_key as card_key,
        leads.source_key,
        first_visits.pipeline_key,
        first_visits.stage_key,
        first_visits.reporting_employee_key,
        leads.created_on as requested_on,
        case when leads.lead_state = 'won' then leads.closed_on end as qualified_on,
        lead_conversions.pipeline_key as qualified_pipeline_key,
        lead_conversions.stage_key as qualified_stage_key,
        lead_conversions.reporting_employee_key as qualified_reporting_employee_key
    from leads
    inner join first_visits
        on leads.lead_key = first_visits.card_key
    left join lead_conversions
        on leads.lead_key = lead_conversions.card_key
    union all
    select
        deal_requests.card_key,
        deal_requests.source_key,
        deal_requests.pipeline_key,
        deal_requests.stage_key,
        deal_requests.reporting_employee_key,
        deal_requests.requested_on,
        deal_qualifications.qualified_on,
        deal_qualifications.pipeline_key as qualified_pipeline_key,
        deal_qualifications.stage_key as qualified_stage_key,
        deal_qualifications.reporting_employee_key as qualified_reporting_employee_key
    from deal_requests
    left join deal_qualifications
        on deal_requests.card_key = deal_qualifications.card_key
),

-- A request is handled with the first touch of a person.
handled_requests as (
    select
        requests.card_key,
        requests.source_key,
        requests.pipeline_key,
        requests.stage_key,
        min_by(touches.reporting_employee_key, (touches.touched_at, touches.touch_key))
            as reporting_employee_key,
        min_by(touches.touched_on, (touches.touched_at, touches.touch_key)) as handled_on
    from requests
    inner join touches
        on requests.card_key = touches.card_key
    group by
        requests.card_key, requests.source_key, requests.pipeline_key, requests.stage_key
),

created_deals as (
    select
        deals.*,
        first_visits.pipeline_key as first_pipeline_key,
        first_visits.stage_key as first_stage_key,
        first_visits.reporting_employee_key as first_reporting_employee_key,
        current_pipelines.pipeline_role as current_pipeline_role,
        case
            when deals.deal_state = 'won' and current_pipelines.pipeline_role = 'sales'
                then {{ seconds_between('deals.created_at', 'deals.closed_at') }}
        end as won_after_seconds
    from deals
    inner join first_visits
        on deals.deal_key = first_visits.card_key
    left join pipelines as current_pipelines
        on deals.pipeline_key = current_pipelines.pipeline_key
),

closed_deals as (
    select
        closes.*,
        pipelines.pipeline_role,
        deals.created_at,
        deals.company_amount,
        deals.is_repeat_client
    from closes
    inner join deals
        on closes.deal_key = deals.deal_key
    inner join pipelines
        on closes.pipeline_key = pipelines.pipeline_key
        and pipelines.pipeline_role <> 'ignore'
),

-- One row per thing that counts.
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

contributions as (
    {% for metric_name, contribution in {
        'calls': 'calls_count', 'successful_calls': 'successful_count',
        'talk_seconds': 'talk_seconds',
    }.items() -%}
    select
        '{{ metric_name }}' as metric_name,
        source_key,
        happened_on,
        pipeline_key,
        null::bigint as stage_key,
        reporting_employee_key,
        card_key,
        {{ contribution }}::decimal(24, 4) as contribution
    from call_days
    where {{ contribution }} <> 0
    union all
    {% endfor -%}
    select
        'requests' as metric_name,
        source_key,
        requested_on as happened_on,
        pipeline_key,
        stage_key,
        reporting_employee_key,
        card_key,
        1 as contribution
    from requests
    union all
    select
        'requests_handled' as metric_name,
        source_key,
        handled_on as happened_on,
        pipeline_key,
        stage_key,
        reporting_employee_key,
        card_key,
        1 as contribution
    from handled_requests
    union all
    select
        'requests_qualified_so_far' as metric_name,
        source_key,
        requested_on as happened_on,
        pipeline_key,
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
        coalesce(qualified_pipeline_key, pipeline_key) as pipeline_key,
        qualified_stage_key as stage_key,
        coalesce(qualified_reporting_employee_key, reporting_employee_key)
            as reporting_employee_key,
        card_key,
        1 as contribution
    from requests
    where qualified_on is not null
    {% for metric_name, condition in {
        'deals_created': 'true',
        'deals_created_for_new_clients': 'not is_repeat_client',
        'deals_created_for_repeat_clients': 'is_repeat_client',
        'deals_created_won_so_far': 'won_after_seconds is not null',
        'deals_created_open_so_far':
            "deal_state = 'open' and current_pipeline_role in ('sales', 'setter')",
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
        first_pipeline_key as pipeline_key,
        first_stage_key as stage_key,
        first_reporting_employee_key as reporting_employee_key,
        deal_key as card_key,
        1 as contribution
    from created_deals
    where {{ condition }}
    {% endfor -%}
    union all
    select
        'stage_entries' as metric_name,
        source_key,
        entered_on as happened_on,
        pipeline_key,
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
        ('won_cycle_seconds', 'won', seconds_between('created_at', 'closed_at')),
        ('lost', 'lost', '1'),
        ('lost_amount', 'lost', 'company_amount'),
    ] -%}
    union all
    select
        '{{ metric_name }}' as metric_name,
        source_key,
        closed_on as happened_on,
        pipeline_key,
        stage_key,
        reporting_employee_key,
        deal_key as card_key,
        {{ contribution }} as contribution
    from closed_deals
    where outcome = '{{ outcome }}'
    {% endfor -%}
    {% for metric_name, contribution in {
        'payments': '1', 'payment_amount': 'payments.company_amount',
    }.items() -%}
    union all
    select
        '{{ metric_name }}' as metric_name,
        payments.source_key,
        payments.paid_on as happened_on,
        deals.pipeline_key,
        null as stage_key,
        payments.reporting_employee_key,
        payments.deal_key as card_key,
        {{ contribution }} as contribution
    from payments
    left join deals
        on payments.deal_key = deals.deal_key
    {% endfor -%}
    {% for metric_name, touch_type in {'meetings': 'meeting', 'tasks_done': 'task'}.items() -%}
    union all
    select
        '{{ metric_name }}' as metric_name,
        touches.source_key,
        touches.touched_on as happened_on,
        coalesce(deals.pipeline_key, leads.pipeline_key) as pipeline_key,
        null as stage_key,
        touches.reporting_employee_key,
        touches.card_key,
        1 as contribution
    from touches
    left join deals
        on touches.card_key = deals.deal_key
    left join leads
        on touches.card_key = leads.lead_key
    where touches.touch_type = '{{ touch_type }}'
    {% endfor -%}
    {% for metric_name, contribution in {
        'open_cards': "case when open_cards.card_type = 'deal' then 1 end",
        'open_amount': 'open_cards.company_amount',
        'forgotten_cards': 'case when open_cards.is_forgotten then 1 end',
    }.items() -%}
    union all
    select
        '{{ metric_name }}' as metric_name,
        open_cards.source_key,
        connections.report_as_of_on as happened_on,
        open_cards.pipeline_key,
        open_cards.stage_key,
        open_cards.current_reporting_employee_key as reporting_employee_key,
        open_cards.card_key,
        {{ contribution }} as contribution
    from open_cards
    inner join connections
        on open_cards.source_key = connections.source_key
    {% endfor -%}
),

summed as (
    select
        metric_name,
        source_key,
        happened_on,
        pipeline_key,
        stage_key,
        reporting_employee_key,
        card_key,
        sum(contribution) as contribution
    from contributions
    where contribution is not null
    group by all
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
    -- Totals over pipelines count closes of sales only, and no creations of service pipelines.
    case
        when starts_with(summed.metric_name, 'won') or starts_with(summed.metric_name, 'lost')
            then pipelines.pipeline_role = 'sales'
        when starts_with(summed.metric_name, 'deals_created')
            then pipelines.pipeline_role in ('sales', 'setter')
        else true
    end as is_in_totals,
    summed.stage_key,
    summed.reporting_employee_key,
    cards.card_type,
    summed.card_key,
    cards.card_url,
    cards.client_key,
    coalesce(cards.source_name, '(no card)') as source_name,
    cards.card_amount,
    summed.contribution::decimal(24, 4) as contribution
from summed
left join pipelines
    on summed.pipeline_key = pipelines.pipeline_key
left join cards
    on summed.card_key = cards.card_key
