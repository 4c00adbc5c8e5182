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
{% macro find_affected_keys(wide_names) -%}
    {%- set seeds = affected_relation('seeds') -%}
    {%- set nodes = affected_relation('nodes') -%}
    {%- set mentions = affected_relation('mentions') -%}
    {%- set windows = crossed_windows() -%}
    {%- set changed = [] -%}
    {%- for record in record_tables() -%}
        {%- set relation = raw_relation(record) -%}
        {%- set kept = affected_relation('seen_' ~ record.name) -%}
        {%- if is_compared_by_content(record) -%}
            {%- do run_query(
                'insert into ' ~ seeds ~ ' select node from (select node, row_hash, 1 as sign from ('
                ~ contents_of(record) ~ ') union all select node, row_hash, -1 as sign from ' ~ kept
                ~ ') group by node, row_hash having sum(sign) <> 0'
            ) -%}
        {%- else -%}
            {%- set news = run_query(
                'select distinct _dlt_load_id from ' ~ relation ~ ' except select load_id from '
                ~ kept
            ) -%}
            {%- set ids = [] -%}
            {%- for row in news.rows -%}{%- do ids.append("'" ~ row[0] ~ "'") -%}{%- endfor -%}
            {%- if run_query(
                'select (select count(*) from ' ~ relation ~ ') < (select max(rows_count) from '
                ~ kept ~ ')'
            ).rows[0][0] -%}
                {{ return(record.schema ~ '.' ~ record.table ~ ' has lost rows') }}
            {%- endif -%}
            {%- if ids -%}
                {%- do changed.append(record) -%}
                {%- do run_query(
                    'insert into ' ~ affected_relation(record.name) ~ ' select * from ' ~ relation
                    ~ ' where _dlt_load_id in (' ~ (ids | join(', ')) ~ ')'
                ) -%}
                {%- for one in [record.node] + record.also -%}
                    {%- do run_query(
                        'insert into ' ~ seeds ~ ' select ' ~ one ~ ' from '
                        ~ affected_relation(record.name)
                    ) -%}
                {%- endfor -%}
            {%- endif -%}
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
    {%- endfor -%}
    {%- do run_query(
        'insert into ' ~ seeds ~ ' select node from ' ~ mentions
        ~ ' where mentioned in (select node from ' ~ seeds ~ ')'
    ) -%}
    {%- do add_links(changed) -%}
    {%- do seed_changed_currencies(windows) -%}
    {%- if not gather_nodes() -%}
        {{ return('records hang together in a chain without end') }}
    {%- endif -%}
    {%- for record in record_tables() -%}
        {%- set twin = affected_relation(record.name) -%}
        {%- set source = raw_relation(record) -%}
        {%- if record.name in wide_names -%}
            {%- set source = wide_relation(record.name) -%}
            {%- do run_query(
                'create or replace table ' ~ source ~ ' as select * from ' ~ raw_relation(record)
                ~ ' where ' ~ record.node ~ ' in (from ' ~ affected_relation('wide_nodes') ~ ')'
            ) -%}
        {%- endif -%}
        {%- do run_query(
            'create or replace table ' ~ twin ~ ' as select * from ' ~ source
            ~ ' where ' ~ record.node ~ ' in (from ' ~ nodes ~ ')'
        ) -%}
    {%- endfor -%}
    {%- do gather_keys() -%}
    {{ return('') }}
{%- endmacro %}

{#- Adds what rows name: of the records that have changed (their twins hold just those) or of all. -#}
{% macro add_links(changed=none) -%}
    {%- set core_links = affected_relation('core_links') -%}
    {%- set leaf_links = affected_relation('leaf_links') -%}
    {%- set children = affected_relation('children') -%}
    {%- set mentions = affected_relation('new_mentions') -%}
    {%- do run_query(
        'create or replace table ' ~ mentions ~ ' (node ubigint, mentioned ubigint)'
    ) -%}
    {%- for record in (record_tables() if changed is none else changed) -%}
        {%- set relation = raw_relation(record) if changed is none
            else affected_relation(record.name) -%}
        {%- if record.links or record.lists -%}
            {%- set named = 'select node, linked from ('
                ~ named_by(record, relation, record.links, record.lists, 'linked')
                ~ ') where node is not null and linked is not null' -%}
            {%- if record.is_leaf -%}
                {%- do run_query('insert into ' ~ leaf_links ~ ' ' ~ named) -%}
            {%- elif record.is_child -%}
                {#- A row that belongs to another core than before ties the two. -#}
                {%- if changed is not none -%}
                    {%- do run_query(
                        'insert into ' ~ core_links ~ ' select now.linked, before.linked from ('
                        ~ named ~ ') as now inner join ' ~ children ~ ' as before '
                        ~ 'on now.node = before.node and now.linked <> before.linked'
                    ) -%}
                {%- endif -%}
                {%- do run_query('insert into ' ~ children ~ ' ' ~ named) -%}
            {%- else -%}
                {%- for links, bit in [(core_links, 0), (leaf_links, leaf_bit())] -%}
                    {%- if bit == 0 or record.also -%}
                        {%- do run_query(
                            'insert into ' ~ links ~ ' ' ~ named ~ ' and node & ' ~ leaf_bit()
                            ~ ' = ' ~ bit
                        ) -%}
                    {%- endif -%}
                {%- endfor -%}
            {%- endif -%}
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
        {%- set relation = node_relation(graph.nodes['model.' ~ project_name ~ '.' ~ name])
            if changed is none else affected_relation('links_' ~ name) -%}
        {%- do run_query(
            'insert into ' ~ leaf_links ~ ' select node, linked from (select distinct '
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
    {%- for links, bit in [(core_links, 0), (leaf_links, leaf_bit())] -%}
        {%- do run_query(
            'insert into ' ~ links ~ ' select distinct mentions.node, '
            ~ shared_node('e164', 'phone_numbers.phone_e164') ~ ' from (select * from (from '
            ~ mentions ~ ' union all from ' ~ affected_relation('mentions')
            ~ ' where mentioned in (from ' ~ affected_relation('seeds') ~ ')) where node & '
            ~ leaf_bit() ~ ' = ' ~ bit ~ ') as mentions inner join (select '
            ~ shared_node('phone', 'raw_text') ~ ' as phone_node, phone_e164 '
            ~ 'from raw_derived.phone_numbers where phone_e164 is not null) '
            ~ 'as phone_numbers on mentions.mentioned = phone_numbers.phone_node'
        ) -%}
    {%- endfor -%}
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

