{#-
    Which keys a build has to compute anew: those that hang together with a raw row that is new,
    changed or gone since the last complete build, or that the moving as-of has crossed.
-#}
{% macro begin_affected_keys() -%}
    {%- do run_query('create schema if not exists affected') -%}
    {%- do run_query(
        'create table if not exists ' ~ affected_relation('runs')
        ~ ' (invocation_id varchar, model_name varchar, fingerprint varchar, is_whole boolean)'
    ) -%}
    {%- do run_query(
        'create table if not exists ' ~ affected_relation('state')
        ~ ' (invocation_id varchar, rules varchar)'
    ) -%}
    {%- do run_query(
        'create table if not exists ' ~ affected_relation('connections')
        ~ ' (source_key varchar, as_of_at timestamp)'
    ) -%}
    {%- do run_query(
        'create or replace table ' ~ affected_relation('contexts')
        ~ ' (context_name varchar, has_changed boolean)'
    ) -%}
    {%- do run_query(
        'create or replace table ' ~ affected_relation('keys') ~ ' (kind varchar, key bigint)'
    ) -%}
    {%- do run_query(
        'create or replace table ' ~ affected_relation('nodes') ~ ' (node ubigint)'
    ) -%}
    {%- do run_query(
        'create or replace table ' ~ affected_relation('seeds') ~ ' (node ubigint)'
    ) -%}
    {%- set last = run_query('select invocation_id, rules from ' ~ affected_relation('state')) -%}
    {#- What is begun is not complete until its end. -#}
    {%- do run_query('delete from ' ~ affected_relation('state')) -%}
    {%- set reason = namespace(text='') -%}
    {%- if not builds_all_models() -%}
        {%- set reason.text = 'only some models are selected' -%}
    {%- elif should_full_refresh() or flags.FULL_REFRESH -%}
        {%- set reason.text = '--full-refresh' -%}
    {%- elif not last.rows | length -%}
        {%- set reason.text = 'no build before it was complete' -%}
    {%- elif last.rows[0][1] != rules_of_affected_keys() -%}
        {%- set reason.text = 'another version of callfunnel or DuckDB has built before' -%}
    {%- endif -%}
    {%- for record in record_tables() -%}
        {%- do run_query(
            'create or replace table ' ~ affected_relation(record.name) ~ ' as select * from '
            ~ raw_relation(record) ~ ' limit 0'
        ) -%}
    {%- endfor -%}
    {%- if reason.text == '' -%}
        {%- set reason.text = find_affected_keys() -%}
    {%- endif -%}
    {%- do run_query(
        "create or replace table " ~ affected_relation('plan') ~ " as select '" ~ invocation_id
        ~ "' as invocation_id, " ~ (reason.text == '') ~ " as is_incremental, '"
        ~ (last.rows[0][0] if last.rows | length else '') ~ "' as last_invocation_id, '"
        ~ reason.text | replace("'", "''") ~ "' as reason"
    ) -%}
    {%- if reason.text != '' -%}
        {%- do log('All models are built whole: ' ~ reason.text ~ '.', info=true) -%}
    {%- endif -%}
    {#- Looking at columns has begun a transaction. -#}
    {%- do adapter.commit() -%}
{%- endmacro %}

{% macro raw_relation(record) -%}
    {{ return(api.Relation.create(
        database=target.database, schema=record.schema, identifier=record.table
    )) }}
{%- endmacro %}

{#-
    What a kept state depends on besides the data: how nodes are hashed and what they link, and the
    SQL of the tables that find_affected_keys reads as the last build has left them.
-#}
{% macro rules_of_affected_keys() -%}
    {%- set read = [] -%}
    {%- for node in graph.nodes.values()
        if node.resource_type == 'model' and (
            node.name in tables_with_own_keys() | map(attribute='table') | list
            or node.name == 'int_deals' or node.config.get('is_linked')
        ) -%}
        {%- do read.append(node.raw_code) -%}
    {%- endfor -%}
    {{ return(local_md5(
        run_query('select version()').rows[0][0] ~ (record_tables() | string)
        ~ (tables_with_own_keys() | string) ~ (read | sort | join)
    )) }}
{%- endmacro %}

{#- Models that tables built by affected keys may read; metrics are read by nobody. -#}
{% macro is_below_metrics(node) -%}
    {{ return(
        node.resource_type in ('model', 'seed')
        and node.schema in ('seeds', 'staging', 'intermediate', 'marts')
    ) }}
{%- endmacro %}

{% macro builds_all_models() -%}
    {%- if flags.WHICH not in ('build', 'run') -%}
        {{ return(false) }}
    {%- endif -%}
    {%- for node in graph.nodes.values()
        if node.resource_type == 'model' and is_below_metrics(node)
        and node.unique_id not in selected_resources -%}
        {{ return(false) }}
    {%- endfor -%}
    {{ return(true) }}
{%- endmacro %}

{#-
    Instants that as-of has crossed since the last complete build, from and until; an hour more,
    since the clocks of an Asterisk show one hour twice and legs are moved to the right one.
-#}
{% macro crossed_windows() -%}
    {%- set windows = run_query(
        "select distinct strftime(last.as_of_at - interval 1 hour, '%Y-%m-%d %H:%M:%S.%f'), "
        ~ "strftime(now.as_of_at, '%Y-%m-%d %H:%M:%S.%f') from ("
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

{#- Fills keys, nodes and the twins of raw tables; gives a reason if everything is concerned. -#}
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
                    {%- do crossed.append(
                        "(" ~ column.quoted ~ " > '" ~ window[0] ~ "+00'::timestamptz and "
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
        {{ return('most of what there is has changed') }}
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

{#- Tables that the load writes itself have no load ids, nor have those of tests. -#}
{% macro is_compared_by_content(record) -%}
    {{ return(
        record.by_content or '_dlt_load_id' not in (
            adapter.get_columns_in_relation(raw_relation(record)) | map(attribute='name') | list
        )
    ) }}
{%- endmacro %}

{#- Of a load that was killed more rows may come under the same id. -#}
{% macro complete_loads(record) -%}
    {%- set loads = api.Relation.create(
        database=target.database, schema=record.schema, identifier='_dlt_loads'
    ) -%}
    {{ return(
        ' where _dlt_load_id in (select load_id from ' ~ loads ~ ' where status = 0)'
        if load_relation(loads) else ''
    ) }}
{%- endmacro %}

{#- A table without load ids, row by row: node and hash of the content. -#}
{% macro contents_of(record) -%}
    {%- set columns = [] -%}
    {%- for column in adapter.get_columns_in_relation(raw_relation(record)) -%}
        {%- if column.name not in ('_dlt_load_id', '_dlt_id', 'line') -%}
            {%- do columns.append(column.quoted) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(
        'select ' ~ record.node ~ ' as node, hash(' ~ (columns | join(', ')) ~ ') as row_hash from '
        ~ raw_relation(record)
    ) }}
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
                ~ links_of(record, relation) ~ ') where node is not null and linked is not null'
            ) -%}
        {%- endif -%}
        {%- if record.phones or record.phone_lists -%}
            {%- do run_query(
                'insert into ' ~ mentions ~ " select node, " ~ shared_node('phone', 'phone')
                ~ ' from (' ~ phones_of(record, relation) ~ ") where nullif(phone, '') is not null"
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

{#- All that hangs together with the seeds; false if that is most of what there is. -#}
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

{#- The keys of a kind; ids of two kinds may be equal, and then so are their keys. -#}
{% macro affected_keys_of(kind) -%}
    (select key from {{ affected_relation('keys') }} where kind = '{{ kind }}')
{%- endmacro %}

{#- Which kind of keys a column holds. -#}
{% macro kind_of_column(column) -%}
    {{ return({
        'card_key': 'card', 'deal_key': 'card', 'lead_key': 'card',
        'call_key': 'call', 'pbx_call_key': 'call', 'row_key': 'call',
        'contact_key': 'client', 'contact_client_key': 'client',
        'task_key': 'task', 'message_key': 'message', 'crm_action_key': 'action',
        'touch_key': 'touch',
    }[column]) }}
{%- endmacro %}

{#- What the last build has made of affected records, under keys of its own; in this order. -#}
{% macro tables_with_own_keys() -%}
    {%- set in_nodes = ' in (select node from ' ~ affected_relation('nodes') ~ ')' -%}
    {{ return([
        {'kind': 'call', 'key': 'pbx_call_key', 'table': 'int_pbx_call_legs',
            'condition': text_node('pbx', 'pbx_call_id') ~ in_nodes},
        {'kind': 'task', 'key': 'task_key', 'table': 'int_tasks',
            'condition': planned_node() ~ in_nodes},
        {'kind': 'message', 'key': 'message_key', 'table': 'int_messages',
            'condition': message_node() ~ in_nodes},
        {'kind': 'record', 'key': 'comment_key', 'table': 'int_comments',
            'condition': card_node() ~ in_nodes},
        {'kind': 'record', 'key': hash_key(['card_key', 'changed_at', 'coalesce(employee_key, 0)']),
            'table': 'int_card_changes', 'condition': card_node() ~ in_nodes},
        {'kind': 'record', 'key': 'deadline_move_key', 'table': 'int_deadline_moves',
            'condition': 'task_key in ' ~ affected_keys_of('task')},
        {'kind': 'action', 'key': 'crm_action_key', 'table': 'int_crm_actions',
            'condition': 'card_key in ' ~ affected_keys_of('card')
                ~ ' or record_key in ' ~ affected_keys_of('task')
                ~ ' or record_key in ' ~ affected_keys_of('message')
                ~ ' or record_key in ' ~ affected_keys_of('record')},
    ]) }}
{%- endmacro %}

{#- The keys of the affected records, as tables have them. -#}
{% macro gather_keys() -%}
    {%- set keys = affected_relation('keys') -%}
    {%- for kind, table, parts in [
        ('card', 'raw_bitrix24__deals', ['source_key', 'id']),
        ('card', 'raw_bitrix24__leads', ['source_key', "'lead'", 'id']),
        ('card', 'raw_amocrm__leads', ['source_key', 'id']),
        ('client', 'raw_bitrix24__contacts', ['source_key', "'contact'", 'id']),
        ('client', 'raw_amocrm__contacts', ['source_key', "'contact'", 'id']),
        ('call', 'raw_bitrix24__calls', ['source_key', 'id']),
        ('call', 'raw_amocrm__notes', ['source_key', 'id']),
    ] -%}
        {%- do run_query(
            "insert into " ~ keys ~ " select '" ~ kind ~ "', " ~ hash_key(parts) ~ " from "
            ~ affected_relation(table)
        ) -%}
    {%- endfor -%}
    {%- for own in tables_with_own_keys() -%}
        {%- do run_query(
            "insert into " ~ keys ~ " select distinct '" ~ own.kind ~ "', " ~ own.key
            ~ " from intermediate." ~ own.table ~ " where " ~ own.condition
        ) -%}
    {%- endfor -%}
    {%- do run_query(
        "insert into " ~ keys ~ " select 'touch', case kind when 'call' then "
        ~ hash_key(["'call'", 'key']) ~ " else key end from " ~ keys
        ~ " where kind in ('call', 'action')"
    ) -%}
    {%- set counts = run_query(
        'select kind, count(*) from ' ~ keys
        ~ " where kind in ('card', 'call', 'client') group by kind order by kind"
    ).rows -%}
    {%- set told = [] -%}
    {%- for row in counts -%}{%- do told.append(row[1] ~ ' ' ~ row[0] ~ 's') -%}{%- endfor -%}
    {%- do log(
        'Only what hangs together with changed records is built: '
        ~ (told | join(', ') if told else 'nothing') ~ '.', info=true
    ) -%}
{%- endmacro %}

{#- The node of planned work: a task, or an activity of Bitrix24. -#}
{% macro planned_node() -%}
    case entity when 'activities' then {{ node('activity', 'record_id') }}
        else {{ node('task', 'record_id') }} end
{%- endmacro %}

{#- The node of a message: an activity of Bitrix24, an event or a note of amoCRM. -#}
{% macro message_node() -%}
    case entity
        when 'activities' then {{ node('activity', 'try_cast(record_id as bigint)') }}
        when 'events' then {{ text_node('event', 'record_id') }}
        else {{ text_node('note', 'record_id') }}
    end
{%- endmacro %}

{#- After a complete build: what the next one compares with. -#}
{% macro finish_affected_keys(results) -%}
    {%- if not builds_all_models() -%}
        {{ return('') }}
    {%- endif -%}
    {%- for result in results
        if is_below_metrics(result.node) and result.status != 'success' -%}
        {{ return('') }}
    {%- endfor -%}
    {%- set is_incremental = run_query(
        'select is_incremental from ' ~ affected_relation('plan')
    ).rows[0][0] -%}
    {#- New rows name others by the SQL of legs: where that was read anew, so are all links. -#}
    {%- set names = [] -%}
    {%- for system in leg_models() -%}
        {%- do names.append("'int_" ~ system ~ "__call_legs'") -%}
    {%- endfor -%}
    {%- set legs_are_new = run_query(
        "select count(*) > 0 from " ~ affected_relation('runs') ~ " where invocation_id = '"
        ~ invocation_id ~ "' and is_whole and model_name in (" ~ names | join(', ') ~ ")"
    ).rows[0][0] -%}
    {%- if not is_incremental or legs_are_new -%}
        {%- for name in ['links', 'mentions'] -%}
            {%- do run_query(
                'create or replace table ' ~ affected_relation(name) ~ ' (node ubigint, '
                ~ ('linked' if name == 'links' else 'mentioned') ~ ' ubigint)'
            ) -%}
        {%- endfor -%}
        {%- do add_links(false) -%}
    {%- endif -%}
    {%- for record in record_tables() -%}
        {%- set relation = raw_relation(record) -%}
        {%- do run_query(
            'create or replace table ' ~ affected_relation('seen_' ~ record.name) ~ ' as '
            ~ (contents_of(record) if is_compared_by_content(record) else
                'select _dlt_load_id as load_id, (select count(*) from ' ~ relation
                ~ ') as rows_count from ' ~ relation ~ complete_loads(record)
                ~ ' group by _dlt_load_id')
        ) -%}
    {%- endfor -%}
    {%- do run_query(
        'create or replace table ' ~ affected_relation('seen_currency_rates')
        ~ ' as select currency_code, valid_from_on, rate from staging.stg_company__currency_rates'
    ) -%}
    {%- do run_query(
        'create or replace table ' ~ affected_relation('connections') ~ ' as '
        ~ as_of_by_connection()
    ) -%}
    {%- set contexts = [] -%}
    {%- for node in graph.nodes.values()
        if node.resource_type == 'model' and node.config.materialized == 'affected_keys' -%}
        {%- do contexts.extend(context_parents(node.depends_on.nodes)) -%}
    {%- endfor -%}
    {%- for unique_id in contexts | unique -%}
        {%- do keep_context(unique_id) -%}
    {%- endfor -%}
    {%- do run_query(
        "delete from " ~ affected_relation('runs') ~ " where invocation_id <> '" ~ invocation_id
        ~ "'"
    ) -%}
    {%- do run_query(
        "insert into " ~ affected_relation('state') ~ " values ('" ~ invocation_id ~ "', '"
        ~ rules_of_affected_keys() ~ "')"
    ) -%}
    {%- do adapter.commit() -%}
{%- endmacro %}

{#- The node of a contact or a company by type and id. -#}
{% macro client_node() -%}
    case client_type when 'contact' then {{ node('contact', 'client_id') }}
        when 'company' then {{ node('company', 'client_id') }} end
{%- endmacro %}

{#- The node of a card by type and id. -#}
{% macro card_node() -%}
    case card_type when 'lead' then {{ node('lead', 'card_id') }}
        when 'deal' then {{ node('deal', 'card_id') }} end
{%- endmacro %}
