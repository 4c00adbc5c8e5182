{#-
    Instants that as-of has crossed since the last complete build: from, until, and an hour before
    from. The clocks of an Asterisk show one hour twice, and its legs are moved to the right one.
-#}
{% macro crossed_windows() -%}
    {%- set windows = run_query(
        "select distinct strftime(last.as_of_at, '%Y-%m-%d %H:%M:%S.%f'), "
        ~ "strftime(now.as_of_at, '%Y-%m-%d %H:%M:%S.%f'), "
        ~ "strftime(last.as_of_at - interval 1 hour, '%Y-%m-%d %H:%M:%S.%f') from ("
        ~ as_of_by_connection() ~ ") as now inner join " ~ affected_relation('connections')
        ~ " as last on now.source_key = last.source_key and now.as_of_at <> last.as_of_at"
    ) -%}
    {{ return(windows.rows) }}
{%- endmacro %}

{% macro as_of_by_connection() -%}
    {%- set parts = [] -%}
    {%- for schema in ['raw_bitrix24', 'raw_amocrm', 'raw_telephony'] -%}
        {%- do parts.append(
            'select source_key, max(make_timestamp(epoch_us(cut_at))) as as_of_at from '
            ~ api.Relation.create(database=target.database, schema=schema, identifier='load_log')
            ~ ' group by source_key'
        ) -%}
    {%- endfor -%}
    {{ return(parts | join(' union all ')) }}
{%- endmacro %}

{#-
    Which keys a build has to compute anew: those that hang together with a raw row that is new,
    changed or gone since the last complete build, or that the moving as-of has crossed. Fills keys,
    nodes and the twins of raw tables; gives a reason if everything is concerned.
-#}
{% macro find_affected_keys() -%}
    {%- set seeds = affected_relation('seeds') -%}
    {%- set nodes = affected_relation('nodes') -%}
    {%- set links = affected_relation('links') -%}
    {%- set mentions = affected_relation('mentions') -%}
    {%- set windows = crossed_windows() -%}
    {%- for record in record_tables() -%}
        {%- set relation = raw_relation(record) -%}
        {%- set kept = affected_relation('seen_' ~ record.name) -%}
        {%- set conditions = [] -%}
        {%- if is_compared_by_content(record) -%}
            {%- set now = contents_of(record) -%}
            {%- do run_query(
                'insert into ' ~ seeds ~ ' select node from ((' ~ now ~ ' except all from ' ~ kept
                ~ ') union all (from ' ~ kept ~ ' except all ' ~ now ~ '))'
            ) -%}
        {%- else -%}
            {%- set news = run_query(
                'select distinct _dlt_load_id from ' ~ relation ~ ' except select load_id from '
                ~ kept
            ) -%}
            {%- set ids = [] -%}
            {%- for row in news.rows -%}{%- do ids.append("'" ~ row[0] ~ "'") -%}{%- endfor -%}
            {%- if ids -%}
                {%- do conditions.append('_dlt_load_id in (' ~ (ids | join(', ')) ~ ')') -%}
            {%- endif -%}
            {%- if run_query(
                'select (select count(*) from ' ~ relation ~ ') < (select max(rows_count) from '
                ~ kept ~ ')'
            ).rows[0][0] -%}
                {{ return(record.schema ~ '.' ~ record.table ~ ' has lost rows') }}
            {%- endif -%}
        {%- endif -%}
        {%- if conditions -%}
            {%- do run_query(
                'insert into ' ~ affected_relation(record.name) ~ ' select * from ' ~ relation
                ~ ' where ' ~ conditions[0]
            ) -%}
        {%- endif -%}
        {%- set crossed = [] -%}
        {%- for column in adapter.get_columns_in_relation(relation)
            if column.name not in ('received_at', 'last_seen_at', 'read_at', 'owner_changed_at') -%}
            {%- for window in windows -%}
                {%- if column.dtype | upper == 'TIMESTAMP WITH TIME ZONE' -%}
                    {%- set since = window[2 if record.schema == 'raw_telephony' else 0] -%}
                    {%- do crossed.append(
                        "(" ~ column.quoted ~ " > '" ~ since ~ "+00'::timestamptz and "
                        ~ column.quoted ~ " <= '" ~ window[1] ~ "+00'::timestamptz)"
                    ) -%}
                {%- elif column.dtype | upper == 'DATE' -%}
                    {%- do crossed.append(
                        "(" ~ column.quoted ~ " >= '" ~ window[0] ~ "'::timestamp::date - 1 and "
                        ~ column.quoted ~ " <= '" ~ window[1] ~ "'::timestamp::date + 1)"
                    ) -%}
                {%- endif -%}
            {%- endfor -%}
        {%- endfor -%}
        {%- if crossed -%}
            {%- do run_query(
                'insert into ' ~ seeds ~ ' select ' ~ record.node ~ ' from ' ~ relation
                ~ ' where ' ~ (crossed | join(' or '))
            ) -%}
        {%- endif -%}
        {%- if conditions -%}
            {%- do run_query(
                'insert into ' ~ seeds ~ ' select ' ~ record.node ~ ' from '
                ~ affected_relation(record.name)
            ) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- do run_query(
        'insert into ' ~ seeds ~ ' select node from ' ~ mentions
        ~ ' where mentioned in (select node from ' ~ seeds ~ ')'
    ) -%}
    {%- do add_links(true) -%}
    {%- do seed_changed_currencies(windows) -%}
    {%- if not gather_nodes() -%}
        {{ return('records hang together in a chain without end') }}
    {%- endif -%}
    {%- do run_query(
        'insert into ' ~ nodes ~ ' select distinct mentioned from ' ~ mentions
        ~ ' where node in (select node from ' ~ nodes ~ ')'
    ) -%}
    {%- for record in record_tables() -%}
        {%- do run_query(
            'create or replace table ' ~ affected_relation(record.name) ~ ' as select * from '
            ~ raw_relation(record) ~ ' where ' ~ record.node ~ ' in (select node from ' ~ nodes
            ~ ')'
        ) -%}
    {%- endfor -%}
    {%- do gather_keys() -%}
    {{ return('') }}
{%- endmacro %}

{#- Adds what rows name: of changed rows (their twins hold just those) or of all. -#}
{% macro add_links(only_changed) -%}
    {%- set links = affected_relation('links') -%}
    {%- set mentions = affected_relation('new_mentions') -%}
    {%- do run_query(
        'create or replace table ' ~ mentions ~ ' (node ubigint, mentioned ubigint)'
    ) -%}
    {%- for record in record_tables() -%}
        {%- set relation = affected_relation(record.name) if only_changed
            else raw_relation(record) -%}
        {%- if record.links or record.lists -%}
            {%- do run_query(
                'insert into ' ~ links ~ ' select node, linked from ('
                ~ named_by(record, relation, record.links, record.lists, 'linked')
                ~ ') where node is not null and linked is not null'
            ) -%}
        {%- endif -%}
        {%- if record.phones or record.phone_lists -%}
            {%- do run_query(
                'insert into ' ~ mentions ~ " select node, " ~ shared_node('phone', 'phone')
                ~ ' from ('
                ~ named_by(record, relation, record.phones, record.phone_lists, 'phone')
                ~ ") where nullif(phone, '') is not null"
            ) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- for system in leg_models() -%}
        {%- set name = 'int_' ~ system ~ '__call_legs' -%}
        {%- set relation = affected_relation('links_' ~ name) if only_changed
            else node_relation(graph.nodes['model.' ~ project_name ~ '.' ~ name]) -%}
        {%- do run_query(
            'insert into ' ~ links ~ ' select node, linked from (select distinct '
            ~ text_node('pbx', 'call_id') ~ ' as node, unnest(['
            ~ shared_node('link', 'call_id') ~ ', ' ~ shared_node('link', 'leg_id') ~ ', '
            ~ shared_node('link', 'link_id') ~ ']) as linked from ' ~ relation
            ~ ') where linked is not null'
        ) -%}
        {%- do run_query(
            'insert into ' ~ mentions ~ ' select distinct ' ~ text_node('pbx', 'call_id') ~ ', '
            ~ shared_node('phone', 'client_phone') ~ ' from ' ~ relation
            ~ " where nullif(client_phone, '') is not null"
        ) -%}
    {%- endfor -%}
    {#- A number ties calls and clients only if it is one: texts such as 101 or anonymous don't. -#}
    {%- do run_query(
        'insert into ' ~ links ~ ' select distinct mentions.node, '
        ~ shared_node('e164', 'phone_numbers.phone_e164') ~ ' from (from ' ~ mentions
        ~ ' union all from ' ~ affected_relation('mentions') ~ ' where mentioned in (from '
        ~ affected_relation('seeds') ~ ')) as mentions inner join (select '
        ~ shared_node('phone', 'raw_text')
        ~ ' as phone_node, phone_e164 from raw_derived.phone_numbers where phone_e164 is not null) '
        ~ 'as phone_numbers on mentions.mentioned = phone_numbers.phone_node'
    ) -%}
    {%- do run_query('insert into ' ~ affected_relation('mentions') ~ ' from ' ~ mentions) -%}
{%- endmacro %}

{#- Rates that are new, changed, or hold from a day on that as-of has reached: deals in them. -#}
{% macro seed_changed_currencies(windows) -%}
    {%- set relation = api.Relation.create(
        database=target.database, schema='staging', identifier='stg_company__currency_rates'
    ) -%}
    {%- set kept = affected_relation('seen_currency_rates') -%}
    {%- set conditions = ['false'] -%}
    {%- for window in windows -%}
        {%- do conditions.append(
            "valid_from_on between '" ~ window[0] ~ "'::timestamp::date - 1 and '" ~ window[1]
            ~ "'::timestamp::date + 1"
        ) -%}
    {%- endfor -%}
    {%- set columns = 'currency_code, valid_from_on, rate' -%}
    {%- set now = '(select ' ~ columns ~ ' from ' ~ relation ~ ')' -%}
    {%- set then = '(select ' ~ columns ~ ' from ' ~ kept ~ ')' -%}
    {%- do run_query(
        "insert into " ~ affected_relation('seeds') ~ " select " ~ node('deal', 'deal_id')
        ~ " from intermediate.int_deals where currency_code in (select currency_code from (("
        ~ now ~ " except " ~ then ~ ") union all (" ~ then ~ " except " ~ now ~ ")) union all "
        ~ "select currency_code from " ~ relation ~ " where " ~ (conditions | join(' or ')) ~ ")"
    ) -%}
{%- endmacro %}

{#- All that hangs together with the seeds; false if a thousand steps did not reach the end. -#}
{% macro gather_nodes() -%}
    {%- set nodes = affected_relation('nodes') -%}
    {%- set links = affected_relation('links') -%}
    {%- set frontier = affected_relation('frontier') -%}
    {%- set reached = affected_relation('reached') -%}
    {%- do run_query(
        'create or replace table ' ~ frontier ~ ' as select distinct node from '
        ~ affected_relation('seeds') ~ ' where node is not null'
    ) -%}
    {%- do run_query('insert into ' ~ nodes ~ ' from ' ~ frontier) -%}
    {%- set ns = namespace(is_growing=true) -%}
    {%- for step in range(1000) if ns.is_growing -%}
        {%- do run_query(
            'create or replace table ' ~ reached ~ ' as select distinct node from ('
            ~ 'select unnest([node, linked]) as node from ' ~ links ~ ' where node in (from '
            ~ frontier ~ ') or linked in (from ' ~ frontier ~ ')) '
            ~ 'where node not in (from ' ~ nodes ~ ')'
        ) -%}
        {%- set ns.is_growing = run_query('select count(*) > 0 from ' ~ reached).rows[0][0] -%}
        {%- if ns.is_growing -%}
            {%- do run_query('insert into ' ~ nodes ~ ' from ' ~ reached) -%}
            {%- do run_query('create or replace table ' ~ frontier ~ ' as from ' ~ reached) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(not ns.is_growing) }}
{%- endmacro %}
