-- R26: one person's sheet for the morning: yesterday, today and the next seven days. What is
-- planned stands with the owner now, what was paid with whom it is credited.
with targets as (
    select * from {{ ref('metric_plan_fact__by_target') }}
    where target_for = 'employee'
),

payments as (
    select * from {{ ref('fct_payments') }}
),

tasks as (
    select * from {{ ref('fct_tasks') }}
),

open_cards as (
    select * from {{ ref('metric_open_cards__by_card') }}
    where expected_close_at is not null
),

deals as (
    select * from {{ ref('fct_deals') }}
),

leads as (
    select * from {{ ref('fct_leads') }}
),

employees as (
    select * from {{ ref('dim_employees') }}
),

connections as (
    select * from {{ ref('int_connections') }}
),

report as (
    select date_day as as_of_on
    from {{ ref('dim_dates') }}
    where is_as_of_day
),

items as (
    select
        targets.target_kind as item_type,
        targets.target_key as item_record_key,
        null::varchar as source_key,
        targets.reporting_employee_key,
        -- What runs for longer than a day is of today.
        case
            when targets.period_type = 'day' then targets.starts_on else report.as_of_on
        end as due_on,
        null::timestamp as due_at,
        null::boolean as is_done,
        targets.metric_name,
        targets.stage_key,
        targets.period_type,
        targets.plan_value,
        targets.fact_value,
        null::bigint as card_key,
        null::bigint as client_key,
        null::decimal(18, 2) as company_amount,
        null::varchar as due_basis
    from targets
    cross join report
    where
        targets.is_current
        or (targets.period_type = 'day' and targets.starts_on = report.as_of_on - 1)
    union all
    select
        'payment' as item_type,
        payments.payment_key as item_record_key,
        payments.source_key,
        payments.reporting_employee_key,
        payments.paid_on as due_on,
        payments.paid_at as due_at,
        true as is_done,
        null as metric_name,
        null as stage_key,
        null as period_type,
        null as plan_value,
        null as fact_value,
        payments.deal_key as card_key,
        payments.client_key,
        payments.company_amount,
        payments.payment_basis as due_basis
    from payments
    union all
    select
        tasks.task_kind as item_type,
        tasks.task_key as item_record_key,
        tasks.source_key,
        tasks.current_reporting_employee_key as reporting_employee_key,
        {{ local_date('tasks.deadline_at', 'connections.time_zone') }} as due_on,
        tasks.deadline_at as due_at,
        tasks.is_completed as is_done,
        null as metric_name,
        null as stage_key,
        null as period_type,
        null as plan_value,
        null as fact_value,
        tasks.card_key,
        coalesce(deals.client_key, leads.client_key) as client_key,
        null as company_amount,
        'deadline' as due_basis
    from tasks
    inner join connections
        on tasks.source_key = connections.source_key
        and tasks.deadline_at > connections.report_as_of_at - interval 3 days
        and tasks.deadline_at < connections.report_as_of_at + interval 9 days
    left join deals
        on tasks.card_key = deals.deal_key
    left join leads
        on tasks.card_key = leads.lead_key
    union all
    select
        'expected_close' as item_type,
        open_cards.card_key as item_record_key,
        open_cards.source_key,
        open_cards.current_reporting_employee_key as reporting_employee_key,
        {{ local_date('open_cards.expected_close_at', 'connections.time_zone') }} as due_on,
        open_cards.expected_close_at as due_at,
        false as is_done,
        null as metric_name,
        open_cards.stage_key,
        null as period_type,
        null as plan_value,
        null as fact_value,
        open_cards.card_key,
        open_cards.client_key,
        open_cards.company_amount,
        open_cards.expected_close_basis as due_basis
    from open_cards
    inner join connections
        on open_cards.source_key = connections.source_key
),

dated as (
    select
        items.*,
        report.as_of_on as sheet_on,
        case
            when items.due_on = report.as_of_on - 1 then 'yesterday'
            when items.due_on = report.as_of_on then 'today'
            when items.due_on > report.as_of_on and items.due_on <= report.as_of_on + 7
                then 'next_7_days'
        end as sheet_part
    from items
    cross join report
)

select
    {{ hash_key(['dated.item_type', 'dated.item_record_key']) }} as sheet_item_key,
    dated.sheet_on,
    dated.sheet_part,
    dated.reporting_employee_key,
    employees.employee_name,
    employees.department_name,
    dated.item_type,
    dated.due_on,
    dated.due_at,
    dated.due_basis,
    dated.is_done,
    dated.metric_name,
    dated.period_type,
    dated.plan_value::double as plan_value,
    dated.fact_value::double as fact_value,
    dated.source_key,
    case
        when deals.deal_key is not null then 'deal'
        when leads.lead_key is not null then 'lead'
    end as card_type,
    dated.card_key,
    coalesce(deals.card_url, leads.card_url) as card_url,
    dated.client_key,
    dated.stage_key,
    dated.company_amount
from dated
inner join employees
    on dated.reporting_employee_key = employees.employee_key
left join deals
    on dated.card_key = deals.deal_key
left join leads
    on dated.card_key = leads.lead_key
where dated.sheet_part is not null
