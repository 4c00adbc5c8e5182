-- Lines of the company's files that name an employee, a deal, a pipeline, a stage, a department or
-- a source that neither the system's lists nor any loaded record knows.
with employees as (
    select * from {{ ref('dim_employees') }}
    where employee_kind in ('person', 'system')
),

stages as (
    select * from {{ ref('dim_stages') }}
),

named_in_files as (
    select
        source_key,
        'absences.csv' as file,
        line,
        employee_id,
        null::bigint as deal_id,
        null::bigint as pipeline_id,
        null as stage_id,
        null as department_name,
        null as source_name
    from {{ ref('stg_company__absences') }}
    union all
    select
        source_key,
        'owners.csv' as file,
        line,
        employee_id,
        deal_id,
        null as pipeline_id,
        null as stage_id,
        null as department_name,
        null as source_name
    from {{ ref('stg_company__owners') }}
    union all
    select
        source_key,
        'payments.csv' as file,
        line,
        null as employee_id,
        deal_id,
        null as pipeline_id,
        null as stage_id,
        null as department_name,
        null as source_name
    from {{ ref('stg_company__payments') }}
    union all
    select
        source_key,
        'goals.csv' as file,
        line,
        employee_id,
        null as deal_id,
        pipeline_id,
        stage_id,
        department_name,
        null as source_name
    from {{ ref('stg_company__goals') }}
    union all
    select
        source_key,
        'norms.csv' as file,
        line,
        employee_id,
        null as deal_id,
        pipeline_id,
        stage_id,
        department_name,
        null as source_name
    from {{ ref('stg_company__norms') }}
    union all
    select
        source_key,
        'sellers.csv' as file,
        line,
        employee_id,
        null as deal_id,
        null as pipeline_id,
        null as stage_id,
        department_name,
        null as source_name
    from {{ ref('stg_company__sellers') }}
    union all
    select
        source_key,
        'journey_steps.csv' as file,
        line,
        null as employee_id,
        null as deal_id,
        pipeline_id,
        stage_id,
        null as department_name,
        null as source_name
    from {{ ref('stg_company__journey_steps') }}
    union all
    select
        source_key,
        'marketing_costs.csv' as file,
        line,
        null as employee_id,
        null as deal_id,
        null as pipeline_id,
        null as stage_id,
        null as department_name,
        source_name
    from {{ ref('stg_company__marketing_costs') }}
),

-- Records once loaded stay known, also deals that no longer count.
loaded_deals as (
    select
        source_key,
        deal_id
    from {{ ref('int_bitrix24__deals') }}
    union all
    select
        source_key,
        deal_id
    from {{ ref('int_amocrm__deals') }}
),

known_departments as (
    select department_name from {{ ref('dim_departments') }}
    union
    select department_name from {{ ref('dim_employees') }}
),

pipelines as (
    select * from {{ ref('dim_pipelines') }}
),

-- Where a system has a dictionary of sources, one that stands nowhere is misspelt; where it has
-- none, it may be one that has brought nothing yet.
with_dictionary as (
    select source_key
    from {{ ref('dim_sources') }}
    where is_listed
    group by source_key
),

known_sources as (
    select
        source_key,
        source_name
    from {{ ref('dim_sources') }}
    group by source_key, source_name
),

compared as (
    select
        coalesce(named_in_files.source_key, '(all)') as source_key,
        named_in_files.file,
        named_in_files.line,
        concat_ws(
            ', ',
            case
                when named_in_files.employee_id is not null and employees.employee_key is null
                    then 'no employee ' || named_in_files.employee_id
            end,
            case
                when named_in_files.deal_id is not null and loaded_deals.deal_id is null
                    then 'no deal ' || named_in_files.deal_id
            end,
            case
                when named_in_files.stage_id is not null and stages.stage_key is null
                    then
                        'no stage ' || named_in_files.stage_id || ' in pipeline '
                        || named_in_files.pipeline_id
            end,
            case
                when
                    named_in_files.pipeline_id is not null
                    and named_in_files.stage_id is null
                    and pipelines.pipeline_key is null
                    then 'no pipeline ' || named_in_files.pipeline_id
            end,
            case
                when
                    named_in_files.source_name is not null
                    and with_dictionary.source_key is not null
                    and known_sources.source_name is null
                    then 'no source ' || named_in_files.source_name
            end,
            case
                when
                    named_in_files.department_name is not null
                    and known_departments.department_name is null
                    then 'no department ' || named_in_files.department_name
            end
        ) as lacking
    from named_in_files
    left join employees
        on named_in_files.source_key = employees.source_key
        and named_in_files.employee_id = employees.employee_id
    left join loaded_deals
        on named_in_files.source_key = loaded_deals.source_key
        and named_in_files.deal_id = loaded_deals.deal_id
    left join stages
        on {{ hash_key([
            'named_in_files.source_key', 'named_in_files.pipeline_id', 'named_in_files.stage_id'
        ]) }}
        = stages.stage_key
    left join pipelines
        on named_in_files.source_key = pipelines.source_key
        and named_in_files.pipeline_id = pipelines.pipeline_id
    left join with_dictionary
        on named_in_files.source_key = with_dictionary.source_key
    left join known_sources
        on named_in_files.source_key = known_sources.source_key
        and named_in_files.source_name = known_sources.source_name
    left join known_departments
        on named_in_files.department_name = known_departments.department_name
)

select
    source_key,
    file,
    line,
    lacking
from compared
where lacking <> ''
