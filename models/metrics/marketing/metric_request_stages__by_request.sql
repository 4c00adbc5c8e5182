-- R17: which key stages a request has come to. As in the funnel (R2), a card came as far as its
-- furthest open stage of the pipeline, a won one all the way, a lost one to its last open stage, so
-- that a jump over a stage counts as reached.
with requests as (
    select * from {{ ref('metric_requests__by_request') }}
),

deals as (
    select * from {{ ref('fct_deals') }}
),

visits as (
    select * from {{ ref('fct_stage_visits') }}
),

stages as (
    select * from {{ ref('dim_stages') }}
),

pipelines as (
    select * from {{ ref('dim_pipelines') }}
    where pipeline_role <> 'ignore'
),

cards as (
    select
        request_card_key,
        request_card_key as card_key
    from requests
    union
    select
        requests.request_card_key,
        deals.deal_key as card_key
    from deals
    inner join requests
        on deals.lead_key = requests.request_card_key
),

furthest as (
    select
        cards.request_card_key,
        visits.card_key,
        visits.pipeline_key,
        max(stages.stage_position) filter (where visits.stage_semantics = 'open')
            as furthest_position,
        max_by(stages.stage_position, visits.visit_number) filter (
            where visits.stage_semantics = 'open'
        ) as last_open_position,
        max_by(visits.stage_semantics, visits.visit_number) as last_semantics
    from visits
    inner join cards
        on visits.card_key = cards.card_key
    inner join pipelines
        on visits.pipeline_key = pipelines.pipeline_key
    inner join stages
        on visits.stage_key = stages.stage_key
    group by cards.request_card_key, visits.card_key, visits.pipeline_key
),

reached as (
    select
        furthest.request_card_key,
        furthest.card_key,
        stages.stage_key
    from furthest
    inner join stages
        on furthest.pipeline_key = stages.pipeline_key
    where
        {{ has_role('stages.stage_roles', 'key') }}
        and stages.stage_semantics <> 'lost'
        and case furthest.last_semantics
            when 'won' then true
            when 'lost' then furthest.last_open_position >= stages.stage_position
            else furthest.furthest_position >= stages.stage_position
        end
),

-- Of several deals of one request the first by key stands for it.
of_requests as (
    select
        request_card_key,
        stage_key,
        min(card_key) as card_key
    from reached
    group by request_card_key, stage_key
)

select
    {{ hash_key(['of_requests.request_card_key', 'of_requests.stage_key', "'reached'"]) }}
        as request_stage_key,
    requests.source_key,
    of_requests.request_card_key,
    of_requests.card_key,
    stages.pipeline_key,
    of_requests.stage_key,
    stages.stage_name,
    requests.requested_on,
    requests.source_name,
    requests.utm_source,
    requests.utm_medium,
    requests.utm_campaign,
    requests.request_state
from of_requests
inner join requests
    on of_requests.request_card_key = requests.request_card_key
inner join stages
    on of_requests.stage_key = stages.stage_key
