with deals as (
    select * from {{ ref('int_deals') }}
),

states as (
    select * from {{ ref('int_deal_states') }}
),

sources as (
    select * from {{ ref('int_sources') }}
),

custom_fields as (
    select * from {{ ref('int_custom_field_values') }}
),

owner_intervals as (
    select * from {{ ref('int_owner_intervals') }}
),

employees as (
    select * from {{ ref('dim_employees') }}
),

days as (
    select * from {{ ref('int_days_by_utc_date') }}
),

rules as (
    select * from {{ ref('stg_company__rules') }}
),

segments as (
    select
        deal_key,
        max(segment_value) filter (where segment_type = 'product') as product_name,
        max(segment_value) filter (where segment_type = 'grade') as client_grade
    from custom_fields
    group by deal_key
),

dated as (
    select
        deals.*,
        states.pipeline_key as current_pipeline_key,
        states.stage_key as current_stage_key,
        states.stage_entered_at,
        states.deal_state,
        states.closed_at,
        states.first_closed_at,
        states.visits_count,
        created_days.date_day as created_on,
        closed_days.date_day as closed_on
    from deals
    inner join states
        on deals.deal_key = states.deal_key
    inner join days as created_days
        on deals.created_at::date = created_days.utc_on
        and deals.created_at >= created_days.starts_at
        and deals.created_at < created_days.ends_at
    left join days as closed_days
        on states.closed_at::date = closed_days.utc_on
        and states.closed_at >= closed_days.starts_at
        and states.closed_at < closed_days.ends_at
),

-- Who owned the deal when it was closed: the history of owners where the system keeps one. Else the
-- mover, if the move is the close and the mover is a person who was not dismissed on that day; else
-- the current owner.
credited as (
    select
        dated.*,
        case
            when owner_intervals.deal_key is not null then 'history'
            when
                movers.employee_kind = 'person'
                and dated.moved_at = dated.closed_at
                and movers.former_from_on > dated.closed_on
                then 'mover'
            else 'current'
        end as owner_basis,
        case
            when dated.closed_at is null then null
            when owner_intervals.deal_key is not null then owner_intervals.owner_employee_key
            when
                movers.employee_kind = 'person'
                and dated.moved_at = dated.closed_at
                and movers.former_from_on > dated.closed_on
                then dated.mover_employee_key
            else dated.owner_employee_key
        end as close_owner_employee_key
    from dated
    left join owner_intervals
        on dated.deal_key = owner_intervals.deal_key
        and dated.closed_at >= owner_intervals.owned_from
        and dated.closed_at < owner_intervals.valid_to
    left join employees as movers
        on dated.mover_employee_key = movers.employee_key
)

select
    credited.deal_key,
    credited.source_key,
    credited.deal_id,
    credited.origin_id,
    credited.title as deal_title,
    credited.card_url,
    credited.current_pipeline_key as pipeline_key,
    credited.current_stage_key as stage_key,
    credited.stage_entered_at,
    credited.deal_state,
    credited.created_at,
    credited.created_on,
    credited.closed_at,
    credited.closed_on,
    credited.first_closed_at,
    credited.planned_close_at,
    credited.amount,
    coalesce(credited.currency_code, rules.currency_code) as currency_code,
    credited.client_key,
    coalesce(credited.owner_employee_key, {{ nobody_key() }}) as owner_employee_key,
    case
        when credited.closed_at is not null
            then coalesce(credited.close_owner_employee_key, {{ nobody_key() }})
    end as close_owner_employee_key,
    case when credited.closed_at is null then 'current' else credited.owner_basis end
        as owner_basis,
    -- Creation is an event of its day; the close is one of its own.
    case
        when owners.former_from_on <= credited.created_on then {{ former_employees_key() }}
        else coalesce(credited.owner_employee_key, {{ nobody_key() }})
    end as reporting_employee_key,
    case
        when credited.closed_at is null then null
        when close_owners.former_from_on <= credited.closed_on then {{ former_employees_key() }}
        else coalesce(credited.close_owner_employee_key, {{ nobody_key() }})
    end as close_reporting_employee_key,
    coalesce(owners.current_reporting_key, {{ nobody_key() }}) as current_reporting_employee_key,
    coalesce(sources.source_name, credited.source_id, '(not set)') as source_name,
    coalesce(segments.product_name, '(not set)') as product_name,
    coalesce(segments.client_grade, '(not set)') as client_grade,
    credited.utm_source,
    credited.utm_medium,
    credited.utm_campaign,
    credited.is_return_customer,
    credited.visits_count::integer as visits_count
from credited
cross join rules
left join sources
    on credited.source_key = sources.source_key
    and credited.source_id = sources.source_id
left join segments
    on credited.deal_key = segments.deal_key
left join employees as owners
    on credited.owner_employee_key = owners.employee_key
left join employees as close_owners
    on credited.close_owner_employee_key = close_owners.employee_key
