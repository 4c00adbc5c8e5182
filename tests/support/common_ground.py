"""A Bitrix24 portal reduced to what an amoCRM account can hold as well.

Each step takes away, or adds, what only one of the systems knows; docs/crm-systems.md lists them
for readers. What is left must look the same in every mart, whichever system it came from.
"""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

from sources.demo.amocrm.conversion_work import Work
from sources.demo.store import PortalStore

_STAGES = (
    ("INCOMING", "Неразобранное", 0, None),
    ("WON", "Успешно реализовано", 10_142, "S"),
    ("LOSE", "Закрыто и не реализовано", 10_143, "F"),
)


def common_ground(portal: Path, path: Path) -> Path:
    """Write the reduced portal; gives its path."""
    shutil.copy(portal, path)
    with PortalStore(path, read_only=True) as store:
        noted = sorted({call["ID"] for *_, call in Work(store, {})._calls()})
    with contextlib.closing(sqlite3.connect(path)) as connection:
        _calls_on_cards(connection, noted)
        for step in STEPS:
            step(connection)
        connection.commit()
    return path


def _calls_on_cards(connection: sqlite3.Connection, noted: list[int]) -> None:
    """amoCRM notes calls on cards: those by unknown numbers or about Bitrix24's leads have none."""
    connection.execute("create temp table noted (id integer primary key)")
    connection.executemany("insert into noted values (?)", [(number,) for number in noted])
    connection.execute('delete from call where "ID" not in (select id from noted)')


def _no_leads(connection: sqlite3.Connection) -> None:
    """amoCRM has no leads beside its deals."""
    connection.execute("delete from lead")
    connection.execute("delete from lead_stage_history")
    connection.execute('update deal set "LEAD_ID" = null')
    connection.execute('delete from activity where "OWNER_TYPE_ID" = 1')
    connection.execute("delete from timeline_comment where ENTITY_TYPE = 'lead'")
    of_leads = 'select "ID" from task where "UF_CRM_TASK" like \'["L%\''
    connection.execute(f'delete from task_history where "TASK_ID" in ({of_leads})')
    connection.execute(f'delete from task where "ID" in ({of_leads})')


def _no_invoices(connection: sqlite3.Connection) -> None:
    """Smart invoices are Bitrix24's; with them they would be its payments."""
    connection.execute("delete from invoice")
    connection.execute("delete from invoice_stage_history")


def _chats_of_ours(connection: sqlite3.Connection) -> None:
    """A chat session is both sides' talk in Bitrix24; amoCRM tells each message of either."""
    connection.execute(
        """update activity set "DIRECTION" = 2 where "PROVIDER_ID" = 'IMOPENLINES_SESSION'"""
    )


def _no_templates(connection: sqlite3.Connection) -> None:
    """amoCRM has no templates of recurring deals."""
    connection.execute('delete from deal where "IS_RECURRING" = 1')


def _one_stage_of_failure(connection: sqlite3.Connection) -> None:
    """amoCRM has one stage of failure per pipeline, and reasons beside it."""
    connection.execute(
        """create temp table first_failure as
        select "ENTITY_ID", "STATUS_ID",
            coalesce(nullif(replace(replace("ENTITY_ID", 'DEAL_STAGE_', ''), 'DEAL_STAGE', ''), ''),
                0) as category
        from status as failing
        where "SEMANTICS" = 'F' and "ENTITY_ID" like 'DEAL_STAGE%' and "ID" = (
            select "ID" from status as other where other."ENTITY_ID" = failing."ENTITY_ID"
            and other."SEMANTICS" = 'F' order by "SORT", "ID" limit 1
        )"""
    )
    first = 'select "STATUS_ID" from first_failure where category = "CATEGORY_ID"'
    for table in ("deal", "stage_history"):
        connection.execute(
            f'update {table} set "STAGE_ID" = ({first}) '
            f"""where "STAGE_SEMANTIC_ID" = 'F' and ({first}) is not null"""
        )
    connection.execute(
        """delete from status where "SEMANTICS" = 'F' and "ENTITY_ID" like 'DEAL_STAGE%'
        and not exists (
            select 1 from first_failure where first_failure."ENTITY_ID" = status."ENTITY_ID"
            and first_failure."STATUS_ID" = status."STATUS_ID"
        )"""
    )


def add_stages(path: Path) -> None:
    """Every pipeline of amoCRM begins with a stage for what is not accepted yet and has one stage
    of success and one of failure.
    """
    with contextlib.closing(sqlite3.connect(path)) as connection:
        for place, (code, name, sort, semantics) in enumerate(_STAGES):
            connection.execute(
                """insert into status
                    ("ID", "ENTITY_ID", "STATUS_ID", "NAME", "SORT", "SYSTEM", "SEMANTICS")
                select $base + category."ID",
                    case category."ID" when 0 then 'DEAL_STAGE'
                        else 'DEAL_STAGE_' || category."ID" end as entity_id,
                    case category."ID" when 0 then '' else 'C' || category."ID" || ':' end || $code,
                    $name, $sort, 'N', $semantics
                from category
                where coalesce("ENTITY_TYPE_ID", 2) = 2 and not exists (
                    select 1 from status
                    where status."ENTITY_ID" = case category."ID" when 0 then 'DEAL_STAGE'
                        else 'DEAL_STAGE_' || category."ID" end
                    and status."SEMANTICS" = $semantics
                )""",
                {
                    "base": 900_000 + 1_000 * place,
                    "code": code,
                    "name": name,
                    "sort": sort,
                    "semantics": semantics,
                },
            )
        connection.commit()


def _no_attributes(connection: sqlite3.Connection) -> None:
    """Extensions, logins, registrations, lines, ids of an earlier system, planned dates and the
    mark of a returning customer are Bitrix24's. Whose an extension of the telephony is, the
    company's file says for both.
    """
    connection.execute(
        'update user set "UF_PHONE_INNER" = null, "LAST_LOGIN" = null, '
        '"LAST_ACTIVITY_DATE" = null, "DATE_REGISTER" = null, "XML_ID" = null'
    )
    connection.execute('update call set "PORTAL_NUMBER" = null')
    connection.execute(
        'update deal set "ORIGIN_ID" = null, "CLOSEDATE" = null, "IS_RETURN_CUSTOMER" = 0'
    )


def _no_tree(connection: sqlite3.Connection) -> None:
    """amoCRM's groups of users stand beside each other."""
    connection.execute('update department set "PARENT" = null')


def _named_sources(connection: sqlite3.Connection) -> None:
    """amoCRM has no dictionary of sources: there are those that cards name."""
    connection.execute(
        """delete from status where "ENTITY_ID" = 'SOURCE'
        and "STATUS_ID" not in (select "SOURCE_ID" from deal where "SOURCE_ID" is not null)"""
    )


def _listed_prices(connection: sqlite3.Connection) -> None:
    """amoCRM's leads link a product once, with a quantity; the price is the catalog's."""
    connection.execute(
        """delete from product_row where "PRODUCT_ID" not in (select "ID" from product)
        or "PRODUCT_ID" is null"""
    )
    connection.execute(
        """create temp table linked as
        select min("ID") as id, sum("QUANTITY") as quantity from product_row
        group by "OWNER_TYPE", "OWNER_ID", "PRODUCT_ID"
        """
    )
    connection.execute('delete from product_row where "ID" not in (select id from linked)')
    connection.execute(
        """update product_row set
            "QUANTITY" = (select quantity from linked where id = "ID"),
            "PRICE" = (select "PRICE" from product where product."ID" = "PRODUCT_ID"),
            "PRODUCT_NAME" = (select "NAME" from product where product."ID" = "PRODUCT_ID")"""
    )


def _movers_own(connection: sqlite3.Connection) -> None:
    """Bitrix24 has no history of owners: who moved a deal into its close stands for its owner."""
    connection.execute('update deal set "MOVED_BY_ID" = "ASSIGNED_BY_ID"')


def _fewer_results(connection: sqlite3.Connection) -> None:
    """amoCRM knows fewer results of a call: declined is missed, a wrong number is one kind."""
    for code, told in {"603": "304", "603-S": "304", "484": "404"}.items():
        connection.execute(
            'update call set "CALL_FAILED_CODE" = ? where "CALL_FAILED_CODE" = ?', (told, code)
        )
    connection.execute(
        """update call set "CALL_FAILED_CODE" = null
        where "CALL_FAILED_CODE" not in ('200', '304', '480', '486', '404')"""
    )


def _whole_money(connection: sqlite3.Connection) -> None:
    """Prices are whole units of the account's one currency, 0 where there is none."""
    connection.execute(
        """update deal set "OPPORTUNITY" =
            cast(cast(round(coalesce("OPPORTUNITY", 0)) as integer) as text)"""
    )


STEPS: tuple[Callable[[sqlite3.Connection], None], ...] = (
    _no_leads,
    _no_invoices,
    _chats_of_ours,
    _no_templates,
    _one_stage_of_failure,
    _no_attributes,
    _no_tree,
    _named_sources,
    _listed_prices,
    _movers_own,
    _fewer_results,
    _whole_money,
)
"""In this order; each says what only one system knows."""

REASONS = tuple(
    " ".join((step.__doc__ or "").split()) for step in (_calls_on_cards, *STEPS, add_stages)
)
