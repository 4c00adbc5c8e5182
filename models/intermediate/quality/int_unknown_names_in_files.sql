-- Lines of the company's files that name an employee, a deal, a pipeline, a stage, a department or
-- a source that neither the system's lists nor any loaded record knows. Files about a telephony
-- name employees of the CRM that it is tied to.
{% set files = {
    'pipelines.csv': ('stg_company__pipeline_roles', ['pipeline_id']),
    'stages.csv': ('stg_company__stage_roles', ['pipeline_id', 'stage_id']),
    'employees.csv': ('stg_company__employees', ['employee_id']),
    'dismissals.csv': ('stg_company__dismissals', ['employee_id']),
    'department_heads.csv': ('stg_company__department_heads', ['employee_id', 'department_name']),
    'extensions.csv': ('stg_company__extensions', ['employee_id']),
    'talkers.csv': ('stg_company__talkers', ['employee_id']),
    'absences.csv': ('stg_company__absences', ['employee_id']),
    'owners.csv': ('stg_company__owners', ['employee_id', 'deal_id']),
    'payments.csv': ('stg_company__payments', ['deal_id']),
    'goals.csv': ('stg_company__goals',
        ['employee_id', 'pipeline_id', 'stage_id', 'department_name']),
    'norms.csv': ('stg_company__norms',
        ['employee_id', 'pipeline_id', 'stage_id', 'department_name']),
    'sellers.csv': ('stg_company__sellers', ['employee_id', 'department_name']),
    'journey_steps.csv': ('stg_company__journey_steps', ['pipeline_id', 'stage_id']),
    'marketing_costs.csv': ('stg_company__marketing_costs', ['source_name']),
} %}

with employees as (
    select * from {{ ref('dim_employees') }}
    where employee_kind in ('person', 'system')
),

stages as (
    select * from {{ ref('dim_stages') }}
),

connections as (
    select * from {{ ref('stg_company__connections') }}
),

lines_of_files as (
    {% for file, (lines, named) in files.items() %}
    select
        source_key as named_source_key,
        '{{ file }}' as file,
        line,
        {{ 'employee_id' if 'employee_id' in named else 'null' }} as employee_id,
        {{ 'deal_id' if 'deal_id' in named else 'null' }} as deal_id,
        {{ 'pipeline_id' if 'pipeline_id' in named else 'null' }} as pipeline_id,
        {{ 'stage_id' if 'stage_id' in named else 'null' }} as stage_id,
        {{ 'department_name' if 'department_name' in named else 'null' }} as department_name,
        {{ 'source_name' if 'source_name' in named else 'null' }} as source_name
    from {{ ref(lines) }}
    {{ 'union all' if not loop.last }}
    {% endfor %}
),

named_in_files as (
    select
        lines_of_files.*,
        coalesce(connections.crm_source_key, lines_of_files.named_source_key) as source_key
    from lines_of_files
    left join connections
        on lines_of_files.named_source_key = connections.source_key
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
        coalesce(named_in_files.named_source_key, '(all)') as source_key,
        named_in_files.file,
        named_in_files.line,
        concat_ws(
            ', ',
            case
                when named_in_files.employee_id is not null and employees.employee_key is null
                    then 'employee_id ' || named_in_files.employee_id
            end,
            case
                when named_in_files.deal_id is not null and loaded_deals.deal_id is null
                    then 'deal_id ' || named_in_files.deal_id
            end,
            case
                when named_in_files.stage_id is not null and stages.stage_key is null
                    then
                        'stage_id ' || named_in_files.stage_id || ' (pipeline_id '
                        || named_in_files.pipeline_id || ')'
            end,
            case
                when
                    named_in_files.pipeline_id is not null
                    and named_in_files.stage_id is null
                    and pipelines.pipeline_key is null
                    then 'pipeline_id ' || named_in_files.pipeline_id
            end,
            case
                when
                    named_in_files.source_name is not null
                    and with_dictionary.source_key is not null
                    and known_sources.source_name is null
                    then 'source ' || named_in_files.source_name
            end,
            case
                when
                    named_in_files.department_name is not null
                    and known_departments.department_name is null
                    then 'department ' || named_in_files.department_name
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
