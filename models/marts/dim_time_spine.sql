-- The days that the semantic layer counts along: dim_dates knows a day more, which no report shows.
with dates as (
    select * from {{ ref('dim_dates') }}
),

report as (
    select date_day as as_of_on
    from dates
    where is_as_of_day
)

select dates.date_day
from dates
inner join report
    on dates.date_day <= report.as_of_on
