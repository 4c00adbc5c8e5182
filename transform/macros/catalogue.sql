{#-
    The metric catalogue: what stands in the yml files of models and of the semantic layer's
    metrics (`meta.catalogue`, `meta.catalogue_terms`) as rows, an entry in one language each.
    docs/decisions/0018 says where a text stands and what an entry takes from others. Read from
    dbt's graph when the model is compiled, so that there is no second copy, and in the order of
    names, so that equal texts give equal SQL.
-#}
{% macro catalogue_languages() -%}
    {{ return(['en', 'ru', 'uk']) }}
{%- endmacro %}

{% macro catalogue_columns() -%}
    {{ return([
        'entry_kind', 'entry_name', 'report', 'table_name', 'column_name', 'language', 'name',
        'definition', 'formula', 'unit', 'grain', 'additivity', 'question', 'trap', 'action',
        'example',
    ]) }}
{%- endmacro %}

{#- Keys and ids are joined on, not read: they have no entry. -#}
{% macro is_in_catalogue(column_name) -%}
    {{ return(not (column_name.endswith('_key') or column_name.endswith('_id'))) }}
{%- endmacro %}

{#- A text in a language; one that is the same in all (a formula of column names) stands alone. -#}
{% macro catalogue_text(texts, language) -%}
    {{ return(texts[language] if texts is mapping else texts) }}
{%- endmacro %}

{#- The unit that a column's name or type tells; what they don't tell stands in the entry. -#}
{% macro catalogue_unit(name, data_type) -%}
    {%- for suffix in ['seconds', 'days', 'count', 'share', 'amount', 'minutes'] -%}
        {%- if name == suffix or name.endswith('_' ~ suffix)
            or '_' ~ suffix ~ '_' in name or name.startswith(suffix ~ '_') -%}
            {{ return(suffix) }}
        {%- endif -%}
    {%- endfor -%}
    {{ return({'date': 'date', 'timestamp': 'instant', 'boolean': 'flag'}.get(data_type)) }}
{%- endmacro %}

{#- All models in the order of their names. -#}
{% macro catalogue_models() -%}
    {{ return(graph.nodes.values() | selectattr('resource_type', 'equalto', 'model')
        | sort(attribute='name') | list) }}
{%- endmacro %}

{#- The entry of each column name, from the table where it is at home, and of each metric. -#}
{% macro catalogue_homes(models) -%}
    {%- set homes = {} -%}
    {%- for model in models -%}
        {%- for column in model.columns.values() if column.config.meta.catalogue is defined -%}
            {%- if column.name not in homes -%}
                {%- do homes.update({column.name: column.config.meta.catalogue}) -%}
            {%- endif -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- for model in models -%}
        {%- for column in model.columns.values() -%}
            {%- for term in column.config.meta.get('catalogue_terms', [])
                if term.kind == 'metric' and term.term not in homes -%}
                {%- do homes.update({term.term: term}) -%}
            {%- endfor -%}
        {%- endfor -%}
    {%- endfor -%}
    {{ return(homes) }}
{%- endmacro %}

{#- The rows of one entry; `told` is what does not depend on the language. -#}
{% macro add_catalogue_rows(rows, entry, told, units) -%}
    {%- set unit = entry.unit or told.unit -%}
    {%- for language in catalogue_languages() -%}
        {%- set row = dict(told, language=language, report=entry.report) -%}
        {%- for field in [
            'name', 'definition', 'formula', 'grain', 'question', 'trap', 'action', 'example',
        ] -%}
            {%- do row.update({field: catalogue_text(entry[field], language)}) -%}
        {%- endfor -%}
        {%- do row.update({'unit': units[unit][language] if unit}) -%}
        {%- do rows.append(row) -%}
    {%- endfor -%}
{%- endmacro %}

{#-
    The rows of the semantic layer's metrics that no table holds as rows. A metric with the name of
    a column is that number and takes its text; any other one tells its own, and to which report's
    table it belongs.
-#}
{% macro add_semantic_metric_rows(rows, models, units) -%}
    {%- set told = rows | selectattr('entry_kind', 'equalto', 'metric')
        | map(attribute='entry_name') | list -%}
    {%- for metric in graph.metrics.values() | sort(attribute='name')
        if metric.name not in told -%}
        {%- set homes = [] -%}
        {%- for model in models -%}
            {%- for column in model.columns.values()
                if column.name == metric.name and column.config.meta.catalogue is defined -%}
                {%- do homes.append({
                    'entry': column.config.meta.catalogue, 'table_name': model.name,
                    'additivity': column.config.meta.additivity,
                    'unit': catalogue_unit(column.name, column.data_type),
                }) -%}
            {%- endfor -%}
        {%- endfor -%}
        {%- set own = metric.config.meta.catalogue -%}
        {%- if own -%}
            {%- set homes = [{
                'entry': own, 'table_name': own.table, 'additivity': own.additivity,
                'unit': catalogue_unit(metric.name, none),
            }] -%}
        {%- endif -%}
        {%- for home in homes[:1] -%}
            {%- do add_catalogue_rows(rows, dict(home.entry, report=none), {
                'entry_kind': 'metric', 'entry_name': metric.name,
                'table_name': home.table_name, 'additivity': home.additivity, 'unit': home.unit,
            }, units) -%}
        {%- endfor -%}
    {%- endfor -%}
{%- endmacro %}

{#- All rows. What a column takes from its report is left to SQL: it would triple the text. -#}
{% macro catalogue_rows() -%}
    {%- set rows = [] -%}
    {%- set models = catalogue_models() -%}
    {%- set homes = catalogue_homes(models) -%}
    {%- set units = (models | selectattr('name', 'equalto', 'metric_catalogue') | first)
        .config.meta.catalogue_units -%}
    {%- for model in models -%}
        {%- set report = model.config.meta.catalogue -%}
        {%- if report -%}
            {%- set sentence = (model.description | replace('\n', ' ')).split('. ')[0] -%}
            {%- set grain = dict(report.grain, en=sentence.strip().rstrip('.')) -%}
            {%- do add_catalogue_rows(rows, dict(report, grain=grain), {
                'entry_kind': 'report', 'entry_name': model.name, 'table_name': model.name,
            }, units) -%}
        {%- endif -%}
        {%- for term in model.config.meta.get('catalogue_terms', []) -%}
            {%- do add_catalogue_rows(rows, term, {
                'entry_kind': term.kind, 'entry_name': term.term,
            }, units) -%}
        {%- endfor -%}
        {%- for column in model.columns.values() -%}
            {%- set entry = column.config.meta.catalogue or homes[column.name] -%}
            {%- if (report or model.schema == 'metrics') and entry
                and is_in_catalogue(column.name) -%}
                {%- do add_catalogue_rows(rows, dict(entry, report=none), {
                    'entry_kind': 'column', 'entry_name': column.name,
                    'table_name': model.name, 'column_name': column.name,
                    'additivity': column.config.meta.additivity,
                    'unit': catalogue_unit(column.name, column.data_type),
                }, units) -%}
            {%- endif -%}
            {%- for term in column.config.meta.get('catalogue_terms', []) -%}
                {%- do add_catalogue_rows(rows, term, {
                    'entry_kind': term.kind, 'entry_name': term.term,
                    'table_name': model.name, 'column_name': column.name,
                    'additivity': term.additivity,
                    'unit': catalogue_unit(term.term, none) if term.kind == 'metric',
                }, units) -%}
            {%- endfor -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- do add_semantic_metric_rows(rows, models, units) -%}
    {{ return(rows) }}
{%- endmacro %}

{#- The rows as SQL. dbt has no graph while it parses: no rows then, but the same columns. -#}
{% macro catalogue_values() -%}
    {%- set columns = catalogue_columns() -%}
    {%- set rows = catalogue_rows() if execute else [] -%}
    select
        {% for column in columns -%}
        cast({{ column }} as varchar) as {{ column }},
        {% endfor -%}
        cast(entry_position as bigint) as entry_position
    from (
        values
        {% for row in rows -%}
        (
        {%- for column in columns -%}
            {%- if row[column] -%}
                '{{ (row[column] | string).strip() | replace("'", "''") }}', {% else -%}
                null, {% endif -%}
        {%- endfor -%}
        {{ (loop.index0 // catalogue_languages() | length) + 1 }}){{ ',' if not loop.last }}
        {% else -%}
        ({{ (['null'] * columns | length) | join(', ') }}, null)
        {% endfor -%}
    ) as told ({{ columns | join(', ') }}, entry_position)
    where entry_name is not null
{%- endmacro %}
