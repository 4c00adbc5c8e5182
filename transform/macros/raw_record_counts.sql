{#-
    How many rows every raw table of records has, by connection: of all sources of the systems but
    what loads write about themselves. Says nothing while dbt parses.
-#}
{% macro raw_record_counts() -%}
    {% set kept = ['load_log', 'deleted_records', 'detail_reads', 'quarantine'] %}
    {% set sources = graph.sources.values() if execute else [] %}
    {% for source in sources | sort(attribute='unique_id')
        if source.source_name in ['raw_bitrix24', 'raw_amocrm', 'raw_telephony']
        and source.name not in kept
        and not source.name.endswith('_versions')
    %}
    select
        source_key,
        '{{ source.source_name }}.{{ source.name }}' as raw_table,
        count(*) as rows_held
    from {{ source.relation_name }}
    group by source_key
    {% if not loop.last %}union all{% endif %}
    {% else %}
    select
        null as source_key,
        null as raw_table,
        0 as rows_held
    {% endfor %}
{%- endmacro %}
