-- Q1 to Q3: what names people who have left, belongs to them, or happened under their accounts.
-- Q1 asks every fact that reports group by people, and is a defect of ours if it finds one.
{% set named = [
    ('fct_calls', 'call', 'reporting_employee_key', 'started_on', shown_call_id(), 'card_key'),
    ('fct_stage_visits', 'stage_visit', 'reporting_employee_key', 'entered_on', 'stage_visit_key',
        'card_key'),
    ('fct_deals', 'deal_created', 'reporting_employee_key', 'created_on', 'deal_id', 'deal_key'),
    ('fct_deals', 'deal_closed', 'close_reporting_employee_key', 'closed_on', 'deal_id',
        'deal_key'),
    ('fct_leads', 'lead_created', 'reporting_employee_key', 'created_on', 'lead_id', 'lead_key'),
    ('fct_deal_closes', 'deal_close', 'reporting_employee_key', 'closed_on', 'deal_close_key',
        'deal_key'),
    ('fct_tasks', 'task_created', 'reporting_employee_key', 'created_on', 'task_key', 'card_key'),
    ('fct_crm_actions', 'crm_action', 'reporting_employee_key', 'acted_on', 'crm_action_key',
        'card_key'),
    ('fct_touches', 'touch', 'reporting_employee_key', 'touched_on', 'touch_key', 'card_key'),
] %}
{% set named_now = [
    ('fct_deals', 'deal_now', 'deal_id', 'deal_key'),
    ('fct_leads', 'lead_now', 'lead_id', 'lead_key'),
    ('fct_tasks', 'task_now', 'task_key', 'card_key'),
] %}

with calls as (
    select
        *,
        {{ shown_call_id() }} as shown_id
    from {{ ref('fct_calls') }}
),

deals as (
    select * from {{ ref('fct_deals') }}
),

leads as (
    select * from {{ ref('fct_leads') }}
),

tasks as (
    select * from {{ ref('fct_tasks') }}
),

cards as (
    select * from {{ ref('dim_cards') }}
),

crm_actions as (
    select * from {{ ref('fct_crm_actions') }}
),

employees as (
    select * from {{ ref('dim_employees') }}
    where employee_kind in ('person', 'system')
),

former_employees as (
    select * from employees
    where former_from_on < date '9999-12-31'
),

q1_named as (
    {% for fact, entity, reporting_key, happened_on, record, card_key in named %}
    select
        'Q1' as rule_id,
        'names_a_dismissed_employee' as finding,
        facts.source_key,
        '{{ entity }}' as entity,
        ({{ record }})::varchar as record_id,
        facts.{{ reporting_key }} as employee_key,
        cards.card_url,
        {{ facts({'record': "'" ~ entity ~ " ' || " ~ record,
            'employee': 'former_employees.employee_name'}) }} as facts
    from {{ ref(fact) }} as facts
    inner join former_employees
        on facts.{{ reporting_key }} = former_employees.employee_key
    left join cards
        on facts.{{ card_key }} = cards.card_key
    where former_employees.former_from_on <= facts.{{ happened_on }}
    union all
    {% endfor %}
    {% for fact, entity, record, card_key in named_now %}
    select
        'Q1' as rule_id,
        'names_a_dismissed_employee' as finding,
        facts.source_key,
        '{{ entity }}' as entity,
        facts.{{ record }}::varchar as record_id,
        facts.current_reporting_employee_key as employee_key,
        cards.card_url,
        {{ facts({'record': "'" ~ entity ~ " ' || facts." ~ record,
            'employee': 'former_employees.employee_name'}) }} as facts
    from {{ ref(fact) }} as facts
    inner join former_employees
        on facts.current_reporting_employee_key = former_employees.employee_key
    left join cards
        on facts.{{ card_key }} = cards.card_key
    where former_employees.current_reporting_key <> former_employees.employee_key
    {{ 'union all' if not loop.last }}
    {% endfor %}
),

q2_open_deals as (
    select
        'Q2' as rule_id,
        'open_deal_of_a_former_employee' as finding,
        deals.source_key,
        'deal' as entity,
        deals.deal_id::varchar as record_id,
        deals.owner_employee_key as employee_key,
        deals.card_url,
        {{ facts({'record': 'deals.deal_id', 'employee': 'former_employees.employee_name'}) }}
            as facts
    from deals
    inner join former_employees
        on deals.owner_employee_key = former_employees.employee_key
    where
        deals.deal_state = 'open'
        and former_employees.current_reporting_key = {{ former_employees_key() }}
),

q2_open_leads as (
    select
        'Q2' as rule_id,
        'open_lead_of_a_former_employee' as finding,
        leads.source_key,
        'lead' as entity,
        leads.lead_id::varchar as record_id,
        leads.owner_employee_key as employee_key,
        leads.card_url,
        {{ facts({'record': 'leads.lead_id', 'employee': 'former_employees.employee_name'}) }}
            as facts
    from leads
    inner join former_employees
        on leads.owner_employee_key = former_employees.employee_key
    where
        leads.lead_state = 'open'
        and former_employees.current_reporting_key = {{ former_employees_key() }}
),

q2_open_tasks as (
    select
        'Q2' as rule_id,
        'open_task_of_a_former_employee' as finding,
        tasks.source_key,
        tasks.entity,
        tasks.record_id,
        tasks.owner_employee_key as employee_key,
        cards.card_url,
        {{ facts({'record': 'tasks.record_id', 'employee': 'former_employees.employee_name'}) }}
            as facts
    from tasks
    inner join former_employees
        on tasks.owner_employee_key = former_employees.employee_key
    left join cards
        on tasks.card_key = cards.card_key
    where
        not tasks.is_completed
        and former_employees.current_reporting_key = {{ former_employees_key() }}
),

-- Since when is not known: told once, and each of their calls as one under such an account.
q3_day_unknown as (
    select
        'Q3' as rule_id,
        'day_of_leaving_unknown' as finding,
        source_key,
        'employee' as entity,
        employee_id::varchar as record_id,
        employee_key,
        null::varchar as card_url,
        {{ facts({'employee': 'employee_name', 'record': 'employee_id'}) }} as facts
    from former_employees
    where former_from_on = date '1900-01-01'
),

q3_calls as (
    select
        'Q3' as rule_id,
        'call_of_a_former_employee' as finding,
        calls.source_key,
        'call' as entity,
        calls.shown_id as record_id,
        calls.talker_employee_key as employee_key,
        cards.card_url,
        {{ facts({
            'record': 'calls.shown_id',
            'day': 'calls.started_on',
            'employee': 'former_employees.employee_name',
            'former_from': "coalesce(former_employees.dismissed_on::varchar, '?')",
        }) }} as facts
    from calls
    inner join former_employees
        on calls.talker_employee_key = former_employees.employee_key
    left join cards
        on calls.card_key = cards.card_key
    where former_employees.former_from_on <= calls.started_on
),

-- What robots do under an account comes by the hundred: told once for the account.
q3_actions as (
    select
        'Q3' as rule_id,
        'actions_of_a_former_employee' as finding,
        former_employees.source_key,
        'employee' as entity,
        former_employees.employee_id::varchar as record_id,
        former_employees.employee_key,
        null::varchar as card_url,
        {{ facts({
            'employee': 'former_employees.employee_name',
            'count': 'count(*)',
            'former_from': 'former_employees.former_from_on',
            'last_on': 'max(crm_actions.acted_on)',
        }) }} as facts
    from crm_actions
    inner join former_employees
        on crm_actions.employee_key = former_employees.employee_key
    where
        former_employees.former_from_on <= crm_actions.acted_on
        and former_employees.former_from_on > date '1900-01-01'
    group by
        former_employees.source_key, former_employees.employee_id, former_employees.employee_key,
        former_employees.employee_name, former_employees.former_from_on
)

select * from q1_named
union all
select * from q2_open_deals
union all
select * from q2_open_leads
union all
select * from q2_open_tasks
union all
select * from q3_day_unknown
union all
select * from q3_calls
union all
select * from q3_actions
