-- Q6, Q10 to Q12, Q14, Q17 and Q20: what cards lack or contradict.
{% set required = {
    'owner': 'cards.owner_employee_key = ' ~ nobody_key(),
    'client': 'cards.client_key is null',
    'source': "coalesce(cards.source_name, '(not set)') = '(not set)'",
    'grade': "coalesce(cards.client_grade, '(not set)') = '(not set)'",
    'product': "coalesce(cards.product_name, '(not set)') = '(not set)'",
} %}

with deals as (
    select * from {{ ref('fct_deals') }}
),

leads as (
    select * from {{ ref('fct_leads') }}
),

tasks as (
    select * from {{ ref('fct_tasks') }}
),

visits as (
    select * from {{ ref('fct_stage_visits') }}
),

payments as (
    select * from {{ ref('fct_payments') }}
),

stages as (
    select * from {{ ref('dim_stages') }}
),

pipelines as (
    select * from {{ ref('dim_pipelines') }}
),

employees as (
    select * from {{ ref('dim_employees') }}
),

system_deals as (
    select * from {{ ref('int_deals') }}
),

mass_moves as (
    select * from {{ ref('int_mass_moves') }}
),

moves as (
    select * from {{ ref('int_stage_moves') }}
),

connections as (
    select * from {{ ref('int_connections') }}
),

rules as (
    select * from {{ ref('stg_company__rules') }}
),

required_fields as (
    select * from {{ ref('stg_company__required_card_fields') }}
),

q6_stage_disagrees as (
    select
        'Q6' as rule_id,
        'stage_is_not_the_last_of_history' as finding,
        deals.source_key,
        'deal' as entity,
        deals.deal_id::varchar as record_id,
        deals.owner_employee_key as employee_key,
        deals.card_url,
        {{ facts({
            'record': 'deals.deal_id',
            'stage': "coalesce(card_stages.stage_name, '?')",
            'history_stage': 'history_stages.stage_name',
        }) }} as facts
    from deals
    inner join system_deals
        on deals.deal_key = system_deals.deal_key
    inner join connections
        on deals.source_key = connections.source_key
    inner join stages as history_stages
        on deals.stage_key = history_stages.stage_key
    left join stages as card_stages
        on system_deals.stage_key = card_stages.stage_key
    where
        deals.stage_key <> system_deals.stage_key
        and history_stages.stage_id <> '(unknown)'
        -- Cards moved after the cut are ahead of their history for a good reason.
        and (system_deals.moved_at is null or system_deals.moved_at <= connections.as_of_at)
),

q10_wins_without_amount as (
    select
        'Q10' as rule_id,
        'win_without_amount' as finding,
        source_key,
        'deal' as entity,
        deal_id::varchar as record_id,
        close_owner_employee_key as employee_key,
        card_url,
        {{ facts({'record': 'deal_id'}) }} as facts
    from deals
    where deal_state = 'won' and coalesce(amount, 0) = 0
),

-- Cards of ignored pipelines stand in no report: nothing is asked of them.
cards as (
    select
        deals.source_key,
        'deal' as entity,
        deals.deal_id as record_id,
        deals.pipeline_key,
        deals.owner_employee_key,
        deals.client_key,
        deals.source_name,
        deals.client_grade,
        deals.product_name,
        deals.card_url
    from deals
    where deals.deal_state in ('open', 'won')
    union all
    select
        leads.source_key,
        'lead' as entity,
        leads.lead_id as record_id,
        leads.pipeline_key,
        leads.owner_employee_key,
        leads.client_key,
        leads.source_name,
        leads.client_grade,
        leads.product_name,
        leads.card_url
    from leads
    where leads.lead_state = 'open'
),

q11_lacking as (
    {% for card_field, is_lacking in required.items() %}
    select
        'Q11' as rule_id,
        cards.entity || '_without_{{ card_field }}' as finding,
        cards.source_key,
        cards.entity,
        cards.record_id::varchar as record_id,
        cards.owner_employee_key as employee_key,
        cards.card_url,
        {{ facts({'record': 'cards.record_id'}) }} as facts
    from cards
    inner join pipelines
        on cards.pipeline_key = pipelines.pipeline_key
        and pipelines.pipeline_role <> 'ignore'
    inner join required_fields
        on required_fields.card_field = '{{ card_field }}'
    where {{ is_lacking }}
    {{ 'union all' if not loop.last }}
    {% endfor %}
),

q12_history_out_of_time as (
    select
        'Q12' as rule_id,
        visits.card_type || '_stage_before_creation' as finding,
        visits.source_key,
        visits.card_type as entity,
        coalesce(deals.deal_id, leads.lead_id)::varchar as record_id,
        coalesce(deals.owner_employee_key, leads.owner_employee_key) as employee_key,
        coalesce(deals.card_url, leads.card_url) as card_url,
        {{ facts({'record': 'coalesce(deals.deal_id, leads.lead_id)'}) }} as facts
    from visits
    left join deals
        on visits.deal_key = deals.deal_key
    left join leads
        on visits.lead_key = leads.lead_key
    where visits.was_before_creation
    group by
        visits.source_key, visits.card_type, deals.deal_id, leads.lead_id,
        deals.owner_employee_key, leads.owner_employee_key, deals.card_url, leads.card_url
),

q14_mass_moves as (
    select
        'Q14' as rule_id,
        'mass_move' as finding,
        moves.source_key,
        'stage' as entity,
        pipelines.pipeline_id || '/' || stages.stage_id || ' ' || visits.entered_on
        || coalesce(' ' || employees.employee_id, '') as record_id,
        moves.mover_employee_key as employee_key,
        null::varchar as card_url,
        {{ facts({
            'count': 'count(*)',
            'stage': 'stages.stage_name',
            'pipeline': 'pipelines.pipeline_name',
            'day': 'visits.entered_on',
            'employee': "coalesce(employees.employee_name, '?')",
            'least': 'any_value(rules.mass_move_cards)',
            'minutes': 'any_value(rules.mass_move_minutes)',
        }) }} as facts
    from mass_moves
    inner join moves
        on mass_moves.stage_visit_key = moves.stage_visit_key
    inner join visits
        on mass_moves.stage_visit_key = visits.stage_visit_key
    inner join stages
        on moves.stage_key = stages.stage_key
    inner join pipelines
        on stages.pipeline_key = pipelines.pipeline_key
    cross join rules
    left join employees
        on moves.mover_employee_key = employees.employee_key
    group by
        moves.source_key, pipelines.pipeline_id, pipelines.pipeline_name, stages.stage_id,
        stages.stage_name, visits.entered_on, moves.mover_employee_key, employees.employee_id,
        employees.employee_name
),

unconverted as (
    select
        source_key,
        'deals' as entity,
        currency_code
    from deals
    where amount <> 0 and company_amount is null
    union all
    select
        source_key,
        'payments' as entity,
        currency_code
    from payments
    where amount <> 0 and company_amount is null
),

q17_currency_without_rate as (
    select
        'Q17' as rule_id,
        'currency_without_rate' as finding,
        source_key,
        entity,
        coalesce(currency_code, '(none)') as record_id,
        null::bigint as employee_key,
        null::varchar as card_url,
        {{ facts({
            'currency': "coalesce(currency_code, '(none)')",
            'entity': 'entity',
            'count': 'count(*)',
        }) }} as facts
    from unconverted
    group by source_key, entity, currency_code
),

open_tasks_of_deals as (
    select
        deal_key,
        count(*) as tasks_count
    from tasks
    where not is_completed and deal_key is not null
    group by deal_key
),

open_tasks_of_leads as (
    select
        lead_key,
        count(*) as tasks_count
    from tasks
    where not is_completed and lead_key is not null and deal_key is null
    group by lead_key
),

q20_closed_with_open_tasks as (
    select
        'Q20' as rule_id,
        'closed_deal_with_open_tasks' as finding,
        deals.source_key,
        'deal' as entity,
        deals.deal_id::varchar as record_id,
        deals.owner_employee_key as employee_key,
        deals.card_url,
        {{ facts({
            'record': 'deals.deal_id',
            'count': 'open_tasks_of_deals.tasks_count',
        }) }} as facts
    from deals
    inner join open_tasks_of_deals
        on deals.deal_key = open_tasks_of_deals.deal_key
    where deals.deal_state <> 'open'
    union all
    select
        'Q20' as rule_id,
        'closed_lead_with_open_tasks' as finding,
        leads.source_key,
        'lead' as entity,
        leads.lead_id::varchar as record_id,
        leads.owner_employee_key as employee_key,
        leads.card_url,
        {{ facts({
            'record': 'leads.lead_id',
            'count': 'open_tasks_of_leads.tasks_count',
        }) }} as facts
    from leads
    inner join open_tasks_of_leads
        on leads.lead_key = open_tasks_of_leads.lead_key
    where leads.lead_state <> 'open'
)

select * from q6_stage_disagrees
union all
select * from q10_wins_without_amount
union all
select * from q11_lacking
union all
select * from q12_history_out_of_time
union all
select * from q14_mass_moves
union all
select * from q17_currency_without_rate
union all
select * from q20_closed_with_open_tasks
