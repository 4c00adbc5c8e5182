{#-
    Which raw rows belong together. A row stands for a node (a deal, a contact, a call …) and names
    others. Nodes are 64-bit hashes: two that collide are built together once too often, nothing
    else. Their lowest bits tell of which ring they are. Leaves (calls, activities, rows of
    telephony) name cores (cards, clients, numbers and what else there is): who reads a leaf reads
    the cores that it names, but no core's table reads leaves; scope.sql says what follows from it.
-#}
{% macro leaf_kinds() -%}
    {{ return(['call', 'call_note', 'activity', 'pbx', 'pbx_row', 'link']) }}
{%- endmacro %}

{#- The bit of leaves, that of numbers and that of clients. -#}
{% macro leaf_bit() -%}{{ return(1) }}{%- endmacro %}
{% macro number_bit() -%}{{ return(2) }}{%- endmacro %}
{% macro client_bit() -%}{{ return(4) }}{%- endmacro %}

{% macro hashed_node(kind, hashed) -%}
    {%- if kind in leaf_kinds() -%}{%- set bit = leaf_bit() -%}
    {%- elif kind == 'e164' -%}{%- set bit = number_bit() -%}
    {%- elif kind in ('contact', 'company') -%}{%- set bit = client_bit() -%}
    {%- else -%}{%- set bit = 0 -%}
    {%- endif -%}
    ((hash('{{ kind }}', {{ hashed }}) >> 3) << 3) | {{ bit }}
{%- endmacro %}

{% macro node(kind, id) -%}
    case when {{ id }} is not null
        then {{ hashed_node(kind, 'source_key, (' ~ id ~ ')::bigint') }} end
{%- endmacro %}

{% macro text_node(kind, id) -%}
    case when {{ id }} is not null
        then {{ hashed_node(kind, 'source_key, (' ~ id ~ ')::varchar') }} end
{%- endmacro %}

{#- Ids and numbers that two systems share: no source_key. -#}
{% macro shared_node(kind, id) -%}
    case when nullif({{ id }}, '') is not null then {{ hashed_node(kind, id) }} end
{%- endmacro %}

{#- The node of a record that is named by the name of its list, as the loader's own tables do. -#}
{% macro listed_node(entity, id) -%}
    case {{ entity }}
        {% for name, kind in {
            'deals': 'deal', 'leads': 'lead', 'contacts': 'contact', 'companies': 'company',
            'activities': 'activity', 'tasks': 'task', 'calls': 'call', 'invoices': 'invoice',
            'stage_history': 'entry', 'lead_stage_history': 'lead_entry',
        }.items() -%}
        when '{{ name }}' then {{ node(kind, id) }}
        {% endfor %}
    end
{%- endmacro %}

{#- What only notes of amoCRM that are calls name. -#}
{% macro of_call_note(named) -%}
    case when note_type in ('call_in', 'call_out') then {{ named }} end
{%- endmacro %}

{#- The node of a note of amoCRM: calls are leaves, comments and messages belong to their card. -#}
{% macro note_node(id) -%}
    coalesce(
        {{ of_call_note(text_node('call_note', "entity_type || '/' || " ~ id)) }},
        {{ text_node('note', "entity_type || '/' || " ~ id) }}
    )
{%- endmacro %}

{#-
    The raw tables whose rows are followed, by schema; record_tables() says how. Apart from it, since
    whether a table is one of them is asked a thousand times in a build.
-#}
{% macro record_table_names() -%}
    {{ return({
        'raw_bitrix24': [
            'deals', 'leads', 'contacts', 'companies', 'calls', 'activities', 'activity_bindings',
            'activity_versions', 'stage_history', 'lead_stage_history', 'deal_versions',
            'lead_versions', 'product_rows', 'timeline_comments', 'tasks', 'task_history',
            'invoices', 'detail_reads', 'deleted_records',
        ],
        'raw_amocrm': [
            'leads', 'contacts', 'companies', 'events', 'notes', 'tasks', 'deleted_leads',
            'deleted_records',
        ],
        'raw_telephony': [
            'asterisk_cdr', 'mango_calls', 'megafon_calls', 'zadarma_calls', 'ringostat_calls',
            'binotel_calls', 'generic_calls', 'uis_calls', 'uis_call_legs',
        ],
        'raw_derived': ['phone_numbers'],
        'raw_company': ['owners'],
    }) }}
{%- endmacro %}

{#- Those of them whose rows are leaves without exception. -#}
{% macro leaf_table_names() -%}
    {{ return({
        'raw_bitrix24': ['calls', 'activities', 'activity_bindings', 'activity_versions'],
        'raw_telephony': record_table_names()['raw_telephony'],
    }) }}
{%- endmacro %}

{#-
    The raw tables whose rows are followed, with
    node: what a row belongs to; links: what it names; lists: the same as lists of nodes;
    phones, phone_lists: the texts of numbers in it; by_content: true where rows carry no load id,
    so that a change is found by comparing; is_child: true where a row names one core at most and
    is named by nothing; also: what a row may have been before it changed.
    Every other raw table (dictionaries, people, the company's rules) is context: see context.sql.
-#}
{% macro record_tables() %}
    {% set owner_card = "case owner_type_id when 1 then " ~ node('lead', 'nullif(owner_id, 0)')
        ~ " when 2 then " ~ node('deal', 'nullif(owner_id, 0)') ~ " end" %}
    {% set bound_card = "case entity_type_id when 1 then " ~ node('lead', 'entity_id')
        ~ " when 2 then " ~ node('deal', 'entity_id') ~ " end" %}
    {% set comment_card = "case entity_type when 'lead' then " ~ node('lead', 'entity_id')
        ~ " when 'deal' then " ~ node('deal', 'entity_id') ~ " end" %}
    {% set call_entity = "case upper(crm_entity_type)"
        ~ " when 'LEAD' then " ~ node('lead', 'nullif(crm_entity_id, 0)')
        ~ " when 'DEAL' then " ~ node('deal', 'nullif(crm_entity_id, 0)')
        ~ " when 'CONTACT' then " ~ node('contact', 'nullif(crm_entity_id, 0)')
        ~ " when 'COMPANY' then " ~ node('company', 'nullif(crm_entity_id, 0)') ~ " end" %}
    {% set read_owner = "case owner_type when 'lead' then " ~ node('lead', 'owner_id')
        ~ " when 'deal' then " ~ node('deal', 'owner_id')
        ~ " when 'activity' then " ~ node('activity', 'owner_id')
        ~ " when 'task' then " ~ node('task', 'owner_id') ~ " end" %}
    {% set amocrm_entity = "case"
        ~ " when entity_type in ('lead', 'leads') then " ~ node('deal', 'entity_id')
        ~ " when entity_type in ('contact', 'contacts') then " ~ node('contact', 'entity_id')
        ~ " when entity_type in ('company', 'companies') then " ~ node('company', 'entity_id')
        ~ " when entity_type in ('task', 'tasks') then " ~ node('task', 'entity_id') ~ " end" %}
    {% set bitrix24 = [
        {'table': 'deals', 'node': node('deal', 'id'), 'links': [
            node('contact', 'nullif(contact_id, 0)'), node('company', 'nullif(company_id, 0)'),
            node('lead', 'nullif(lead_id, 0)'),
        ]},
        {'table': 'leads', 'node': node('lead', 'id'), 'links': [
            node('contact', 'nullif(contact_id, 0)'), node('company', 'nullif(company_id, 0)'),
        ]},
        {'table': 'contacts', 'node': node('contact', 'id'),
            'links': [node('company', 'nullif(company_id, 0)')],
            'phone_lists': [multiple_field_values('phone')]},
        {'table': 'companies', 'node': node('company', 'id')},
        {'table': 'calls', 'node': node('call', 'id'), 'links': [
            shared_node('link', 'call_id'), shared_node('link', 'external_call_id'),
            node('activity', 'nullif(crm_activity_id, 0)'), call_entity,
        ], 'phones': ['phone_number']},
        {'table': 'activities', 'node': node('activity', 'id'), 'links': [owner_card]},
        {'table': 'activity_bindings', 'node': node('activity', 'activity_id'),
            'links': [bound_card]},
        {'table': 'activity_versions', 'node': node('activity', 'id'), 'by_content': true},
        {'table': 'stage_history', 'is_child': true, 'node': node('entry', 'id'),
            'links': [node('deal', 'owner_id')]},
        {'table': 'lead_stage_history', 'is_child': true, 'node': node('lead_entry', 'id'),
            'links': [node('lead', 'owner_id')]},
        {'table': 'deal_versions', 'node': node('deal', 'id'), 'by_content': true},
        {'table': 'lead_versions', 'node': node('lead', 'id'), 'by_content': true},
        {'table': 'product_rows', 'is_child': true, 'node': node('product_row', 'id'), 'links': [
            "case owner_type when 'D' then " ~ node('deal', 'owner_id') ~ " end",
        ]},
        {'table': 'timeline_comments', 'node': node('comment', 'id'), 'links': [comment_card]},
        {'table': 'tasks', 'node': node('task', 'id'), 'lists': [
            "list_transform(json_extract_string(uf_crm_task, '$[*]'), lambda card: case "
            ~ "when starts_with(card, 'D_') then " ~ node('deal', 'try_cast(substr(card, 3) as bigint)')
            ~ " when starts_with(card, 'L_') then " ~ node('lead', 'try_cast(substr(card, 3) as bigint)')
            ~ " end)",
        ]},
        {'table': 'task_history', 'is_child': true, 'node': node('task_entry', 'id'),
            'links': [node('task', 'task_id')]},
        {'table': 'invoices', 'node': node('invoice', 'id'), 'links': [
            node('contact', 'nullif(contact_id, 0)'), node('company', 'nullif(company_id, 0)'),
            node('deal', 'nullif(parent_id_2, 0)'),
        ]},
        {'table': 'detail_reads', 'node': read_owner, 'by_content': true},
        {'table': 'deleted_records', 'node': listed_node('entity', 'id'), 'by_content': true},
    ] %}
    {% set amocrm = [
        {'table': 'leads', 'node': node('deal', 'id'), 'lists': [
            "list_transform(json_extract_string(contacts, '$[*].id'), lambda contact: "
            ~ node('contact', 'try_cast(contact as bigint)') ~ ")",
            "list_transform(json_extract_string(companies, '$[*].id'), lambda company: "
            ~ node('company', 'try_cast(company as bigint)') ~ ")",
        ]},
        {'table': 'contacts', 'node': node('contact', 'id'), 'lists': [
            "list_transform(json_extract_string(companies, '$[*].id'), lambda company: "
            ~ node('company', 'try_cast(company as bigint)') ~ ")",
        ], 'phone_lists': [field_values('custom_fields_values', 'PHONE')]},
        {'table': 'companies', 'node': node('company', 'id')},
        {'table': 'events', 'is_child': true, 'node': text_node('event', 'id'),
            'links': [amocrm_entity]},
        {'table': 'notes', 'node': note_node('id'), 'links': [
            amocrm_entity, of_call_note(node('call_note', 'id')),
            of_call_note(shared_node('link', json_path_text('params', '$.uniq'))),
        ], 'phones': [of_call_note(json_path_text('params', '$.phone'))], 'also': [
            text_node('note', "entity_type || '/' || id"),
            text_node('call_note', "entity_type || '/' || id"),
        ]},
        {'table': 'tasks', 'node': node('task', 'id'), 'links': [amocrm_entity]},
        {'table': 'deleted_leads', 'node': node('deal', 'id')},
        {'table': 'deleted_records', 'node': "case when entity = 'leads' then " ~ node('deal', 'id')
            ~ " else " ~ listed_node('entity', 'id') ~ " end", 'by_content': true},
    ] %}
    {% set telephony = [
        {'table': 'asterisk_cdr', 'node': text_node('pbx_row', 'row_key'), 'links': [
            text_node('pbx', "coalesce(nullif(linkedid, ''), nullif(uniqueid, ''), row_key)"),
        ]},
        {'table': 'mango_calls', 'node': text_node('pbx_row', 'row_key'),
            'links': [text_node('pbx', 'entry_id')]},
        {'table': 'megafon_calls', 'node': text_node('pbx_row', 'row_key'),
            'links': [text_node('pbx', 'uid')]},
        {'table': 'zadarma_calls', 'node': text_node('pbx_row', 'row_key'), 'links': [
            text_node('pbx', "coalesce(nullif(pbx_call_id, ''), nullif(call_id, ''), row_key)"),
        ]},
        {'table': 'ringostat_calls', 'node': text_node('pbx', 'uniqueid')},
        {'table': 'binotel_calls', 'node': text_node('pbx', 'general_call_id')},
        {'table': 'generic_calls', 'node': text_node('pbx', 'id')},
        {'table': 'uis_calls', 'node': text_node('pbx', 'id')},
        {'table': 'uis_call_legs', 'node': text_node('pbx_row', 'id'),
            'links': [text_node('pbx', 'call_session_id')]},
    ] %}
    {% set derived = [
        {'table': 'phone_numbers', 'node': shared_node('phone', 'raw_text'), 'by_content': true},
    ] %}
    {% set company = [
        {'table': 'owners', 'node': node('deal', 'deal_id'), 'by_content': true},
    ] %}
    {% set records = [] %}
    {% for schema, tables in {
        'raw_bitrix24': bitrix24, 'raw_amocrm': amocrm, 'raw_telephony': telephony,
        'raw_derived': derived, 'raw_company': company,
    }.items() %}
        {% if tables | map(attribute='table') | list != record_table_names()[schema] %}
            {% do exceptions.raise_compiler_error(
                'record_table_names() and record_tables() differ in ' ~ schema ~ '.'
            ) %}
        {% endif %}
        {% for one in tables %}
            {% do records.append({
                'name': schema ~ '__' ~ one.table,
                'schema': schema,
                'table': one.table,
                'node': one.node,
                'links': one.get('links', []),
                'lists': one.get('lists', []),
                'phones': one.get('phones', []),
                'phone_lists': one.get('phone_lists', []),
                'by_content': one.get('by_content', false),
                'is_child': one.get('is_child', false),
                'also': one.get('also', []),
                'is_leaf': one.table in leaf_table_names().get(schema, []),
            }) %}
        {% endfor %}
    {% endfor %}
    {{ return(records) }}
{% endmacro %}

{#- Models in the normal form of legs: they know which party of a call is the client. -#}
{% macro leg_models() %}
    {{ return([
        'asterisk', 'mango', 'uis', 'megafon', 'zadarma', 'binotel', 'ringostat', 'generic',
    ]) }}
{% endmacro %}

{#- What the rows of a relation name, one by one and in lists: columns node and the one given. -#}
{% macro named_by(record, relation, singles, lists, column) -%}
    {%- for single in singles %}
    select {{ record.node }} as node, {{ single }} as {{ column }} from {{ relation }}
    {% if not loop.last or lists %}union all{% endif %}
    {%- endfor %}
    {%- for list in lists %}
    select {{ record.node }} as node, unnest({{ list }}) as {{ column }} from {{ relation }}
    {% if not loop.last %}union all{% endif %}
    {%- endfor %}
{%- endmacro %}
