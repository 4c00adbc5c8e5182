{#- What happened with a card by the card, what belongs to none by the day. -#}
{% macro card_or_day(card_key, happened_on) -%}
    {{ part_key([
        'coalesce(' ~ card_key ~ ', 0)',
        'case when ' ~ card_key ~ ' is null then ' ~ happened_on ~ ' end',
    ]) }}
{%- endmacro %}

{#- What describes now moves with as-of for every open card, what has happened for few. -#}
{% macro parts_of_metric_cards__by_metric() -%}
    {%- set events -%}
        {%- for table, card_key, happened_on, columns in [
            ('dim_cards', 'card_key', 'created_on', [
                'card_type', 'pipeline_key', 'card_url', 'client_key', 'source_name',
                'is_repeat_client', 'company_amount',
            ]),
            ('fct_requests', 'card_key', 'requested_on', [
                'source_key', 'requested_on', 'pipeline_key', 'stage_key',
                'reporting_employee_key', 'handled_on', 'handled_reporting_employee_key',
                'qualified_on', 'qualified_pipeline_key', 'qualified_stage_key',
                'qualified_reporting_employee_key',
            ]),
            ('fct_deal_creations', 'deal_key', 'created_on', [
                'source_key', 'created_on', 'pipeline_key', 'is_in_totals', 'stage_key',
                'reporting_employee_key', 'is_repeat_client', 'is_won', 'is_in_work',
                'won_after_seconds',
            ]),
            ('fct_stage_visits', 'card_key', 'entered_on', [
                'source_key', 'entered_on', 'pipeline_key', 'stage_key', 'reporting_employee_key',
            ]),
            ('fct_deal_closes', 'deal_key', 'closed_on', [
                'is_counted', 'outcome', 'source_key', 'closed_on', 'pipeline_key',
                'is_in_totals', 'stage_key', 'reporting_employee_key', 'company_amount',
                'cycle_seconds',
            ]),
            ('fct_calls', 'card_key', 'started_on', [
                'is_external', 'source_key', 'started_on', 'pipeline_key',
                'reporting_employee_key', 'is_successful', 'talk_seconds',
            ]),
            ('fct_touches', 'card_key', 'touched_on', [
                'touch_type', 'source_key', 'touched_on', 'reporting_employee_key',
            ]),
            ('fct_payments', 'deal_key', 'paid_on', [
                'source_key', 'paid_on', 'pipeline_key', 'reporting_employee_key',
                'company_amount',
            ]),
        ] -%}
        select
            {{ card_or_day(card_key, happened_on) }} as part,
            '{{ table }}' as told_by,
            {{ part_key(columns) }} as said
        from {{ table }}
        {%- if table == 'fct_touches' %}
        where touch_type in ('meeting', 'task')
        {%- endif %}
        {%- if not loop.last %}
        union all
        {% endif %}
        {%- endfor %}
    {%- endset -%}
    {%- set now -%}
        select
            open_cards.card_key,
            cards.card_type,
            cards.card_url,
            cards.client_key,
            cards.source_name,
            cards.company_amount as card_amount,
            open_cards.source_key,
            open_cards.counted_on,
            open_cards.pipeline_key,
            open_cards.stage_key,
            open_cards.current_reporting_employee_key,
            open_cards.company_amount,
            open_cards.is_forgotten
        from metric_open_cards__by_card as open_cards
        left join dim_cards as cards
            on open_cards.card_key = cards.card_key
    {%- endset -%}
    {%- set roles -%}
        select pipeline_key, null::bigint as stage_key, pipeline_role as said
        from dim_pipelines
        where pipeline_role = 'ignore'
        {%- for role in ['key', 'proposal'] %}
        union all
        select null, stage_key, '{{ role }}'
        from dim_stages
        where {{ has_role('stage_roles', role) }}
        {%- endfor %}
    {%- endset -%}
    {%- set touched_events -%}
        select part from changed_events
        {%- for table, card_key, happened_on in [
            ('fct_stage_visits', 'card_key', 'entered_on'),
            ('fct_deal_creations', 'deal_key', 'created_on'),
            ('fct_deal_closes', 'deal_key', 'closed_on'),
        ] %}
        union all
        select {{ card_or_day(card_key, happened_on) }}
        from {{ table }}
        where
            pipeline_key in (select pipeline_key from changed_roles where stage_key is null)
            {%- if table == 'fct_stage_visits' %}
            or stage_key in (select stage_key from changed_roles where pipeline_key is null)
            {%- endif %}
        {%- endfor %}
    {%- endset -%}
    {%- set is_touched -%}
        case
            when metric_name in ('open_cards', 'open_amount', 'forgotten_cards')
                then {{ of_touched('now', 'card_key') }}
            else {{ of_touched('events', card_or_day('card_key', 'happened_on')) }}
        end
    {%- endset -%}
    {{ return({
        'made_of': {
            'events': {'by': ['part'], 'rows': events},
            'now': {'by': ['card_key'], 'rows': now},
            'roles': {'by': ['pipeline_key', 'stage_key'], 'rows': roles},
        },
        'touched': {
            'events': touched_events,
            'now': 'select card_key as part from changed_now',
        },
        'is_touched': is_touched,
    }) }}
{%- endmacro %}

{#- Metrics counted of the same cards: closes are wins and losses, origins are creations. -#}
{% macro metric_family(metric_name) -%}
    case
        when {{ metric_name }} in ('won', 'lost', 'closed') then 'closed'
        when starts_with({{ metric_name }}, 'deals_origin_') then 'deals_created'
        else {{ metric_name }}
    end
{%- endmacro %}

{#- A day of a family: a changed deal touches the days of all that ever happened with it, but one or
    two metrics of each. -#}
{% macro parts_of_metric_daily_sums__by_slice() -%}
    {%- set days -%}
        select
            {{ metric_family('cards.metric_name') }} as family,
            cards.happened_on,
            cards.metric_name,
            cards.source_key,
            cards.pipeline_key,
            cards.is_in_totals,
            cards.reporting_employee_key,
            employees.department_name,
            cards.source_name,
            cards.contribution,
            case when cards.metric_name = 'deals_created' then cards.card_key end as deal_key
        from metric_cards__by_metric as cards
        left join dim_employees as employees
            on cards.reporting_employee_key = employees.employee_key
    {%- endset -%}
    {%- set origins -%}
        select
            created_on,
            deal_key,
            origin_of_day,
            origin_of_week,
            origin_of_month,
            origin_of_quarter,
            origin_of_year
        from fct_deal_creations
    {%- endset -%}
    {%- set touched_days -%}
        select {{ part_key(['family', 'happened_on']) }} as part from changed_days
        union all
        select {{ part_key(["'deals_created'", 'created_on']) }} from changed_origins
    {%- endset -%}
    {{ return({
        'made_of': {
            'days': {'by': ['family', 'happened_on'], 'rows': days},
            'origins': {'by': ['created_on'], 'rows': origins},
        },
        'touched': {'family_days': touched_days},
        'is_touched': of_touched(
            'family_days', part_key([metric_family('metric_name'), 'happened_on'])
        ),
    }) }}
{%- endmacro %}

{#- The slice of a row of sums of days; of those with a key the value is empty. -#}
{% macro kpi_slice(slice_key) -%}
    {{ part_key(['source_key', 'slice_type', 'slice_value', slice_key]) }}
{%- endmacro %}

{#- A stretch of days that a number is counted in. -#}
{% macro stretch_key(table) -%}
    {{ part_key([table ~ '.period_type', table ~ '.starts_on', table ~ '.until_on']) }}
{%- endmacro %}

{#- The days that the numbers of a period are made of: its own, and what it is compared with. -#}
{% macro stretches_of_periods() -%}
    select period_key, period_type, starts_on, counted_until_on as until_on from dim_periods
    union all
    select period_key, period_type, starts_on, compared_until_on from dim_periods
    union all
    select period_key, period_type, previous_starts_on, previous_until_on from dim_periods
    union all
    select period_key, period_type, year_before_starts_on, year_before_until_on from dim_periods
    where year_before_starts_on is not null
{%- endmacro %}

{#- A changed day of a slice concerns its periods with that day, and those compared with them. -#}
{% macro changed_slice_periods() -%}
    select
        changed.slice,
        days.period_key
    from (
        select slice, happened_on from changed_sums
        union
        select slice, closed_on from changed_wins
    ) as changed
    inner join (
        select
            period_key,
            {{ date_series('starts_on', '(until_on - 1)') }}::date as date_day
        from ({{ stretches_of_periods() }}) as stretches
        where until_on > starts_on
    ) as days
        on changed.happened_on = days.date_day
    group by changed.slice, days.period_key
{%- endmacro %}

{% macro parts_of_metric_sales_kpi__by_period() -%}
    {%- set sums -%}
        select
            {{ kpi_slice('coalesce(pipeline_key, reporting_employee_key, 0)') }} as slice,
            happened_on,
            metric_name,
            period_type,
            daily_value
        from metric_daily_sums__by_slice
    {%- endset -%}
    {%- set wins -%}
        select
            unnest([
                {% for slice_type, slice_value, slice_key in [
                    ("'all'", "'all'", '0'),
                    ("'pipeline'", "''", 'closes.pipeline_key'),
                    ("'employee'", "''", 'closes.reporting_employee_key'),
                    ("'department'", 'employees.department_name', '0'),
                    ("'source'", 'cards.source_name', '0'),
                ] -%}
                {{ part_key(['closes.source_key', slice_type, slice_value, slice_key]) }}
                {%- if not loop.last %},{% endif %}
                {% endfor -%}
            ]) as slice,
            closes.closed_on,
            closes.cycle_seconds
        from fct_deal_closes as closes
        inner join dim_cards as cards
            on closes.deal_key = cards.card_key
        inner join dim_employees as employees
            on closes.reporting_employee_key = employees.employee_key
        where closes.is_counted and closes.outcome = 'won'
    {%- endset -%}
    {%- set known -%}
        select
            periods.period_key,
            connections.source_key,
            definitions.known_by,
            definitions.equal_age_days,
            least(connections.report_as_of_on, periods.counted_until_on - 1) as dense_until_on,
            periods.counted_until_on <= connections.report_as_of_on + 1 as is_known,
            periods.counted_until_on
            <= {{ local_date('coverage.known_until_at', 'connections.time_zone') }} + 1
                as are_calls_known,
            periods.ends_on + definitions.equal_age_days <= connections.report_as_of_on
                as is_old_enough
        from dim_periods as periods
        cross join int_connections as connections
        cross join kpi_definitions as definitions
        left join int_call_coverage as coverage
            on connections.source_key = coverage.source_key
        where connections.is_crm
    {%- endset -%}
    {%- set employees -%}
        select
            employees.employee_key,
            {{ employee_label('employees') }} as employee_label,
            sellers.source_key,
            sellers.seller_from_on,
            sellers.seller_until_on
        from dim_employees as employees
        left join dim_sellers as sellers
            on employees.employee_key = sellers.employee_key
    {%- endset -%}
    {#- Pipelines and their sets of stages, and the first days of numbers: of what describes now the
        first day is always today. -#}
    {%- set sources -%}
        select
            source_key,
            {{ part_key([
                'pipeline_key', 'pipeline_name', 'pipeline_role', 'is_listed', 'is_archived',
            ]) }} as said
        from dim_pipelines
        union all
        select source_key, {{ part_key(['pipeline_key', 'changed_on']) }}
        from dim_stage_set_versions
        where is_break
        union all
        select source_key, {{ part_key(['known_by', 'min(happened_on)']) }}
        from (
            select
                source_key,
                happened_on,
                case when metric_name in (select known_by from kpi_definitions) then metric_name end
                    as known_by
            from metric_daily_sums__by_slice
            where slice_type = 'pipeline'
        )
        group by source_key, known_by
    {%- endset -%}
    {%- set touched_slice_periods -%}
        select {{ part_key(['slice', 'period_key']) }} as part from ({{ changed_slice_periods() }})
    {%- endset -%}
    {%- set touched_periods -%}
        select period_key as part from changed_periods
        union all
        select period_key from changed_known
    {%- endset -%}
    {%- set touched_slice_stretches -%}
        select {{ part_key(['changed.slice', stretch_key('stretches')]) }} as part
        from ({{ changed_slice_periods() }}) as changed
        inner join ({{ stretches_of_periods() }}) as stretches
            on changed.period_key = stretches.period_key
    {%- endset -%}
    {%- set touched_stretches -%}
        select {{ stretch_key('stretches') }} as part
        from ({{ stretches_of_periods() }}) as stretches
        where period_key in (
            select period_key from changed_periods
            union all
            select period_key from changed_known
        )
    {%- endset -%}
    {%- set slice_of_row -%}
        {{ part_key([
            'source_key', 'slice_type',
            "case when slice_type in ('all', 'department', 'source') then slice_value else '' end",
            'coalesce(pipeline_key, reporting_employee_key, 0)',
        ]) }}
    {%- endset -%}
    {%- set is_touched -%}
        {{ of_touched('slice_periods', part_key([slice_of_row, 'period_key'])) }}
        or {{ of_touched('periods', 'period_key') }}
        or {{ of_touched('employees', 'coalesce(reporting_employee_key, 0)') }}
        or {{ of_touched('sources', 'source_key') }}
    {%- endset -%}
    {{ return({
        'made_of': {
            'sums': {'by': ['slice', 'happened_on'], 'rows': sums},
            'wins': {'by': ['slice', 'closed_on'], 'rows': wins},
            'periods': {'by': ['period_key'], 'rows': 'select * from dim_periods'},
            'known': {'by': ['period_key'], 'rows': known},
            'employees': {'by': ['employee_key'], 'rows': employees},
            'sources': {'by': ['source_key'], 'rows': sources},
            'definitions': {'rows': 'select * from kpi_definitions'},
        },
        'touched': {
            'slice_periods': touched_slice_periods,
            'periods': touched_periods,
            'employees': 'select employee_key as part from changed_employees',
            'sources': 'select source_key as part from changed_sources',
            'slice_stretches': touched_slice_stretches,
            'stretches': touched_stretches,
        },
        'is_touched': is_touched,
    }) }}
{%- endmacro %}

{#- Means and ranks compare all sellers in one number of one period. -#}
{% macro parts_of_metric_scorecard__by_employee() -%}
    {%- set kpi -%}
        select *
        from metric_sales_kpi__by_period
        where period_type <> 'day' and slice_type in ('all', 'employee')
    {%- endset -%}
    {%- set plan_fact -%}
        select
            periods.period_key,
            plan_fact.metric_name,
            plan_fact.reporting_employee_key,
            plan_fact.plan_value,
            plan_fact.reached_share
        from metric_plan_fact__by_target as plan_fact
        inner join dim_periods as periods
            on plan_fact.period_type = periods.period_type
            and plan_fact.starts_on = periods.starts_on
        where
            plan_fact.target_kind = 'goal'
            and plan_fact.target_for = 'employee'
            and plan_fact.stage_key is null
    {%- endset -%}
    {%- set activity -%}
        select
            periods.period_key,
            periods.is_finished,
            periods.is_current,
            activity.*
        from metric_activity_index__by_month as activity
        inner join dim_periods as periods
            on activity.month_start_on = periods.starts_on and periods.period_type = 'month'
    {%- endset -%}
    {%- set sellers -%}
        select employee_key, source_key, employee_name, department_name from dim_sellers
    {%- endset -%}
    {%- set touched_numbers -%}
        select {{ part_key(['metric_name', 'period_key']) }} as part from changed_kpi
        union all
        select {{ part_key(['metric_name', 'period_key']) }} from changed_plan_fact
        union all
        select {{ part_key(["'activity_index'", 'period_key']) }} from changed_activity
    {%- endset -%}
    {{ return({
        'made_of': {
            'kpi': {'by': ['metric_name', 'period_key'], 'rows': kpi},
            'plan_fact': {'by': ['metric_name', 'period_key'], 'rows': plan_fact},
            'activity': {'by': ['period_key'], 'rows': activity},
            'sellers': {'rows': sellers},
            'definitions': {'rows': 'select * from kpi_definitions'},
        },
        'touched': {'numbers': touched_numbers},
        'is_touched': of_touched('numbers', part_key(['metric_name', 'period_key'])),
    }) }}
{%- endmacro %}
