{#- What a custom field, or a row of products, says of a card: one number to compare. -#}
{% macro segments_of_cards(values, card_key, columns) -%}
    (
        select {{ card_key }} as card_key, sum({{ part_key(columns) }}) as said
        from {{ values }}
        group by {{ card_key }}
    )
{%- endmacro %}

{% macro parts_of_metric_call_load__by_stage() -%}
    {%- set calls -%}
        select
            calls.started_on,
            calls.source_key,
            calls.pipeline_key,
            calls.stage_key,
            calls.match_method,
            calls.card_key,
            calls.reporting_employee_key,
            calls.direction,
            calls.is_answered,
            calls.is_successful,
            calls.talk_seconds,
            calls.is_on_shared_line,
            calls.is_spread,
            {{ employee_label('employees') }} as talker_label,
            employees.department_name,
            deals.source_name as source_of_deal,
            leads.source_name as source_of_lead,
            fields.said as fields_said
        from fct_calls as calls
        inner join dim_employees as employees
            on calls.reporting_employee_key = employees.employee_key
        left join fct_deals as deals
            on calls.deal_key = deals.deal_key
        left join fct_leads as leads
            on calls.lead_key = leads.lead_key
        left join {{ segments_of_cards(
            'int_custom_field_values', 'card_key', ['segment_type', 'segment_value']
        ) }} as fields
            on calls.card_key = fields.card_key
        where calls.is_external
    {%- endset -%}
    {%- set dense_days -%}
        select
            dates.date_day,
            connections.source_key
        from int_connections as connections
        inner join (
            select source_key, min(started_on) as first_on
            from fct_calls
            where is_external
            group by source_key
        ) as first_days
            on connections.source_key = first_days.source_key
        inner join dim_dates as dates
            on first_days.first_on <= dates.date_day and connections.as_of_on >= dates.date_day
    {%- endset -%}
    {%- set sources -%}
        select
            source_key,
            {{ part_key([
                'stage_key', 'pipeline_key', 'stage_name', 'stage_position', 'is_listed',
            ]) }} as said
        from dim_stages
        union all
        select
            source_key,
            {{ part_key([
                'pipeline_key', 'pipeline_name', 'pipeline_role', 'is_listed', 'is_archived',
            ]) }}
        from dim_pipelines
    {%- endset -%}
    {%- set touched_days -%}
        select started_on as part from changed_calls
        union all
        select date_day from changed_dense_days
    {%- endset -%}
    {#- Of a touched source every day. -#}
    {%- set touched_dates -%}
        {{ touched_days }}
        union all
        select date_day from dim_dates where exists (select 1 from changed_sources)
    {%- endset -%}
    {{ return({
        'made_of': {
            'calls': {'by': ['started_on'], 'rows': calls},
            'dense_days': {'by': ['date_day'], 'rows': dense_days},
            'sources': {'by': ['source_key'], 'rows': sources},
            'segments': {'rows': 'select distinct segment_type from stg_company__segments'},
        },
        'touched': {
            'days': touched_days,
            'dates': touched_dates,
            'sources': 'select source_key as part from changed_sources',
        },
        'is_touched': of_touched('days', 'called_on') ~ ' or '
            ~ of_touched('sources', 'source_key'),
    }) }}
{%- endmacro %}

{% macro parts_of_metric_segment_sums__by_day() -%}
    {%- set told -%}
        (
            select
                cards.metric_name,
                cards.happened_on,
                cards.card_key,
                {{ part_key([
                    'cards.metric_name', 'cards.source_key', 'cards.pipeline_key',
                    'cards.reporting_employee_key', 'cards.card_key', 'cards.source_name',
                    'cards.contribution', employee_label('employees'), 'employees.department_name',
                    'segments.said', 'products.said',
                ]) }} as said
            from metric_cards__by_metric as cards
            inner join dim_employees as employees
                on cards.reporting_employee_key = employees.employee_key
            left join {{ segments_of_cards(
                'dim_card_segments', 'card_key', ['segment_type', 'segment_value']
            ) }} as segments
                on cards.card_key = segments.card_key
            left join {{ segments_of_cards(
                'fct_deal_products', 'deal_key', ['product_name', 'amount_share']
            ) }} as products
                on cards.card_key = products.card_key
            where
                cards.is_in_totals
                and cards.metric_name in (
                    'calls', 'successful_calls', 'talk_seconds', 'won', 'won_amount',
                    'won_with_amount', 'lost'
                )
        )
    {%- endset -%}
    {%- set closings -%}
        (
            select card_key, happened_on
            from metric_cards__by_metric
            where is_in_totals and metric_name in ('won', 'lost')
            group by card_key, happened_on
        )
    {%- endset -%}
    {#- All calls ever of a deal stand on the days on which it was closed. -#}
    {%- set closed_deals -%}
        select
            closings.happened_on,
            told.happened_on as told_on,
            told.said
        from {{ told }} as told
        inner join {{ closings }} as closings
            on told.card_key = closings.card_key
    {%- endset -%}
    {%- set touched_days -%}
        select happened_on as part from changed_days
        union all
        select happened_on from changed_closed_deals
    {%- endset -%}
    {%- set touched_cards -%}
        select card_key as part
        from {{ closings }} as closings
        where happened_on in ({{ touched_days | replace(' as part', '') }})
    {%- endset -%}
    {{ return({
        'made_of': {
            'days': {'by': ['happened_on'], 'rows': 'select happened_on, said from ' ~ told},
            'closed_deals': {'by': ['happened_on'], 'rows': closed_deals},
            'pipelines': {'rows': 'select pipeline_key, pipeline_name from dim_pipelines'},
            'segments': {'rows': 'select distinct segment_type from stg_company__segments'},
        },
        'touched': {'days': touched_days, 'cards': touched_cards},
        'is_touched': of_touched('days', 'happened_on'),
    }) }}
{%- endmacro %}

{#- Rows whose shares add up to 1 in a period. -#}
{% macro segment_of_view(table='') -%}
    {%- set prefix = table ~ '.' if table else '' -%}
    {{ part_key([
        prefix ~ 'call_view', prefix ~ 'source_key', prefix ~ 'segment_type'
    ]) }}
{%- endmacro %}

{% macro parts_of_metric_call_proportions__by_segment() -%}
    {%- set days -%}
        select
            {{ segment_of_view() }} as segment,
            sums.*
        from metric_segment_sums__by_day as sums
    {%- endset -%}
    {%- set periods -%}
        select period_key, period_type, starts_on, ends_on, is_finished, counted_until_on
        from dim_periods
    {%- endset -%}
    {%- set touched_segment_periods -%}
        select {{ part_key(['changed.segment', 'days.period_key']) }} as part
        from changed_days as changed
        inner join (
            select
                period_key,
                {{ date_series('starts_on', '(counted_until_on - 1)') }}::date as date_day
            from dim_periods
        ) as days
            on changed.happened_on = days.date_day
    {%- endset -%}
    {%- set is_touched -%}
        {{ of_touched('segment_periods', part_key([segment_of_view(), 'period_key'])) }}
        or {{ of_touched('periods', 'period_key') }}
    {%- endset -%}
    {{ return({
        'made_of': {
            'days': {'by': ['segment', 'happened_on'], 'rows': days},
            'periods': {'by': ['period_key'], 'rows': periods},
        },
        'touched': {
            'segment_periods': touched_segment_periods,
            'periods': 'select period_key as part from changed_periods',
        },
        'is_touched': is_touched,
    }) }}
{%- endmacro %}
