-- R12: the client base. Names describe now: whoever has left is a former employee. What cards
-- without a client hold stands in a row of its own, so that amounts add up.
with clients as (
    select * from {{ ref('int_clients') }}
),

open_cards as (
    select * from {{ ref('metric_open_cards__by_card') }}
),

deals as (
    select * from {{ ref('fct_deals') }}
),

leads as (
    select * from {{ ref('fct_leads') }}
),

calls as (
    select * from {{ ref('fct_calls') }}
    where is_external
),

touches as (
    select * from {{ ref('fct_touches') }}
    where client_key is not null
),

pipelines as (
    select * from {{ ref('dim_pipelines') }}
),

employees as (
    select * from {{ ref('dim_employees') }}
),

connections as (
    select * from {{ ref('int_connections') }}
),

rules as (
    select * from {{ ref('stg_company__rules') }}
),

report_rules as (
    select * from {{ ref('stg_company__report_rules') }}
),

cards as (
    select
        deal_key as card_key,
        'deal' as card_type,
        deal_id as card_id,
        source_key,
        coalesce(client_key, 0) as client_key,
        card_url,
        created_at,
        current_reporting_employee_key,
        client_grade,
        false as is_open_lead
    from deals
    union all
    select
        lead_key as card_key,
        'lead' as card_type,
        lead_id as card_id,
        source_key,
        coalesce(client_key, 0) as client_key,
        card_url,
        created_at,
        current_reporting_employee_key,
        client_grade,
        lead_state = 'open' as is_open_lead
    from leads
),

owned_cards as (
    select
        cards.*,
        cards.is_open_lead or open_cards.card_key is not null as is_open
    from cards
    left join open_cards
        on cards.card_key = open_cards.card_key
    where cards.current_reporting_employee_key <> {{ nobody_key() }}
),

ranked_cards as (
    select
        *,
        row_number() over (
            partition by source_key, client_key
            order by
                case when is_open then 1 else 2 end asc, created_at desc, card_type asc, card_id asc
        ) as place
    from owned_cards
),

owning_cards as (
    select * from ranked_cards
    where place = 1
),

of_cards as (
    select
        source_key,
        client_key,
        count(*) as cards_count,
        max_by(client_grade, (created_at, card_key)) filter (where client_grade <> '(not set)')
            as client_grade
    from cards
    group by source_key, client_key
),

in_work as (
    select
        source_key,
        coalesce(client_key, 0) as client_key,
        count(*) as open_cards_count,
        sum(company_amount) as open_amount
    from open_cards
    group by source_key, coalesce(client_key, 0)
),

won_deals as (
    select
        deals.source_key,
        coalesce(deals.client_key, 0) as client_key,
        deals.closed_at,
        deals.company_amount,
        deals.closed_at > connections.as_of_at - interval 12 months as is_of_12_months
    from deals
    inner join pipelines
        on deals.pipeline_key = pipelines.pipeline_key
        and pipelines.pipeline_role = 'sales'
    inner join connections
        on deals.source_key = connections.source_key
    where deals.deal_state = 'won'
),

bought as (
    select
        source_key,
        client_key,
        count(*) as won_count,
        sum(company_amount) as won_amount,
        count(*) filter (where is_of_12_months) as won_12_months_count,
        sum(company_amount) filter (where is_of_12_months) as won_12_months_amount,
        max(closed_at) as last_won_at
    from won_deals
    group by source_key, client_key
),

-- Where no call has ever been recorded, nobody knows who was spoken with.
with_calls as (
    select source_key
    from calls
    group by source_key
),

contacts as (
    select
        calls.client_key,
        max(calls.started_at) as last_contact_at
    from calls
    cross join rules
    where
        calls.is_answered
        and calls.client_key is not null
        and (calls.direction = 'inbound' or calls.talk_seconds >= rules.contact_seconds)
    group by calls.client_key
),

last_touches as (
    select
        client_key,
        max(touched_at) as last_touch_at
    from touches
    group by client_key
),

-- A contact of a company is the company's, unless a card or a call is their own.
base as (
    select
        clients.client_key,
        clients.source_key,
        clients.client_type,
        clients.client_url,
        clients.owner_employee_key
    from clients
    left join of_cards
        on clients.client_key = of_cards.client_key
    left join contacts
        on clients.client_key = contacts.client_key
    left join last_touches
        on clients.client_key = last_touches.client_key
    where
        of_cards.client_key is not null
        or (
            not coalesce(clients.is_deleted, false)
            and (
                clients.company_client_key is null
                or contacts.client_key is not null
                or last_touches.client_key is not null
            )
        )
    union all
    select
        0 as client_key,
        source_key,
        '(no client)' as client_type,
        null as client_url,
        null as owner_employee_key
    from of_cards
    where client_key = 0
),

described as (
    select
        base.client_key,
        base.source_key,
        base.client_type,
        base.client_url,
        connections.as_of_at,
        report_rules.asleep_days,
        with_calls.source_key is not null as is_known,
        case when base.client_key <> 0 then owning_cards.card_key end as owning_card_key,
        case when base.client_key <> 0 then owning_cards.card_url end as owning_card_url,
        case
            when base.client_key = 0 then 'none'
            when owning_cards.is_open then 'open_card'
            when owning_cards.card_key is not null then 'last_card'
            when owners.employee_key is not null then 'client'
            else 'none'
        end as client_owner_basis,
        case
            when base.client_key <> 0
                then coalesce(
                    owning_cards.current_reporting_employee_key, owners.current_reporting_key
                )
        end as current_reporting_employee_key,
        of_cards.client_grade,
        coalesce(of_cards.cards_count, 0) as cards_count,
        coalesce(in_work.open_cards_count, 0) as open_cards_count,
        in_work.open_amount,
        coalesce(bought.won_count, 0) as won_count,
        bought.won_amount,
        coalesce(bought.won_12_months_count, 0) as won_12_months_count,
        bought.won_12_months_amount,
        bought.last_won_at,
        contacts.last_contact_at,
        last_touches.last_touch_at
    from base
    cross join report_rules
    inner join connections
        on base.source_key = connections.source_key
    left join with_calls
        on base.source_key = with_calls.source_key
    left join owning_cards
        on base.source_key = owning_cards.source_key
        and base.client_key = owning_cards.client_key
    left join employees as owners
        on base.owner_employee_key = owners.employee_key
    left join of_cards
        on base.source_key = of_cards.source_key
        and base.client_key = of_cards.client_key
    left join in_work
        on base.source_key = in_work.source_key
        and base.client_key = in_work.client_key
    left join bought
        on base.source_key = bought.source_key
        and base.client_key = bought.client_key
    left join contacts
        on base.client_key = contacts.client_key
    left join last_touches
        on base.client_key = last_touches.client_key
),

aged as (
    select
        *,
        coalesce(current_reporting_employee_key, {{ nobody_key() }}) as owner_key,
        {{ whole_days_between('last_contact_at', 'as_of_at') }} as days_since_contact,
        {{ whole_days_between('last_touch_at', 'as_of_at') }} as days_since_touch
    from described
),

-- Clients of equal amounts share a class: what stands before all of them decides.
summed as (
    select
        client_key,
        source_key,
        sum(won_12_months_amount) over (
            partition by source_key
            order by won_12_months_amount desc
            range between unbounded preceding and current row
        ) - sum(won_12_months_amount) over (
            partition by source_key, won_12_months_amount
        ) as amount_before,
        sum(won_12_months_amount) over (partition by source_key) as all_amount
    from aged
    where won_12_months_amount > 0 and client_key <> 0
)

select
    {{ hash_key(['aged.source_key', "'client base'", 'aged.client_key']) }} as client_base_key,
    aged.source_key,
    nullif(aged.client_key, 0) as client_key,
    aged.client_type,
    aged.client_url,
    aged.owner_key as current_reporting_employee_key,
    employees.employee_name,
    employees.department_name,
    aged.client_owner_basis,
    aged.owning_card_key,
    aged.owning_card_url,
    coalesce(aged.client_grade, '(not set)') as client_grade,
    case
        when aged.client_key = 0 then 'no_client'
        when not aged.is_known then 'unknown'
        when aged.last_contact_at is null then 'never_contacted'
        when aged.days_since_contact < aged.asleep_days then 'active'
        when aged.won_count > 0 then 'buyer_asleep'
        else 'prospect_asleep'
    end as client_category,
    aged.client_key <> 0
    and aged.owner_key in ({{ nobody_key() }}, {{ former_employees_key() }}) as is_ownerless,
    aged.cards_count::bigint as cards_count,
    aged.open_cards_count::bigint as open_cards_count,
    aged.open_amount::decimal(18, 2) as open_amount,
    aged.won_count::bigint as won_count,
    aged.won_amount::decimal(18, 2) as won_amount,
    aged.won_12_months_count::bigint as won_12_months_count,
    aged.won_12_months_amount::decimal(18, 2) as won_12_months_amount,
    aged.last_won_at,
    case
        when summed.amount_before < 0.80 * summed.all_amount then 'A'
        when summed.amount_before < 0.95 * summed.all_amount then 'B'
        when summed.client_key is not null then 'C'
    end as abc_class,
    (aged.won_12_months_amount / summed.all_amount)::double as won_12_months_share,
    aged.last_contact_at,
    aged.days_since_contact,
    {{ days_band('aged.days_since_contact') }} as contact_band,
    case
        when aged.is_known and aged.client_key <> 0
            then coalesce(aged.last_contact_at >= aged.as_of_at - interval 30 days, false)
    end as is_contacted_in_30_days,
    case
        when aged.is_known and aged.client_key <> 0
            then coalesce(aged.last_contact_at >= aged.as_of_at - interval 90 days, false)
    end as is_contacted_in_90_days,
    aged.last_touch_at,
    aged.days_since_touch
from aged
inner join employees
    on aged.owner_key = employees.employee_key
left join summed
    on aged.source_key = summed.source_key
    and aged.client_key = summed.client_key
