{{ config(meta={'dagster': {'ref': {'name': 'metric_clients__by_client'}}}) }}
-- What is in work and what was won stands once in the client base, and every client has one owner.
with clients as (
    select * from {{ ref('metric_clients__by_client') }}
),

open_cards as (
    select * from {{ ref('metric_open_cards__by_card') }}
),

won_deals as (
    select deals.*
    from {{ ref('fct_deals') }} as deals
    inner join {{ ref('dim_pipelines') }} as pipelines
        on deals.pipeline_key = pipelines.pipeline_key
        and pipelines.pipeline_role = 'sales'
    where deals.deal_state = 'won'
),

owners as (
    select * from {{ ref('metric_client_base__by_employee') }}
),

compared as (
    select
        'open cards' as what,
        (select sum(open_cards_count) from clients) as reported,
        (select count(*) from open_cards) as held
    union all
    select
        'open amount' as what,
        (select sum(open_amount) from clients) as reported,
        (select sum(company_amount) from open_cards) as held
    union all
    select
        'won deals' as what,
        (select sum(won_count) from clients) as reported,
        (select count(*) from won_deals) as held
    union all
    select
        'won amount' as what,
        (select sum(won_amount) from clients) as reported,
        (select sum(company_amount) from won_deals) as held
    union all
    select
        'clients of owners' as what,
        (select sum(clients_count) from owners) as reported,
        (select count(client_key) from clients) as held
    union all
    select
        'amounts of owners' as what,
        (select sum(coalesce(open_amount, 0) + coalesce(won_12_months_amount, 0)) from owners)
            as reported,
        (
            select sum(coalesce(open_amount, 0) + coalesce(won_12_months_amount, 0))
            from clients
            where client_key is not null
        ) as held
)

select *
from compared
where coalesce(reported, 0) <> coalesce(held, 0)
