-- R11: what a pipeline suffers from, and where: each check with the numbers behind it, for the
-- whole pipeline and for each person's cards in it. Shares of moves and exits look at the last 90
-- days. A person's cards are the ones they own now; moves and wins are of whom reports name now for
-- the owner of that day.
{%- set days = 90 %}
with open_cards as (
    select * from {{ ref('metric_open_cards__by_card') }}
),

visits as (
    select * from {{ ref('fct_stage_visits') }}
    where not is_inferred
),

closes as (
    select * from {{ ref('fct_deal_closes') }}
    where is_counted and outcome = 'won'
),

stages as (
    select * from {{ ref('dim_stages') }}
),

pipelines as (
    select * from {{ ref('dim_pipelines') }}
    where pipeline_role in ('sales', 'setter', 'lead')
),

employees as (
    select * from {{ ref('dim_employees') }}
),

goals as (
    select * from {{ ref('fct_goals') }}
    where
        metric_name = 'won'
        and period_type = 'month'
        and stage_key is null
        and goal_for in ('company', 'employee')
),

connections as (
    select * from {{ ref('int_connections') }}
),

rules as (
    select * from {{ ref('stg_company__report_rules') }}
),

-- The win is one step behind the last open stage.
stage_ranks as (
    select
        stage_key,
        pipeline_key,
        case
            when stage_semantics = 'open'
                then count(*) filter (where stage_semantics = 'open') over up_to_here
            else count(*) filter (where stage_semantics = 'open') over whole + 1
        end as stage_rank
    from stages
    where stage_semantics in ('open', 'won')
    window
        whole as (partition by pipeline_key),
        up_to_here as (partition by pipeline_key order by stage_position, stage_key)
),

moves as (
    select
        visits.pipeline_key,
        visits.card_key,
        coalesce(employees.current_reporting_key, visits.reporting_employee_key) as employee_key,
        after_move.stage_rank - before_move.stage_rank as steps
    from visits
    inner join connections
        on visits.source_key = connections.source_key
        and visits.entered_at > connections.as_of_at - interval {{ days }} days
    inner join stage_ranks as after_move
        on visits.stage_key = after_move.stage_key
    inner join stage_ranks as before_move
        on visits.previous_stage_key = before_move.stage_key
        and visits.pipeline_key = before_move.pipeline_key
    left join employees
        on visits.owner_employee_key = employees.employee_key
),

exits as (
    select
        visits.pipeline_key,
        visits.stage_key,
        coalesce(employees.current_reporting_key, visits.reporting_employee_key) as employee_key
    from visits
    inner join connections
        on visits.source_key = connections.source_key
        and visits.left_at > connections.as_of_at - interval {{ days }} days
    left join employees
        on visits.owner_employee_key = employees.employee_key
    where visits.stage_semantics = 'open'
),

stays as (
    select
        visits.stage_key,
        (median(visits.duration_seconds) / 86400)::double as stay_days_median
    from visits
    inner join connections
        on visits.source_key = connections.source_key
        and visits.left_at > connections.as_of_at - interval 12 months
    where visits.stage_semantics = 'open'
    group by visits.stage_key
),

-- A pipeline that is younger than 90 days is looked at for as long as it is there.
lives as (
    select
        visits.pipeline_key,
        least(
            {{ days }},
            max({{ seconds_between('visits.entered_at', 'connections.as_of_at') }}) / 86400
        )::double as observed_days
    from visits
    inner join connections
        on visits.source_key = connections.source_key
    group by visits.pipeline_key
),

wins as (
    select
        closes.pipeline_key,
        coalesce(employees.current_reporting_key, closes.reporting_employee_key) as employee_key,
        closes.closed_at,
        closes.closed_on,
        connections.as_of_on,
        closes.cycle_seconds
    from closes
    inner join connections
        on closes.source_key = connections.source_key
        and closes.closed_at > connections.as_of_at - interval 12 months
    left join employees
        on closes.owner_employee_key = employees.employee_key
),

cycles as (
    select
        pipeline_key,
        (median(cycle_seconds) / 86400)::double as cycle_days
    from wins
    group by pipeline_key
),

-- Goals name no pipeline: they are of a pipeline where it is the connection's only one that sells.
goal_pipelines as (
    select
        source_key,
        min(pipeline_key) as pipeline_key
    from pipelines
    where pipeline_role = 'sales' and not is_archived and is_listed
    group by source_key
    having count(*) = 1
),

daily_goals as (
    select
        goal_pipelines.pipeline_key,
        coalesce(goals.reporting_employee_key, 0) as employee_key,
        max(
            goals.goal_value
            / date_diff('day', goals.starts_on, (goals.starts_on + interval 1 month)::date)
        )::double as wins_per_day
    from goal_pipelines
    inner join connections
        on goal_pipelines.source_key = connections.source_key
    inner join goals
        on date_trunc('month', connections.as_of_on)::date = goals.starts_on
        and (goal_pipelines.source_key = goals.source_key or goals.source_key is null)
    group by goal_pipelines.pipeline_key, coalesce(goals.reporting_employee_key, 0)
),

{#- Every row once for its person and once for the whole pipeline. -#}
{% for name, columns in {
    'moves': ['pipeline_key', 'card_key', 'steps'],
    'exits': ['pipeline_key', 'stage_key'],
    'wins': ['pipeline_key', 'closed_on', 'as_of_on'],
}.items() %}
{{ name }}_sliced as (
    select {{ columns | join(', ') }}, employee_key as slice_key
    from {{ name }}
    union all
    select {{ columns | join(', ') }}, 0::bigint as slice_key
    from {{ name }}
),
{% endfor %}

cards_sliced as (
    select
        open_cards.*,
        open_cards.current_reporting_employee_key as slice_key
    from open_cards
    union all
    select
        open_cards.*,
        0::bigint as slice_key
    from open_cards
),

stock as (
    select
        cards_sliced.pipeline_key,
        cards_sliced.slice_key,
        count(*) as open_cards_count,
        count(*) filter (
            where
            cards_sliced.planned_tasks_count = 0
            and coalesce(cards_sliced.last_touch_at, cards_sliced.created_at)
            <= connections.as_of_at - to_days(rules.graveyard_days)
        ) as dead_cards_count,
        sum(cards_sliced.weight_share::decimal(18, 9)) filter (
            where
            not cards_sliced.is_overdue
            and {{ seconds_between('connections.as_of_at', 'cards_sliced.expected_close_at') }}
            <= cycles.cycle_days * 86400
        ) as expected_wins
    from cards_sliced
    inner join connections
        on cards_sliced.source_key = connections.source_key
    cross join rules
    left join cycles
        on cards_sliced.pipeline_key = cycles.pipeline_key
    group by cards_sliced.pipeline_key, cards_sliced.slice_key
),

-- Dense: every listed pipeline, and everybody who has open cards in it.
slices as (
    select
        source_key,
        pipeline_key,
        0::bigint as slice_key
    from pipelines
    where is_listed and not is_archived
    union
    select
        pipelines.source_key,
        pipelines.pipeline_key,
        stock.slice_key
    from pipelines
    inner join stock
        on pipelines.pipeline_key = stock.pipeline_key
),

described as (
    select
        slices.source_key,
        slices.pipeline_key,
        slices.slice_key,
        coalesce(stock.open_cards_count, 0) as open_cards_count,
        coalesce(stock.dead_cards_count, 0) as dead_cards_count,
        coalesce(stock.expected_wins, 0) as expected_wins,
        cycles.cycle_days,
        lives.observed_days,
        date_diff(
            'day',
            (date_trunc('month', connections.as_of_on) - interval 3 months)::date,
            date_trunc('month', connections.as_of_on)::date
        )::double as three_months_days
    from slices
    inner join connections
        on slices.source_key = connections.source_key
    left join stock
        on slices.pipeline_key = stock.pipeline_key
        and slices.slice_key = stock.slice_key
    left join cycles
        on slices.pipeline_key = cycles.pipeline_key
    left join lives
        on slices.pipeline_key = lives.pipeline_key
),

turbulence as (
    select
        pipeline_key,
        slice_key,
        count(*) as moves_count,
        count(*) filter (where steps < 0 or steps >= 2) as turbulent_moves_count,
        count(distinct card_key) as moved_cards_count
    from moves_sliced
    group by pipeline_key, slice_key
),

stage_stock as (
    select
        pipeline_key,
        slice_key,
        stage_key,
        count(*) as stage_cards_count
    from cards_sliced
    group by pipeline_key, slice_key, stage_key
),

stage_exits as (
    select
        pipeline_key,
        slice_key,
        stage_key,
        count(*) as exits_count
    from exits_sliced
    group by pipeline_key, slice_key, stage_key
),

crowded as (
    select
        stage_stock.pipeline_key,
        stage_stock.slice_key,
        stage_stock.stage_key,
        stages.stage_position,
        stage_stock.stage_cards_count,
        described.open_cards_count,
        coalesce(stage_exits.exits_count, 0) / nullif(described.observed_days, 0)
            as exits_per_day,
        stays.stay_days_median,
        -- Without any exit it takes for ever.
        stage_stock.stage_cards_count * described.observed_days
        / nullif(coalesce(stage_exits.exits_count, 0), 0) as clearing_days
    from stage_stock
    inner join described
        on stage_stock.pipeline_key = described.pipeline_key
        and stage_stock.slice_key = described.slice_key
    left join stage_exits
        on stage_stock.pipeline_key = stage_exits.pipeline_key
        and stage_stock.slice_key = stage_exits.slice_key
        and stage_stock.stage_key = stage_exits.stage_key
    left join stages
        on stage_stock.stage_key = stages.stage_key
    left join stays
        on stage_stock.stage_key = stays.stage_key
),

-- The slowest of the stages that hold at least a tenth of the cards, and the fullest of all; of
-- equal ones the earlier: keys are other ones in every system.
picked as (
    select
        *,
        row_number() over (
            partition by pipeline_key, slice_key
            order by
                case
                    when stage_cards_count * 10 >= open_cards_count and stay_days_median > 0
                        then coalesce(clearing_days / stay_days_median, 1e300)
                    else -1
                end desc,
                stage_position asc,
                stage_key asc
        ) as slowness_rank,
        row_number() over (
            partition by pipeline_key, slice_key
            order by stage_cards_count desc, stage_position asc, stage_key asc
        ) as fullness_rank
    from crowded
),

-- Wins of the three full months before the month of as-of.
three_months as (
    select
        pipeline_key,
        slice_key,
        count(*) as wins_count
    from wins_sliced
    where
        closed_on < date_trunc('month', as_of_on)
        and closed_on >= date_trunc('month', as_of_on) - interval 3 months
    group by pipeline_key, slice_key
),

checks as (
    select
        described.*,
        'turbulence' as illness,
        'turbulent_moves' as health_check,
        coalesce(turbulence.moved_cards_count, 0) as cards_count,
        null::bigint as stage_key,
        turbulence.turbulent_moves_count::double as numerator,
        turbulence.moves_count::double as denominator,
        rules.turbulence_share as limit_value,
        null as limit_basis
    from described
    cross join rules
    left join turbulence
        on described.pipeline_key = turbulence.pipeline_key
        and described.slice_key = turbulence.slice_key
    union all
    select
        described.*,
        'accumulation' as illness,
        'slow_stage' as health_check,
        described.open_cards_count as cards_count,
        picked.stage_key,
        picked.stage_cards_count::double as numerator,
        picked.exits_per_day::double as denominator,
        rules.accumulation_factor * picked.stay_days_median as limit_value,
        'stay_days_median' as limit_basis
    from described
    cross join rules
    left join picked
        on described.pipeline_key = picked.pipeline_key
        and described.slice_key = picked.slice_key
        and picked.slowness_rank = 1
        and picked.stay_days_median > 0
    union all
    select
        described.*,
        'accumulation' as illness,
        'full_stage' as health_check,
        described.open_cards_count as cards_count,
        picked.stage_key,
        picked.stage_cards_count::double as numerator,
        described.open_cards_count::double as denominator,
        rules.accumulation_share as limit_value,
        null as limit_basis
    from described
    cross join rules
    left join picked
        on described.pipeline_key = picked.pipeline_key
        and described.slice_key = picked.slice_key
        and picked.fullness_rank = 1
    union all
    select
        described.*,
        'insufficiency' as illness,
        'expected_wins' as health_check,
        described.open_cards_count as cards_count,
        null::bigint as stage_key,
        described.expected_wins::double as numerator,
        (
            described.cycle_days
            * coalesce(
                daily_goals.wins_per_day,
                coalesce(three_months.wins_count, 0) / described.three_months_days
            )
        )::double as denominator,
        rules.insufficiency_share as limit_value,
        case
            when daily_goals.wins_per_day is not null then 'goal' else 'three_month_mean'
        end as limit_basis
    from described
    cross join rules
    left join daily_goals
        on described.pipeline_key = daily_goals.pipeline_key
        and described.slice_key = daily_goals.employee_key
    left join three_months
        on described.pipeline_key = three_months.pipeline_key
        and described.slice_key = three_months.slice_key
    union all
    select
        described.*,
        'graveyard' as illness,
        'dead_cards' as health_check,
        described.open_cards_count as cards_count,
        null::bigint as stage_key,
        described.dead_cards_count::double as numerator,
        described.open_cards_count::double as denominator,
        rules.graveyard_share as limit_value,
        null as limit_basis
    from described
    cross join rules
),

measured as (
    select
        *,
        (numerator / nullif(denominator, 0))::double as measured_value
    from checks
)

select
    {{ hash_key(['measured.pipeline_key', 'measured.slice_key', 'measured.health_check']) }}
        as health_check_key,
    measured.source_key,
    measured.pipeline_key,
    pipelines.pipeline_name,
    case when measured.slice_key = 0 then 'all' else 'employee' end as slice_type,
    employees.employee_key as current_reporting_employee_key,
    employees.employee_name,
    employees.department_name,
    measured.illness,
    measured.health_check,
    stages.stage_key,
    stages.stage_name,
    measured.numerator::decimal(24, 4) as numerator,
    measured.denominator::decimal(24, 4) as denominator,
    measured.measured_value,
    measured.limit_value::double as limit_value,
    measured.limit_basis,
    case
        when measured.health_check = 'full_stage'
            then whole_stock.stage_cards_count / nullif(whole.cards_count, 0)::double
        else whole.measured_value
    end as pipeline_measured_value,
    measured.cards_count::bigint as cards_count,
    case
        when measured.cards_count < rules.health_cards_min then 'none'
        when measured.cards_count < rules.health_cards_min * 2 then 'low'
        else 'normal'
    end as confidence,
    case
        when measured.cards_count < rules.health_cards_min then null
        when measured.health_check = 'expected_wins'
            then measured.measured_value < measured.limit_value
        -- Where nothing leaves the stage, no number of days is enough.
        when measured.health_check = 'slow_stage' and measured.denominator = 0 then true
        else measured.measured_value > measured.limit_value
    end as is_ill
from measured
cross join rules
inner join pipelines
    on measured.pipeline_key = pipelines.pipeline_key
left join stages
    on measured.stage_key = stages.stage_key
left join employees
    on measured.slice_key = employees.employee_key
left join measured as whole
    on measured.pipeline_key = whole.pipeline_key
    and measured.health_check = whole.health_check
    and whole.slice_key = 0
left join stage_stock as whole_stock
    on measured.pipeline_key = whole_stock.pipeline_key
    and measured.stage_key = whole_stock.stage_key
    and whole_stock.slice_key = 0
