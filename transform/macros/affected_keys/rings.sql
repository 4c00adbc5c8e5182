{#-
    What hangs together with the seeds, in two rings. Cores (cards, clients, numbers …) are affected
    together with all cores that they are linked with, and with all leaves (calls, activities …)
    that name one of them. An affected leaf takes along only the leaves that are one with it; the
    cores that it names are read, not built anew. Exceptions, by which a leaf does concern a core:
    - a client of which no list has a row stands in the tables because a leaf names it;
    - a number of two clients: whose call it is depends on the calls of either;
    - with a telephony, calls of one number: rows of both systems are paired by it.
-#}

{#- Fills nodes (affected), wide_nodes (these and what their tables read); false if there is no end. -#}
{% macro gather_nodes() -%}
    {%- set seeds = affected_relation('seeds') -%}
    {%- set cores = affected_relation('cores') -%}
    {%- set leaves = affected_relation('leaves') -%}
    {%- set read = affected_relation('read_cores') -%}
    {%- set named = affected_relation('named') -%}
    {%- set next_cores = affected_relation('next_cores') -%}
    {%- set children = affected_relation('children') -%}
    {%- set core_links = affected_relation('core_links') -%}
    {%- set leaf_links = affected_relation('leaf_links') -%}
    {%- set is_leaf = 'node & ' ~ leaf_bit() ~ ' = ' ~ leaf_bit() -%}
    {%- set is_core = 'node & ' ~ leaf_bit() ~ ' = 0' -%}
    {%- set is_number = 'node & ' ~ number_bit() ~ ' = ' ~ number_bit() -%}
    {%- do run_query(
        'insert into ' ~ seeds ~ ' select linked from ' ~ children ~ ' where node in (from '
        ~ seeds ~ ')'
    ) -%}
    {%- for name in ['cores', 'read_cores'] -%}
        {%- do run_query(
            'create or replace table ' ~ affected_relation(name) ~ ' (node ubigint, turn integer)'
        ) -%}
    {%- endfor -%}
    {%- do run_query(
        'create or replace table ' ~ leaves ~ ' as select distinct node, 0 as turn from ' ~ seeds
        ~ ' where ' ~ is_leaf
    ) -%}
    {%- do run_query(
        'create or replace table ' ~ next_cores ~ ' as select distinct node from ' ~ seeds
        ~ ' where ' ~ is_core
    ) -%}
    {#- Of the leaves of a turn: what they name, who names them or the cores of the turn. -#}
    {%- set tied = is_leaf ~ (' or ' ~ is_number if has_telephony() else '') -%}
    {%- set unlisted = unlisted_clients(named) -%}
    {%- set ns = namespace(is_growing=true, has_end=reach_cores(cores, next_cores, 0)) -%}
    {%- for turn in range(1000) if ns.is_growing and ns.has_end -%}
        {%- do run_query(
            'create or replace table ' ~ named ~ ' as select distinct linked as node from '
            ~ leaf_links ~ ' where node in (select node from ' ~ leaves ~ ' where turn = ' ~ turn
            ~ ')'
        ) -%}
        {%- do run_query(
            'create or replace table ' ~ next_cores ~ ' as select node from ' ~ named ~ ' where '
            ~ is_core ~ ' and node not in (select node from ' ~ read ~ ') and node not in '
            ~ '(select node from ' ~ cores ~ ')'
        ) -%}
        {%- set ns.has_end = reach_cores(read, next_cores, turn, cores) -%}
        {#- Cores that these leaves concern. -#}
        {%- do run_query(
            'create or replace table ' ~ next_cores ~ ' as select node from (select node from ('
            ~ unlisted ~ ') union select linked as node from ' ~ core_links ~ ' where linked in '
            ~ '(select node from ' ~ read ~ ' where turn = ' ~ turn ~ ' and ' ~ is_number
            ~ ') group by linked having min(node) <> max(node)) where node not in (select node '
            ~ 'from ' ~ cores ~ ')'
        ) -%}
        {%- set ns.has_end = reach_cores(cores, next_cores, turn) and ns.has_end -%}
        {%- do run_query(
            'insert into ' ~ leaves ~ ' select node, ' ~ (turn + 1) ~ ' from (select node from '
            ~ leaf_links ~ ' where linked in (select node from ' ~ leaves ~ ' where turn = ' ~ turn
            ~ ' union all select node from ' ~ cores ~ ' where turn = ' ~ turn
            ~ ' union all select node from ' ~ named ~ ' where ' ~ tied ~ ') union select node '
            ~ 'from ' ~ named ~ ' where ' ~ is_leaf ~ ') where node not in (select node from '
            ~ leaves ~ ')'
        ) -%}
        {%- set ns.is_growing = run_query(
            'select count(*) > 0 from ' ~ leaves ~ ' where turn = ' ~ (turn + 1)
        ).rows[0][0] -%}
    {%- endfor -%}
    {%- if ns.is_growing or not ns.has_end -%}
        {{ return(false) }}
    {%- endif -%}
    {%- set of_read = affected_relation('children_of_read') -%}
    {%- do run_query(
        'create or replace table ' ~ of_read ~ ' as select node, linked from ' ~ children
        ~ ' where linked in (select node from ' ~ cores ~ ' union all select node from ' ~ read
        ~ ')'
    ) -%}
    {%- do run_query(
        'insert into ' ~ affected_relation('nodes') ~ ' select node from ' ~ cores
        ~ ' union select node from ' ~ leaves ~ ' union select node from ' ~ of_read
        ~ ' where linked in (select node from ' ~ cores ~ ')'
    ) -%}
    {%- do run_query(
        'create or replace table ' ~ affected_relation('wide_nodes') ~ ' as select node from '
        ~ affected_relation('nodes') ~ ' union select node from ' ~ read ~ ' union select node from '
        ~ of_read
    ) -%}
    {#- The texts of numbers stand in a table of their own. -#}
    {%- for name in ['nodes', 'wide_nodes'] -%}
        {%- do run_query(
            'insert into ' ~ affected_relation(name) ~ ' select distinct mentioned from '
            ~ affected_relation('mentions') ~ ' where node in (from ' ~ affected_relation(name)
            ~ ')'
        ) -%}
    {%- endfor -%}
    {{ return(true) }}
{%- endmacro %}

{#-
    Adds to a table of cores those of `next_cores` and all that are linked with them, by the turn;
    without those that another table has. False if a thousand steps did not reach the end.
-#}
{% macro reach_cores(reached, next_cores, turn, without=none) -%}
    {%- set core_links = affected_relation('core_links') -%}
    {%- set beyond = 'node not in (select node from ' ~ reached ~ ')' -%}
    {%- if without is not none -%}
        {%- set beyond = beyond ~ ' and node not in (select node from ' ~ without ~ ')' -%}
    {%- endif -%}
    {%- set has_more = 'select count(*) > 0 from ' ~ next_cores -%}
    {%- set ns = namespace(is_growing=run_query(has_more).rows[0][0]) -%}
    {%- for step in range(1000) if ns.is_growing -%}
        {%- do run_query(
            'insert into ' ~ reached ~ ' select node, ' ~ turn ~ ' from ' ~ next_cores
        ) -%}
        {%- do run_query(
            'create or replace table ' ~ next_cores ~ ' as select distinct node from '
            ~ '(select unnest([node, linked]) as node from ' ~ core_links ~ ' where node in (from '
            ~ next_cores ~ ') or linked in (from ' ~ next_cores ~ ')) where ' ~ beyond
        ) -%}
        {%- set ns.is_growing = run_query(has_more).rows[0][0] -%}
    {%- endfor -%}
    {{ return(not ns.is_growing) }}
{%- endmacro %}

{#- Of named nodes the contacts and companies of which raw has no row. -#}
{% macro unlisted_clients(named) -%}
    {%- set listed = [] -%}
    {%- for record in record_tables() if record.table in ('contacts', 'companies') -%}
        {%- do listed.append('select ' ~ record.node ~ ' as node from ' ~ raw_relation(record)) -%}
    {%- endfor -%}
    {{ return(
        'select node from ' ~ named ~ ' where node & ' ~ client_bit() ~ ' = ' ~ client_bit()
        ~ ' and node not in (select node from (' ~ (listed | join(' union all '))
        ~ ') where node is not null)'
    ) }}
{%- endmacro %}

{#- Whether any telephony has brought rows: only then are calls paired by number. -#}
{% macro has_telephony() -%}
    {%- set parts = [] -%}
    {%- for record in record_tables() if record.schema == 'raw_telephony' -%}
        {%- do parts.append('exists (from ' ~ raw_relation(record) ~ ')') -%}
    {%- endfor -%}
    {{ return(run_query('select ' ~ (parts | join(' or '))).rows[0][0]) }}
{%- endmacro %}
