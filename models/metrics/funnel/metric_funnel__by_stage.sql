-- R2: the funnel of each pipeline. A cohort is the cards that first entered the pipeline in the
-- month; how far one came is its furthest open stage in the dictionary's order, a won one came all
-- the way, a lost one as far as its last open stage. In the view of a period each card counts once
-- for every stage that it entered in the month, so that shares may exceed 1.
with visits as (
    select * from {{ ref('fct_stage_visits') }}
),

stages as (
    select * from {{ ref('dim_stages') }}
),

pipelines as (
    select * from {{ ref('dim_pipelines') }}
    where pipeline_role <> 'ignore'
),

dates as (
    select * from {{ ref('dim_dates') }}
),

deals as (
    select * from {{ ref('fct_deals') }}
),

employees as (
    select * from {{ ref('dim_employees') }}
),

placed as (
    select
        visits.*,
        stages.stage_position,
        dates.month_start_on
    from visits
    inner join pipelines
        on visits.pipeline_key = pipelines.pipeline_key
    inner join stages
        on visits.stage_key = stages.stage_key
    inner join dates
        on visits.entered_on = dates.date_day
),

-- One row per card and pipeline that it was ever in.
cohorts as (
    select
        source_key,
        pipeline_key,
        card_key,
        min_by(month_start_on, visit_number) as month_start_on,
        min_by(reporting_employee_key, visit_number) as reporting_employee_key,
        max(stage_position) filter (where stage_semantics = 'open') as furthest_position,
        max_by(stage_position, visit_number) filter (where stage_semantics = 'open')
            as last_open_position,
        max_by(stage_semantics, visit_number) as last_semantics,
        max_by(stage_position, visit_number) as last_position,
        max_by(left_at is null, visit_number) as is_there
    from placed
    group by source_key, pipeline_key, card_key
),

outcomes as (
    select
        cohorts.*,
        deals.company_amount,
        cohorts.last_semantics = 'won' as is_won,
        cohorts.is_there and cohorts.last_semantics = 'open' as is_open,
        -- What left for another pipeline without a close is neither open here nor lost.
        cohorts.last_semantics = 'lost' as is_lost,
        case
            when cohorts.last_semantics = 'won' then 2147483647
            when cohorts.last_semantics = 'lost'
                then coalesce(cohorts.last_open_position, cohorts.furthest_position, 0)
            else coalesce(cohorts.furthest_position, 0)
        end as reached_position
    from cohorts
    left join deals
        on cohorts.card_key = deals.deal_key
),

sliced as (
    select
        outcomes.*,
        'all' as slice_type,
        0::bigint as slice_key
    from outcomes
    union all
    select
        outcomes.*,
        'employee' as slice_type,
        reporting_employee_key as slice_key
    from outcomes
),

counted as (
    select
        source_key,
        pipeline_key,
        month_start_on,
        slice_type,
        slice_key,
        reached_position,
        last_open_position,
        last_position,
        is_won,
        is_lost,
        is_open,
        count(*) as cards_count,
        sum(company_amount) as amount
    from sliced
    group by all
),

funnel_stages as (
    select
        stages.stage_key,
        stages.pipeline_key,
        stages.stage_name,
        stages.stage_position,
        stages.stage_semantics
    from stages
    inner join pipelines
        on stages.pipeline_key = pipelines.pipeline_key
    where stages.stage_semantics in ('open', 'won')
),

cohort_funnel as (
    select
        counted.source_key,
        counted.pipeline_key,
        funnel_stages.stage_key,
        counted.month_start_on,
        counted.slice_type,
        counted.slice_key,
        sum(counted.cards_count) as cohort_count,
        sum(counted.cards_count) filter (
            where case funnel_stages.stage_semantics
                when 'won' then counted.is_won
                else counted.reached_position >= funnel_stages.stage_position
            end
        ) as reached_count,
        sum(counted.cards_count) filter (
            where counted.is_lost
            and counted.last_open_position = funnel_stages.stage_position
            and funnel_stages.stage_semantics = 'open'
        ) as lost_from_here_count,
        sum(counted.amount) filter (
            where counted.is_lost
            and counted.last_open_position = funnel_stages.stage_position
            and funnel_stages.stage_semantics = 'open'
        ) as lost_from_here_amount,
        sum(counted.cards_count) filter (
            where counted.is_open
            and counted.last_position = funnel_stages.stage_position
            and funnel_stages.stage_semantics = 'open'
        ) as open_here_count
    from counted
    inner join funnel_stages
        on counted.pipeline_key = funnel_stages.pipeline_key
    group by
        counted.source_key, counted.pipeline_key, funnel_stages.stage_key,
        counted.month_start_on, counted.slice_type, counted.slice_key
),

period_entries as (
    select
        source_key,
        pipeline_key,
        stage_key,
        month_start_on,
        'all' as slice_type,
        0 as slice_key,
        card_key
    from placed
    union all
    select
        source_key,
        pipeline_key,
        stage_key,
        month_start_on,
        'employee' as slice_type,
        reporting_employee_key as slice_key,
        card_key
    from placed
),

entered as (
    select
        source_key,
        pipeline_key,
        stage_key,
        month_start_on,
        slice_type,
        slice_key,
        count(distinct card_key) as entered_count
    from period_entries
    group by source_key, pipeline_key, stage_key, month_start_on, slice_type, slice_key
),

joined as (
    select
        coalesce(cohort_funnel.source_key, entered.source_key) as source_key,
        coalesce(cohort_funnel.pipeline_key, entered.pipeline_key) as pipeline_key,
        coalesce(cohort_funnel.stage_key, entered.stage_key) as stage_key,
        coalesce(cohort_funnel.month_start_on, entered.month_start_on) as month_start_on,
        coalesce(cohort_funnel.slice_type, entered.slice_type) as slice_type,
        coalesce(cohort_funnel.slice_key, entered.slice_key) as slice_key,
        coalesce(cohort_funnel.cohort_count, 0) as cohort_count,
        coalesce(cohort_funnel.reached_count, 0) as reached_count,
        coalesce(cohort_funnel.lost_from_here_count, 0) as lost_from_here_count,
        coalesce(cohort_funnel.lost_from_here_amount, 0) as lost_from_here_amount,
        coalesce(cohort_funnel.open_here_count, 0) as open_here_count,
        coalesce(entered.entered_count, 0) as entered_count
    from cohort_funnel
    full outer join entered
        on cohort_funnel.source_key = entered.source_key
        and cohort_funnel.pipeline_key = entered.pipeline_key
        and cohort_funnel.stage_key = entered.stage_key
        and cohort_funnel.month_start_on = entered.month_start_on
        and cohort_funnel.slice_type = entered.slice_type
        and cohort_funnel.slice_key = entered.slice_key
    inner join stages
        on coalesce(cohort_funnel.stage_key, entered.stage_key) = stages.stage_key
    where stages.stage_semantics in ('open', 'won')
),

compared as (
    select
        joined.*,
        stages.stage_name,
        stages.stage_position,
        stages.stage_semantics,
        lag(joined.reached_count) over (
            partition by
                joined.source_key, joined.pipeline_key, joined.month_start_on,
                joined.slice_type, joined.slice_key
            order by stages.stage_position
        ) as previous_reached_count
    from joined
    inner join stages
        on joined.stage_key = stages.stage_key
),

company as (
    select
        pipeline_key,
        stage_key,
        month_start_on,
        reached_count,
        cohort_count
    from joined
    where slice_type = 'all'
)

select
    {{ hash_key([
        'compared.stage_key', 'compared.month_start_on', 'compared.slice_type',
        'compared.slice_key',
    ]) }} as funnel_stage_key,
    compared.source_key,
    compared.pipeline_key,
    pipelines.pipeline_name,
    compared.stage_key,
    compared.stage_name,
    compared.stage_position,
    compared.month_start_on,
    compared.slice_type,
    employees.employee_key as reporting_employee_key,
    employees.employee_name,
    compared.cohort_count::bigint as cohort_count,
    compared.reached_count::bigint as reached_count,
    compared.previous_reached_count::bigint as previous_reached_count,
    (compared.reached_count / nullif(compared.cohort_count, 0))::double as reached_share,
    (compared.reached_count / nullif(compared.previous_reached_count, 0))::double
        as reached_of_previous_share,
    (company.reached_count / nullif(company.cohort_count, 0))::double as company_reached_share,
    compared.lost_from_here_count::bigint as lost_from_here_count,
    compared.lost_from_here_amount::decimal(18, 2) as lost_from_here_amount,
    compared.open_here_count::bigint as open_here_count,
    compared.entered_count::bigint as entered_count
from compared
inner join pipelines
    on compared.pipeline_key = pipelines.pipeline_key
left join company
    on compared.stage_key = company.stage_key
    and compared.month_start_on = company.month_start_on
left join employees
    on compared.slice_type = 'employee'
    and compared.slice_key = employees.employee_key
