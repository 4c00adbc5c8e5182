{#- An instant with zone as a timestamp without zone in UTC, whatever the session's TimeZone is. -#}
{% macro utc(column) -%}
    {{ return(adapter.dispatch('utc')(column)) }}
{%- endmacro %}

{% macro default__utc(column) -%}
    make_timestamp(epoch_us({{ column }}))
{%- endmacro %}

{#- The instant (UTC) at which a local date begins in a zone. -#}
{% macro local_midnight(date_column, zone_column) -%}
    {{ return(adapter.dispatch('local_midnight')(date_column, zone_column)) }}
{%- endmacro %}

{% macro default__local_midnight(date_column, zone_column) -%}
    make_timestamp(epoch_us(timezone({{ zone_column }}, {{ date_column }}::timestamp)))
{%- endmacro %}

{#- The instant (UTC) so many minutes of the wall clock after a local midnight. -#}
{% macro local_instant(date_column, minute_column, zone_column) -%}
    {{ return(adapter.dispatch('local_instant')(date_column, minute_column, zone_column)) }}
{%- endmacro %}

{% macro default__local_instant(date_column, minute_column, zone_column) -%}
    make_timestamp(
        epoch_us(
            timezone(
                {{ zone_column }}, {{ date_column }}::timestamp + to_minutes({{ minute_column }})
            )
        )
    )
{%- endmacro %}

{#- The local date of an instant in a zone: for a handful of rows; facts join dates instead. -#}
{% macro local_date(instant, zone_column) -%}
    {{ return(adapter.dispatch('local_date')(instant, zone_column)) }}
{%- endmacro %}

{% macro default__local_date(instant, zone_column) -%}
    timezone({{ zone_column }}, timezone('UTC', {{ instant }}))::date
{%- endmacro %}

{#- The hour that the clock of a zone shows at an instant. -#}
{% macro local_hour(instant, zone_column) -%}
    {{ return(adapter.dispatch('local_hour')(instant, zone_column)) }}
{%- endmacro %}

{% macro default__local_hour(instant, zone_column) -%}
    hour(timezone({{ zone_column }}, timezone('UTC', {{ instant }})))
{%- endmacro %}

{% macro seconds_between(earlier, later) -%}
    {{ return(adapter.dispatch('seconds_between')(earlier, later)) }}
{%- endmacro %}

{% macro default__seconds_between(earlier, later) -%}
    ((epoch_us({{ later }}) - epoch_us({{ earlier }})) / 1000000.0)
{%- endmacro %}

{#- The end of an interval that has not ended: never null, so that joins stay hash joins. -#}
{% macro end_of_time() -%}
    timestamp '9999-12-31 00:00:00'
{%- endmacro %}

{#- The beginning of an interval that has none. -#}
{% macro beginning_of_time() -%}
    timestamp '0001-01-01 00:00:00'
{%- endmacro %}

{#- So many seconds as an interval. -#}
{% macro seconds(column) -%}
    {{ return(adapter.dispatch('seconds')(column)) }}
{%- endmacro %}

{% macro default__seconds(column) -%}
    to_seconds({{ column }})
{%- endmacro %}

{#- Whole seconds since 1970. -#}
{% macro epoch_second(instant) -%}
    {{ return(adapter.dispatch('epoch_second')(instant)) }}
{%- endmacro %}

{% macro default__epoch_second(instant) -%}
    (epoch_us({{ instant }}) // 1000000)
{%- endmacro %}

{#- Whole days of 24 hours between two instants; null where either is. -#}
{% macro whole_days_between(earlier, later) -%}
    floor({{ seconds_between(earlier, later) }} / 86400)::integer
{%- endmacro %}

{#- The band of SPEC R9 that a number of days lies in. -#}
{% macro days_band(days) -%}
    case
        when {{ days }} is null then 'never'
        when {{ days }} <= 3 then '0-3'
        when {{ days }} <= 7 then '4-7'
        when {{ days }} <= 14 then '8-14'
        when {{ days }} <= 30 then '15-30'
        when {{ days }} <= 60 then '31-60'
        else '61+'
    end
{%- endmacro %}

{#- The band of SPEC R5 that a talk lies in; `unknown` where its length is not told. -#}
{% macro talk_band(talk_seconds) -%}
    case
        when {{ talk_seconds }} is null then 'unknown'
        when {{ talk_seconds }} < 1 then '0'
        when {{ talk_seconds }} <= 10 then '1-10'
        when {{ talk_seconds }} <= 20 then '11-20'
        when {{ talk_seconds }} < 40 then '21-39'
        when {{ talk_seconds }} < 120 then '40-119'
        else '120+'
    end
{%- endmacro %}
