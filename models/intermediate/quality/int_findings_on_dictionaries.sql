-- Q4 and Q7: pipelines, stages and users that the system no longer lists though cards name them.
with deals as (
    select * from {{ ref('fct_deals') }}
),

leads as (
    select * from {{ ref('fct_leads') }}
),

visits as (
    select * from {{ ref('fct_stage_visits') }}
),

stages as (
    select * from {{ ref('dim_stages') }}
),

pipelines as (
    select * from {{ ref('dim_pipelines') }}
),

retired_pipelines as (
    select * from {{ ref('stg_company__retired_pipelines') }}
),

dismissals as (
    select * from {{ ref('stg_company__dismissals') }}
),

connections as (
    select * from {{ ref('int_connections') }}
),

load_log as (
    select * from {{ ref('int_load_log') }}
    where entity = 'users' and problem is null
),

accounts as (
    select * from {{ ref('int_account_versions') }}
),

cards_of_pipelines as (
    select
        pipeline_key,
        count(*) as cards_count
    from (
        select pipeline_key from deals
        union all
        select pipeline_key from leads
    ) as cards
    group by pipeline_key
),

q4_unlisted_pipelines as (
    select
        'Q4' as rule_id,
        case
            when cards_of_pipelines.pipeline_key is null then 'pipeline_gone'
            else 'pipeline_with_cards_gone'
        end as finding,
        pipelines.source_key,
        'pipeline' as entity,
        pipelines.pipeline_id::varchar as record_id,
        null::bigint as employee_key,
        null::varchar as card_url,
        {{ facts({
            'pipeline': 'pipelines.pipeline_name',
            'record': 'pipelines.pipeline_id',
            'count': 'cards_of_pipelines.cards_count',
        }) }} as facts
    from pipelines
    left join cards_of_pipelines
        on pipelines.pipeline_key = cards_of_pipelines.pipeline_key
    left join retired_pipelines
        on pipelines.source_key = retired_pipelines.source_key
        and pipelines.pipeline_id = retired_pipelines.pipeline_id
    where
        not pipelines.is_listed
        and pipelines.pipeline_role <> 'ignore'
        and retired_pipelines.pipeline_id is null
),

-- Cards whose pipeline or stage no dimension has would fall out of every report that joins it.
q4_cards_without_place as (
    select
        'Q4' as rule_id,
        'cards_without_a_place' as finding,
        cards.source_key,
        cards.card_type as entity,
        cards.place_key::varchar as record_id,
        null::bigint as employee_key,
        null::varchar as card_url,
        {{ facts({'count': 'count(*)', 'record': 'cards.place_key'}) }} as facts
    from (
        {% for cards in ('deals', 'leads') %}
        {% for place in ('pipeline', 'stage') %}
        select
            {{ cards }}.source_key,
            '{{ place }} of {{ cards }}' as card_type,
            {{ cards }}.{{ place }}_key as place_key
        from {{ cards }}
        left join {{ place }}s
            on {{ cards }}.{{ place }}_key = {{ place }}s.{{ place }}_key
        where {{ place }}s.{{ place }}_key is null
        {{ 'union all' if not loop.last }}
        {% endfor %}
        {{ 'union all' if not loop.last }}
        {% endfor %}
    ) as cards
    group by cards.source_key, cards.card_type, cards.place_key
),

lists_of_users as (
    select
        load_log.source_key,
        load_log.cut_at,
        row_number() over (partition by load_log.source_key order by load_log.cut_at desc) as age
    from load_log
),

listed_accounts as (
    select
        source_key,
        employee_id,
        max_by(employee_name, last_seen_at) as employee_name,
        max(last_seen_at) as last_seen_at,
        min(first_seen_at) as first_seen_at
    from accounts
    group by source_key, employee_id
),

users_of_loads as (
    select
        newest.source_key,
        newest.cut_at,
        listed_accounts.employee_id,
        listed_accounts.employee_name,
        listed_accounts.last_seen_at >= newest.cut_at as is_listed_now,
        listed_accounts.first_seen_at <= earlier.cut_at as was_listed_before
    from lists_of_users as newest
    inner join lists_of_users as earlier
        on newest.source_key = earlier.source_key
        and earlier.age = 2
    inner join connections
        on newest.source_key = connections.source_key
        and newest.cut_at = connections.as_of_at
    inner join listed_accounts
        on newest.source_key = listed_accounts.source_key
        and earlier.cut_at <= listed_accounts.last_seen_at
    where newest.age = 1
),

counted_users as (
    select
        *,
        count(*) filter (where is_listed_now) over (partition by source_key) as now_count,
        count(*) filter (where was_listed_before) over (partition by source_key) as before_count
    from users_of_loads
),

-- Each by itself: who takes on that one is missing does not take on the next.
q4_fewer_users as (
    select
        'Q4' as rule_id,
        'fewer_users' as finding,
        counted_users.source_key,
        'user' as entity,
        counted_users.employee_id::varchar as record_id,
        null::bigint as employee_key,
        null::varchar as card_url,
        {{ facts({
            'employee': 'counted_users.employee_name',
            'record': 'counted_users.employee_id',
            'connection': 'counted_users.source_key',
            'now': 'counted_users.now_count',
            'before': 'counted_users.before_count',
        }) }} as facts
    from counted_users
    left join dismissals
        on counted_users.source_key = dismissals.source_key
        and counted_users.employee_id = dismissals.employee_id
    where
        counted_users.now_count < counted_users.before_count
        and not counted_users.is_listed_now
        and dismissals.employee_id is null
),

q7_unlisted_stages as (
    select
        'Q7' as rule_id,
        'stage_without_entry' as finding,
        stages.source_key,
        'stage' as entity,
        pipelines.pipeline_id || '/' || stages.stage_id as record_id,
        null::bigint as employee_key,
        null::varchar as card_url,
        {{ facts({
            'stage': 'stages.stage_name',
            'pipeline': 'pipelines.pipeline_name',
            'count': 'count(*)',
        }) }} as facts
    from stages
    inner join pipelines
        on stages.pipeline_key = pipelines.pipeline_key
    inner join visits
        on stages.stage_key = visits.stage_key
    where not stages.is_listed and stages.stage_id <> '(unknown)'
    group by
        stages.source_key, stages.stage_key, stages.stage_id, stages.stage_name,
        pipelines.pipeline_id, pipelines.pipeline_name
)

select * from q4_unlisted_pipelines
union all
select * from q4_cards_without_place
union all
select * from q4_fewer_users
union all
select * from q7_unlisted_stages
