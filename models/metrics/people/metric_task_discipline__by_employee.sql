-- R15: open cards without a next step, work that is overdue, and deadlines that were moved while
-- nobody touched the card between; of the owner now.
with open_cards as (
    select * from {{ ref('metric_open_cards__by_card') }}
),

deadline_moves as (
    select * from {{ ref('fct_deadline_moves') }}
    where card_key is not null
),

touches as (
    select * from {{ ref('fct_touches') }}
    where card_key is not null
),

tasks as (
    select * from {{ ref('fct_tasks') }}
    where card_key is not null
),

employees as (
    select * from {{ ref('dim_employees') }}
),

-- Of a task: from one move of its deadline (the first: from the making of the task) to the next.
moves as (
    select
        deadline_moves.deadline_move_key,
        deadline_moves.card_key,
        deadline_moves.moved_at,
        coalesce(
            lag(deadline_moves.moved_at) over (
                partition by deadline_moves.task_key order by deadline_moves.moved_at
            ),
            tasks.created_at
        ) as since_at
    from deadline_moves
    inner join tasks
        on deadline_moves.task_key = tasks.task_key
),

touched_moves as (
    select moves.deadline_move_key
    from moves
    inner join touches
        on moves.card_key = touches.card_key
    where touches.touched_at >= moves.since_at and touches.touched_at <= moves.moved_at
    group by moves.deadline_move_key
),

idle_moves as (
    select
        moves.card_key,
        count(*) as moved_deadlines_count,
        count(*) filter (where touched_moves.deadline_move_key is null)
            as idle_moved_deadlines_count
    from moves
    left join touched_moves
        on moves.deadline_move_key = touched_moves.deadline_move_key
    group by moves.card_key
),

tasks_of_cards as (
    select
        card_key,
        count(*) as tasks_count
    from tasks
    group by card_key
),

counted as (
    select
        open_cards.source_key,
        open_cards.pipeline_key,
        open_cards.pipeline_name,
        open_cards.current_reporting_employee_key,
        count(*) as open_cards_count,
        count(*) filter (where open_cards.planned_tasks_count = 0) as without_task_count,
        count(*) filter (where open_cards.has_overdue_task) as overdue_count,
        coalesce(sum(tasks_of_cards.tasks_count), 0) as tasks_count,
        coalesce(sum(idle_moves.moved_deadlines_count), 0) as moved_deadlines_count,
        coalesce(sum(idle_moves.idle_moved_deadlines_count), 0) as idle_moved_deadlines_count
    from open_cards
    left join tasks_of_cards
        on open_cards.card_key = tasks_of_cards.card_key
    left join idle_moves
        on open_cards.card_key = idle_moves.card_key
    group by
        open_cards.source_key, open_cards.pipeline_key, open_cards.pipeline_name,
        open_cards.current_reporting_employee_key
)

select
    {{ hash_key(['counted.pipeline_key', 'counted.current_reporting_employee_key', "'tasks'"]) }}
        as task_discipline_key,
    counted.source_key,
    counted.pipeline_key,
    counted.pipeline_name,
    counted.current_reporting_employee_key,
    employees.employee_name,
    employees.department_name,
    counted.open_cards_count::bigint as open_cards_count,
    counted.without_task_count::bigint as without_task_count,
    (counted.without_task_count / counted.open_cards_count)::double as without_task_share,
    counted.overdue_count::bigint as overdue_count,
    (counted.overdue_count / counted.open_cards_count)::double as overdue_share,
    counted.tasks_count::bigint as tasks_count,
    (counted.tasks_count / counted.open_cards_count)::double as tasks_per_card,
    counted.moved_deadlines_count::bigint as moved_deadlines_count,
    counted.idle_moved_deadlines_count::bigint as idle_moved_deadlines_count
from counted
inner join employees
    on counted.current_reporting_employee_key = employees.employee_key
