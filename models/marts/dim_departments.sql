-- Departments with their place in the tree. Ids that a system has tied to a cycle are roots, and
-- what hangs on them hangs on them; both walks end after 30 steps.
with recursive departments as (
    select * from {{ ref('int_departments') }}
),

employees as (
    select * from {{ ref('int_employees') }}
),

parents as (
    select
        departments.source_key,
        departments.department_id,
        above.department_id as parent_id
    from departments
    inner join departments as above
        on departments.source_key = above.source_key
        and departments.parent_department_id = above.department_id
),

ancestors as (
    select
        source_key,
        department_id,
        parent_id as ancestor_id,
        1 as distance
    from parents
    union all
    select
        ancestors.source_key,
        ancestors.department_id,
        parents.parent_id as ancestor_id,
        ancestors.distance + 1 as distance
    from ancestors
    inner join parents
        on ancestors.source_key = parents.source_key
        and ancestors.ancestor_id = parents.department_id
    where ancestors.distance < 30
),

in_cycles as (
    select
        source_key,
        department_id
    from ancestors
    where department_id = ancestor_id
    group by source_key, department_id
),

rooted as (
    select
        departments.source_key,
        departments.department_id,
        departments.department_name,
        departments.head_employee_id,
        departments.is_listed,
        case when in_cycles.department_id is null then parents.parent_id end as parent_id
    from departments
    left join parents
        on departments.source_key = parents.source_key
        and departments.department_id = parents.department_id
    left join in_cycles
        on departments.source_key = in_cycles.source_key
        and departments.department_id = in_cycles.department_id
),

tree as (
    select
        source_key,
        department_id,
        parent_id,
        department_name as department_path,
        0 as depth
    from rooted
    where parent_id is null
    union all
    select
        rooted.source_key,
        rooted.department_id,
        rooted.parent_id,
        tree.department_path || ' / ' || rooted.department_name as department_path,
        tree.depth + 1 as depth
    from tree
    inner join rooted
        on tree.source_key = rooted.source_key
        and tree.department_id = rooted.parent_id
    where tree.depth < 30
)

select
    {{ hash_key(['rooted.source_key', "'department'", 'rooted.department_id']) }}
        as department_key,
    rooted.source_key,
    rooted.department_id,
    rooted.department_name,
    case
        when tree.parent_id is not null
            then {{ hash_key(['rooted.source_key', "'department'", 'tree.parent_id']) }}
    end as parent_department_key,
    coalesce(tree.department_path, rooted.department_name) as department_path,
    coalesce(tree.depth, 0)::integer as depth,
    employees.employee_key as head_employee_key,
    rooted.is_listed
from rooted
left join employees
    on rooted.source_key = employees.source_key
    and rooted.head_employee_id = employees.employee_id
left join tree
    on rooted.source_key = tree.source_key
    and rooted.department_id = tree.department_id
