-- R1, long: what every number of the sales department was in every day, week, month, quarter and
-- year, for the whole connection and for each pipeline, department, employee and source, beside
-- the period before and the year before. Sums come from metric_cards__by_metric, so that the cards
-- behind a number add up to it; ratios and medians are computed for each slice and period anew.
{{ config(materialized='touched_parts') }}

{% set now_metrics = "('open_cards', 'open_amount', 'forgotten_cards')" -%}
with daily_sums as (
    select * from {{ ref('metric_daily_sums__by_slice') }}
),

cards as (
    select * from {{ ref('dim_cards') }}
),

closes as (
    select * from {{ ref('fct_deal_closes') }}
    where is_counted and outcome = 'won'
),

pipelines as (
    select * from {{ ref('dim_pipelines') }}
),

employees as (
    select * from {{ ref('dim_employees') }}
),

sellers as (
    select * from {{ ref('dim_sellers') }}
),

set_versions as (
    select * from {{ ref('dim_stage_set_versions') }}
    where is_break
),

periods as (
    select * from {{ ref('dim_periods') }}
),

coverage as (
    select * from {{ ref('int_call_coverage') }}
),

connections as (
    select * from {{ ref('int_connections') }}
    where is_crm
),

definitions as (
    select * from {{ ref('kpi_definitions') }}
),

keyed as (
    select
        *,
        coalesce(pipeline_key, reporting_employee_key, 0) as slice_key
    from daily_sums
),

-- The stretches of days that something is counted in: periods, and what they are compared with.
stretches as (
    select
        period_type,
        starts_on,
        counted_until_on as until_on
    from periods
    union
    select
        period_type,
        starts_on,
        compared_until_on as until_on
    from periods
    union
    select
        period_type,
        previous_starts_on as starts_on,
        previous_until_on as until_on
    from periods
    union
    select
        period_type,
        year_before_starts_on as starts_on,
        year_before_until_on as until_on
    from periods
    where year_before_starts_on is not null
),

days_of_stretches as (
    select
        period_type,
        starts_on,
        until_on,
        {{ date_series('starts_on', '(until_on - 1)') }}::date as date_day
    from stretches
    where until_on > starts_on
),

sums as (
    select
        keyed.metric_name,
        keyed.source_key,
        keyed.slice_type,
        keyed.slice_value,
        keyed.slice_key,
        days_of_stretches.period_type,
        days_of_stretches.starts_on,
        days_of_stretches.until_on,
        sum(keyed.daily_value) as value
    from keyed
    inner join days_of_stretches
        on keyed.happened_on = days_of_stretches.date_day
    where
        keyed.period_type in ('all', days_of_stretches.period_type)
        and (
            {{ of_touched('slice_stretches', part_key([
                kpi_slice('slice_key'), stretch_key('days_of_stretches'),
            ])) }}
            or {{ of_touched('stretches', stretch_key('days_of_stretches')) }}
            or {{ of_touched('employees', 'keyed.slice_key') }}
            or {{ of_touched('sources', 'keyed.source_key') }}
        )
    group by all
),

won_deals as (
    select
        closes.source_key,
        closes.closed_on,
        closes.pipeline_key,
        pipelines.pipeline_role,
        closes.reporting_employee_key,
        employees.department_name,
        cards.source_name,
        closes.cycle_seconds::double / 86400 as cycle_days
    from closes
    inner join cards
        on closes.deal_key = cards.card_key
    inner join pipelines
        on closes.pipeline_key = pipelines.pipeline_key
        and pipelines.pipeline_role <> 'ignore'
    inner join employees
        on closes.reporting_employee_key = employees.employee_key
),

sliced_wins as (
    {% for slice_type, slice_value, slice_key in [
        ('all', "'all'", '0'),
        ('pipeline', "''", 'pipeline_key'),
        ('employee', "''", 'reporting_employee_key'),
        ('department', 'department_name', '0'),
        ('source', 'source_name', '0'),
    ] -%}
    select
        source_key,
        closed_on,
        '{{ slice_type }}' as slice_type,
        {{ slice_value }} as slice_value,
        {{ slice_key }} as slice_key,
        cycle_days
    from won_deals
    {%- if slice_type != 'pipeline' %}
    where pipeline_role = 'sales'
    {%- endif %}
    {%- if not loop.last %}
    union all
    {% endif %}
    {%- endfor %}
),

medians as (
    select
        sliced_wins.source_key,
        sliced_wins.slice_type,
        sliced_wins.slice_value,
        sliced_wins.slice_key,
        days_of_stretches.period_type,
        days_of_stretches.starts_on,
        days_of_stretches.until_on,
        count(*) as won_count,
        median(sliced_wins.cycle_days) as value
    from sliced_wins
    inner join days_of_stretches
        on sliced_wins.closed_on = days_of_stretches.date_day
    group by all
),

parts as (
    select
        definitions.metric_name,
        sums.source_key,
        sums.slice_type,
        sums.slice_value,
        sums.slice_key,
        sums.period_type,
        sums.starts_on,
        sums.until_on,
        sums.value as numerator,
        null as denominator
    from definitions
    inner join sums
        on definitions.numerator_metric = sums.metric_name
    union all
    select
        definitions.metric_name,
        sums.source_key,
        sums.slice_type,
        sums.slice_value,
        sums.slice_key,
        sums.period_type,
        sums.starts_on,
        sums.until_on,
        null as numerator,
        sums.value as denominator
    from definitions
    inner join sums
        on definitions.denominator_metric = sums.metric_name
),

fractions as (
    select
        metric_name,
        source_key,
        slice_type,
        slice_value,
        slice_key,
        period_type,
        starts_on,
        until_on,
        coalesce(sum(numerator), 0)::decimal(24, 4) as numerator,
        sum(denominator)::decimal(24, 4) as denominator
    from parts
    group by all
),

-- What is not here is 0 where the period is complete.
valued as (
    select
        fractions.metric_name,
        fractions.source_key,
        fractions.slice_type,
        fractions.slice_value,
        fractions.slice_key,
        fractions.period_type,
        fractions.starts_on,
        fractions.until_on,
        fractions.numerator,
        fractions.denominator,
        case
            when definitions.denominator_metric is null
                then fractions.numerator::double / definitions.factor
            else
                fractions.numerator::double
                / definitions.factor / nullif(fractions.denominator, 0)::double
        end as value
    from fractions
    inner join definitions
        on fractions.metric_name = definitions.metric_name
    union all
    select
        'cycle_days_median' as metric_name,
        source_key,
        slice_type,
        slice_value,
        slice_key,
        period_type,
        starts_on,
        until_on,
        null as numerator,
        won_count as denominator,
        value
    from medians
),

-- Numbers are known from the first record of their kind on.
known_from as (
    select
        source_key,
        metric_name as known_by,
        min(happened_on) as known_from_on
    from daily_sums
    where slice_type = 'pipeline'
    group by source_key, metric_name
),

first_days as (
    select
        source_key,
        min(known_from_on) as first_on
    from known_from
    group by source_key
),

dense_slices as (
    select
        connections.source_key,
        'all' as slice_type,
        'all' as slice_value,
        0 as slice_key,
        first_days.first_on as from_on,
        connections.report_as_of_on as until_on
    from connections
    inner join first_days
        on connections.source_key = first_days.source_key
    union all
    select
        pipelines.source_key,
        'pipeline' as slice_type,
        '' as slice_value,
        pipelines.pipeline_key as slice_key,
        first_days.first_on as from_on,
        connections.report_as_of_on as until_on
    from pipelines
    inner join first_days
        on pipelines.source_key = first_days.source_key
    inner join connections
        on pipelines.source_key = connections.source_key
    where
        pipelines.is_listed
        and not pipelines.is_archived
        and pipelines.pipeline_role <> 'ignore'
    union all
    select
        sellers.source_key,
        'employee' as slice_type,
        '' as slice_value,
        sellers.employee_key as slice_key,
        greatest(sellers.seller_from_on, first_days.first_on) as from_on,
        least(sellers.seller_until_on - 1, connections.report_as_of_on) as until_on
    from sellers
    inner join first_days
        on sellers.source_key = first_days.source_key
    inner join connections
        on sellers.source_key = connections.source_key
),

days_of_dense_slices as (
    select
        source_key,
        slice_type,
        slice_value,
        slice_key,
        {{ date_series('from_on', 'until_on') }}::date as date_day
    from dense_slices
    where from_on <= until_on
),

own_days as (
    select
        days_of_stretches.date_day,
        periods.period_key
    from periods
    inner join days_of_stretches
        on periods.period_type = days_of_stretches.period_type
        and periods.starts_on = days_of_stretches.starts_on
        and periods.counted_until_on = days_of_stretches.until_on
),

grid as (
    select
        days_of_dense_slices.source_key,
        days_of_dense_slices.slice_type,
        days_of_dense_slices.slice_value,
        days_of_dense_slices.slice_key,
        own_days.period_key
    from days_of_dense_slices
    inner join own_days
        on days_of_dense_slices.date_day = own_days.date_day
    group by all
    union
    select
        sums.source_key,
        sums.slice_type,
        sums.slice_value,
        sums.slice_key,
        periods.period_key
    from sums
    inner join periods
        on sums.period_type = periods.period_type
        and sums.starts_on = periods.starts_on
        and sums.until_on = periods.counted_until_on
    group by all
),

metrics as (
    select
        metric_name,
        known_by,
        denominator_metric is not null as is_ratio,
        equal_age_days
    from definitions
    union all
    select
        'cycle_days_median' as metric_name,
        'deals_created' as known_by,
        true as is_ratio,
        null as equal_age_days
),

asked as (
    select
        grid.source_key,
        grid.slice_type,
        grid.slice_value,
        grid.slice_key,
        periods.*,
        metrics.metric_name,
        metrics.is_ratio,
        metrics.metric_name in {{ now_metrics }} as is_now,
        metrics.equal_age_days,
        connections.report_as_of_on,
        known_from.known_from_on,
        case
            when metrics.known_by = 'calls'
                then least(
                    connections.report_as_of_on,
                    {{ local_date('coverage.known_until_at', 'connections.time_zone') }}
                )
            else connections.report_as_of_on
        end as known_until_on
    from grid
    inner join periods
        on grid.period_key = periods.period_key
    inner join connections
        on grid.source_key = connections.source_key
    left join coverage
        on grid.source_key = coverage.source_key
    cross join metrics
    left join known_from
        on grid.source_key = known_from.source_key
        and metrics.known_by = known_from.known_by
    where
        -- What describes now is nowhere else.
        (periods.is_current or metrics.metric_name not in {{ now_metrics }})
        and (
            {{ of_touched('slice_periods', part_key([
                part_key([
                    'grid.source_key', 'grid.slice_type', 'grid.slice_value', 'grid.slice_key',
                ]), 'grid.period_key',
            ])) }}
            or {{ of_touched('periods', 'grid.period_key') }}
            or {{ of_touched('employees', 'grid.slice_key') }}
            or {{ of_touched('sources', 'grid.source_key') }}
        )
),

breaks as (
    select
        grid.slice_key,
        grid.period_key,
        bool_or(
            set_versions.changed_on >= periods.previous_starts_on
            and set_versions.changed_on < periods.counted_until_on
        ) as is_broken,
        bool_or(
            set_versions.changed_on >= periods.year_before_starts_on
            and set_versions.changed_on < periods.counted_until_on
        ) as is_year_broken
    from grid
    inner join periods
        on grid.period_key = periods.period_key
    inner join set_versions
        on grid.slice_key = set_versions.pipeline_key
    where grid.slice_type = 'pipeline'
    group by grid.slice_key, grid.period_key
),

compared as (
    select
        asked.*,
        asked.known_from_on is not null
        and asked.counted_until_on > asked.known_from_on
        and asked.counted_until_on <= asked.known_until_on + 1
        and (
            asked.equal_age_days is null
            or asked.ends_on + asked.equal_age_days <= asked.report_as_of_on
        ) as is_known,
        own_values.numerator,
        own_values.denominator,
        case when asked.is_ratio then own_values.value else coalesce(own_values.value, 0) end
            as value,
        case
            when asked.is_ratio then compared_values.value
            else coalesce(compared_values.value, 0)
        end as compared_value,
        case
            when asked.is_ratio then previous_values.value
            else coalesce(previous_values.value, 0)
        end as previous_value,
        case
            when asked.is_ratio then year_values.value
            else coalesce(year_values.value, 0)
        end as year_before_value,
        coalesce(breaks.is_broken, false) as is_broken,
        coalesce(breaks.is_year_broken, false) as is_year_broken
    from asked
    {% for values, starts_on, until_on in [
        ('own_values', 'starts_on', 'counted_until_on'),
        ('compared_values', 'starts_on', 'compared_until_on'),
        ('previous_values', 'previous_starts_on', 'previous_until_on'),
        ('year_values', 'year_before_starts_on', 'year_before_until_on'),
    ] -%}
    left join valued as {{ values }}
        on asked.metric_name = {{ values }}.metric_name
        and asked.source_key = {{ values }}.source_key
        and asked.slice_type = {{ values }}.slice_type
        and asked.slice_value = {{ values }}.slice_value
        and asked.slice_key = {{ values }}.slice_key
        and asked.period_type = {{ values }}.period_type
        and asked.{{ starts_on }} = {{ values }}.starts_on
        and asked.{{ until_on }} = {{ values }}.until_on
    {% endfor -%}
    left join breaks
        on asked.slice_type = 'pipeline'
        and asked.slice_key = breaks.slice_key
        and asked.period_key = breaks.period_key
    -- Departments and sources have rows where something happened, the others always.
    where asked.slice_type in ('all', 'pipeline', 'employee') or own_values.source_key is not null
),

noted as (
    select
        *,
        case
            when is_now then 'now_only'
            when not is_known or compared_value is null then 'no_value'
            when complete_days_count <= 0 then 'no_complete_day'
            when previous_starts_on < known_from_on or previous_value is null then 'no_base'
            when previous_value = 0 then 'base_is_zero'
            when is_broken then 'stage_set_changed'
        end as growth_note,
        case
            when is_now then 'now_only'
            when not is_known or compared_value is null then 'no_value'
            when complete_days_count <= 0 then 'no_complete_day'
            when
                year_before_starts_on is null
                or year_before_starts_on < known_from_on
                or year_before_value is null
                then 'no_base'
            when year_before_value = 0 then 'base_is_zero'
            when is_year_broken then 'stage_set_changed'
        end as year_growth_note
    from compared
)

select
    {{ hash_key([
        'noted.metric_name', 'noted.source_key', 'noted.slice_type', 'noted.slice_value',
        'noted.slice_key', 'noted.period_key',
    ]) }} as sales_kpi_key,
    noted.metric_name,
    noted.period_key,
    noted.period_type,
    noted.starts_on,
    noted.ends_on,
    noted.is_finished,
    noted.is_current,
    noted.source_key,
    noted.slice_type,
    case noted.slice_type
        when 'pipeline' then coalesce(pipelines.pipeline_name, '(no card)')
        when 'employee' then {{ employee_label('employees') }}
        else noted.slice_value
    end as slice_value,
    pipelines.pipeline_key,
    employees.employee_key as reporting_employee_key,
    case
        when noted.is_known and noted.metric_name <> 'cycle_days_median'
            then coalesce(noted.numerator, 0)
    end as numerator,
    case when noted.is_known and noted.is_ratio then coalesce(noted.denominator, 0) end
        as denominator,
    case when noted.is_known then noted.value end as value,
    case when noted.growth_note is null then noted.compared_value end as compared_value,
    case when noted.growth_note is null then noted.previous_value end as previous_value,
    case
        when noted.growth_note is null then noted.compared_value / noted.previous_value - 1
    end as growth_share,
    noted.growth_note,
    case when noted.year_growth_note is null then noted.year_before_value end as year_before_value,
    case
        when noted.year_growth_note is null then noted.compared_value / noted.year_before_value - 1
    end as year_growth_share,
    noted.year_growth_note,
    noted.complete_days_count,
    noted.working_days_count,
    noted.previous_working_days_count,
    noted.year_before_working_days_count
from noted
left join pipelines
    on noted.slice_type = 'pipeline'
    and noted.slice_key = pipelines.pipeline_key
left join employees
    on noted.slice_type = 'employee'
    and noted.slice_key = employees.employee_key
