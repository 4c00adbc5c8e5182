-- R12: whose clients they are now, and how many of them somebody has spoken with lately.
with clients as (
    select * from {{ ref('metric_clients__by_client') }}
    where client_key is not null
),

counted as (
    select
        source_key,
        current_reporting_employee_key,
        employee_name,
        department_name,
        count(*) as clients_count,
        sum(is_contacted_in_30_days::integer) as contacted_in_30_days_count,
        sum(is_contacted_in_90_days::integer) as contacted_in_90_days_count,
        {% for category in ['never_contacted', 'active', 'buyer_asleep', 'prospect_asleep'] -%}
        count(*) filter (where client_category = '{{ category }}') as {{ category }}_count,
        {% endfor -%}
        {% for class in ['a', 'b', 'c'] -%}
        count(*) filter (where abc_class = '{{ class | upper }}') as {{ class }}_clients_count,
        {% endfor -%}
        count(*) filter (where open_cards_count > 0) as clients_in_work_count,
        sum(open_amount) as open_amount,
        sum(won_12_months_amount) as won_12_months_amount
    from clients
    group by source_key, current_reporting_employee_key, employee_name, department_name
)

select
    {{ hash_key(['source_key', "'client base'", 'current_reporting_employee_key']) }}
        as client_base_employee_key,
    source_key,
    current_reporting_employee_key,
    employee_name,
    department_name,
    clients_count::bigint as clients_count,
    contacted_in_30_days_count::bigint as contacted_in_30_days_count,
    (contacted_in_30_days_count / clients_count)::double as contacted_in_30_days_share,
    contacted_in_90_days_count::bigint as contacted_in_90_days_count,
    (contacted_in_90_days_count / clients_count)::double as contacted_in_90_days_share,
    never_contacted_count::bigint as never_contacted_count,
    active_count::bigint as active_count,
    buyer_asleep_count::bigint as buyer_asleep_count,
    prospect_asleep_count::bigint as prospect_asleep_count,
    a_clients_count::bigint as a_clients_count,
    b_clients_count::bigint as b_clients_count,
    c_clients_count::bigint as c_clients_count,
    clients_in_work_count::bigint as clients_in_work_count,
    open_amount::decimal(18, 2) as open_amount,
    won_12_months_amount::decimal(18, 2) as won_12_months_amount
from counted
