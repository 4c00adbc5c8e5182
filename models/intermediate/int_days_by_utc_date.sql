-- Local days by the UTC dates they touch, so that a fact finds its local date with an equality on
-- the UTC date plus a range, not with `at time zone` on every row.
with dates as (
    select * from {{ ref('dim_dates') }}
),

touched as (
    select
        date_day,
        starts_at,
        ends_at,
        starts_at::date as utc_on
    from dates
    union
    select
        date_day,
        starts_at,
        ends_at,
        (starts_at + interval 12 hours)::date as utc_on
    from dates
    union
    select
        date_day,
        starts_at,
        ends_at,
        (ends_at - interval 1 microsecond)::date as utc_on
    from dates
)

select
    utc_on,
    date_day,
    starts_at,
    ends_at
from touched
