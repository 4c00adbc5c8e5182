"""The invented company beside deals and calls: leads, invoices, products, tasks, comments."""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import phonenumbers
import pytest

from sources.demo.generator import TROUBLES, Chunk, CompanySize, generate, write_store
from sources.demo.generator.ids import LAST_SLOT, STRIDE
from sources.demo.generator.raw import raw_table
from sources.demo.store import ENTITIES, PortalStore

SECOND = 1_000_000
DAY = 86_400 * SECOND
CLOCK = int(dt.datetime(2026, 6, 30, 15, tzinfo=dt.UTC).timestamp()) * SECOND
NO_DEADLINE = int(dt.datetime(9999, 12, 30, 21, tzinfo=dt.UTC).timestamp()) * SECOND
"""9999-12-31 in the portal's zone."""
TINY = CompanySize(deals=90, calls=700, contacts=70, months=9, employees=10, heavy_calls=60)
OLD = ("contact", "deal", "stage_history", "call", "user", "department")
STAGES_AT_FIRST = {"lead": ("NEW", 1), "invoice": ("DT31_11:N", 1)}


class Company:
    """The small company, read from its store with plain SQL."""

    def __init__(self, store: PortalStore, planted: dict[str, list[dict[str, Any]]]) -> None:
        self.store = store
        self.planted = planted

    def rows(self, sql: str, *parameters: object) -> list[dict[str, Any]]:
        return [dict(row) for row in self.store.query(sql, parameters)]

    def value(self, sql: str, *parameters: object) -> Any:
        return self.store.query(sql, parameters)[0][0]

    def by_id(self, entity: str) -> dict[int, dict[str, Any]]:
        return {row["ID"]: row for row in self.rows(f'select * from "{entity}"')}


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    path = tmp_path_factory.mktemp("entities") / "small.sqlite"
    planted = write_store(path)
    with PortalStore(path, read_only=True) as store:
        yield Company(store, planted)


@pytest.fixture(scope="module")
def tiny() -> list[Chunk]:
    return list(generate(TINY))


# --- integrity


def test_every_reference_leads_to_a_record(company: Company) -> None:
    references = (
        ("lead", "CONTACT_ID", "contact", ""),
        ("lead", "COMPANY_ID", "company", ""),
        ("lead", "ASSIGNED_BY_ID", "user", ""),
        ("lead", "CREATED_BY_ID", "user", ""),
        ("lead", "MODIFY_BY_ID", "user", ""),
        ("lead", "MOVED_BY_ID", "user", ""),
        ("company", "ASSIGNED_BY_ID", "user", ""),
        ("lead_stage_history", "OWNER_ID", "lead", ""),
        ("invoice", "PARENT_ID_2", "deal", ""),
        ("invoice", "CONTACT_ID", "contact", ""),
        ("invoice", "COMPANY_ID", "company", ""),
        ("invoice", "CATEGORY_ID", "category", ""),
        ("invoice", "MOVED_BY", "user", ""),
        ("invoice_stage_history", "OWNER_ID", "invoice", ""),
        ("smart_item", "PARENT_ID_2", "deal", ""),
        ("smart_item", "CATEGORY_ID", "category", ""),
        ("smart_item", "ASSIGNED_BY_ID", "user", ""),
        ("product_row", "OWNER_ID", "deal", "and OWNER_TYPE = 'D'"),
        ("product_row", "PRODUCT_ID", "product", ""),
        ("binding", "ACTIVITY_ID", "activity", ""),
        ("binding", "ENTITY_ID", "deal", "and ENTITY_TYPE_ID = 2"),
        ("binding", "ENTITY_ID", "lead", "and ENTITY_TYPE_ID = 1"),
        ("task", "RESPONSIBLE_ID", "user", ""),
        ("task", "CREATED_BY", "user", ""),
        ("task", "CLOSED_BY", "user", ""),
        ("task_history", "TASK_ID", "task", ""),
        ("task_history", "USER_ID", "user", ""),
        ("timeline_comment", "ENTITY_ID", "deal", "and ENTITY_TYPE = 'deal'"),
        ("timeline_comment", "ENTITY_ID", "lead", "and ENTITY_TYPE = 'lead'"),
        ("timeline_comment", "AUTHOR_ID", "user", ""),
    )
    for table, column, target, condition in references:
        found = company.value(
            f'select count("{column}") from "{table}" where "{column}" is not null {condition}'
        )
        lost = company.value(
            f'select count(*) from "{table}" where "{column}" is not null {condition} '
            f'and "{column}" not in (select ID from "{target}")'
        )
        assert found > 0, (table, column)
        assert lost == 0, (table, column)
    others = "select count(*) from product_row where OWNER_TYPE <> 'D'"
    assert company.value(others) == 0
    linked = [json.loads(row["UF_CRM_TASK"]) for row in company.rows("select * from task")]
    leads, deals = company.by_id("lead"), company.by_id("deal")
    for (link,) in linked:
        kind, record_id = link.split("_")
        assert int(record_id) in {"D": deals, "L": leads}[kind]
    assert {link[0] for (link,) in linked} == {"D", "L"}


def test_stages_of_leads_invoices_and_the_process_are_in_the_dictionary(company: Company) -> None:
    known = {
        (row["ENTITY_ID"], row["STATUS_ID"]): row["SEMANTICS"] or "P"
        for row in company.rows("select * from status")
    }
    for row in company.rows("select distinct STATUS_ID, STATUS_SEMANTIC_ID from lead"):
        assert known["STATUS", row["STATUS_ID"]] == row["STATUS_SEMANTIC_ID"]
    for row in company.rows("select * from invoice_stage_history"):
        entity_id = f"SMART_INVOICE_STAGE_{row['CATEGORY_ID']}"
        assert known[entity_id, row["STAGE_ID"]] == row["STAGE_SEMANTIC_ID"]
    for row in company.rows("select * from smart_item"):
        entity_id = f"DYNAMIC_{row['ENTITY_TYPE_ID']}_STAGE_{row['CATEGORY_ID']}"
        assert (entity_id, row["STAGE_ID"]) in known
    for entity_id in ("STATUS", "SMART_INVOICE_STAGE_11", "DYNAMIC_177_STAGE_13"):
        semantics = Counter(found for (entity, _), found in known.items() if entity == entity_id)
        assert semantics["S"] == 1
        assert semantics["F"] >= 1
        assert semantics["P"] >= 2


def test_option_ids_of_custom_fields_are_in_their_own_dictionary(company: Company) -> None:
    for entity in ("deal", "lead"):
        fields = {
            row["FIELD_NAME"]: row
            for row in company.rows("select * from custom_field where ENTITY_TYPE = ?", entity)
        }
        used: dict[str, set[str]] = defaultdict(set)
        for row in company.rows(f"select CUSTOM from {entity}"):
            for name, value in json.loads(row["CUSTOM"]).items():
                assert isinstance(value, list) == bool(fields[name]["IS_MULTIPLE"]), name
                used[name] |= set(map(str, value)) if isinstance(value, list) else {value}
        for name in ("UF_CRM_REGION", "UF_CRM_INTEREST"):
            options = {option["ID"] for option in json.loads(fields[name]["ITEMS"])}
            assert used[name] == options, (entity, name)
    labels = {
        entity: {
            option["VALUE"]: option["ID"]
            for option in json.loads(
                company.value(
                    "select ITEMS from custom_field where ENTITY_TYPE = ? "
                    "and FIELD_NAME = 'UF_CRM_REGION'",
                    entity,
                )
            )
        }
        for entity in ("deal", "lead")
    }
    assert labels["deal"].keys() == labels["lead"].keys()
    assert not set(labels["deal"].values()) & set(labels["lead"].values())


# --- leads


def test_a_deal_carries_on_what_its_lead_began(company: Company) -> None:
    leads = company.by_id("lead")
    deals = company.rows("select * from deal where LEAD_ID is not null")
    assert len({deal["LEAD_ID"] for deal in deals}) == len(deals) > 300
    for deal in deals:
        lead = leads[deal["LEAD_ID"]]
        assert lead["STATUS_ID"] == "CONVERTED"
        assert lead["DATE_CREATE"] < lead["DATE_CLOSED"] <= deal["DATE_CREATE"]
        assert deal["DATE_CREATE"] - lead["DATE_CLOSED"] < 60 * SECOND
        for name in ("SOURCE", "MEDIUM", "CAMPAIGN", "CONTENT", "TERM"):
            assert lead[f"UTM_{name}"] == deal[f"UTM_{name}"]
        for name in ("SOURCE_ID", "CONTACT_ID", "COMPANY_ID"):
            assert lead[name] == deal[name]
        assert deal["CATEGORY_ID"] in (0, 2)
        assert deal["SOURCE_ID"] in ("CALL", "WEB", "ADVERTISING")


def test_leads_are_as_many_and_end_as_designed(company: Company) -> None:
    counts = Counter(row["STATUS_ID"] for row in company.rows("select STATUS_ID from lead"))
    total = sum(counts.values())
    since = int(dt.datetime(2025, 6, 30, 21, tzinfo=dt.UTC).timestamp()) * SECOND
    # Planted deals have other remainders, and no leads.
    own = company.value(f"select min(ID) % {STRIDE} from deal where LEAD_ID is not null")
    deals = company.value(
        "select count(*) from deal where DATE_CREATE >= ? and CATEGORY_ID in (0, 2) "
        f"and SOURCE_ID in ('CALL', 'WEB', 'ADVERTISING') and ID % {STRIDE} = ?",
        since,
        own,
    )
    assert total == pytest.approx(1.6 * deals, rel=0.02)
    shares = {status: count / total for status, count in counts.items()}
    assert shares.keys() == {"NEW", "IN_PROCESS", "PROCESSED", "CONVERTED", "JUNK", "UC_NOREPLY"}
    assert shares["CONVERTED"] == pytest.approx(0.52, abs=0.06)
    assert shares["JUNK"] == pytest.approx(0.28, abs=0.06)
    assert shares["UC_NOREPLY"] == pytest.approx(0.12, abs=0.05)
    gone = company.value(
        "select count(*) from lead where STATUS_ID = 'CONVERTED' "
        "and ID not in (select LEAD_ID from deal where LEAD_ID is not null)"
    )
    assert 0 < gone < 0.1 * total
    returning = company.value("select count(*) from lead where IS_RETURN_CUSTOMER = 1")
    assert 0.02 < returning / total < 0.3
    first = company.value("select min(DATE_CREATE) from lead")
    assert first > since - 15 * DAY


@pytest.mark.parametrize(
    ("card", "stage", "semantics", "created", "moved"),
    [
        ("lead", "STATUS_ID", "STATUS_SEMANTIC_ID", "DATE_CREATE", "MOVED_TIME"),
        ("invoice", "STAGE_ID", None, "CREATED_TIME", "MOVED_TIME"),
    ],
)
def test_history_begins_at_creation_and_ends_where_the_card_stands(
    company: Company, card: str, stage: str, semantics: str | None, created: str, moved: str
) -> None:
    history: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for row in company.rows(f"select * from {card}_stage_history order by ID"):
        history[row["OWNER_ID"]].append(row)
    cards = company.by_id(card)
    assert cards.keys() == history.keys()
    history_semantics = "STATUS_SEMANTIC_ID" if card == "lead" else "STAGE_SEMANTIC_ID"
    for card_id, record in cards.items():
        steps = history[card_id]
        assert (steps[0][stage], steps[0]["TYPE_ID"]) == STAGES_AT_FIRST[card]
        assert steps[0]["CREATED_TIME"] == record[created]
        assert steps[-1][stage] == record[stage]
        assert steps[-1]["CREATED_TIME"] == record[moved]
        if semantics is not None:
            assert steps[-1][history_semantics] == record[semantics]
        for before, after in pairwise(steps):
            assert before["CREATED_TIME"] < after["CREATED_TIME"]
            assert before[stage] != after[stage]
            assert before[history_semantics] == "P"
            assert after["TYPE_ID"] == (2 if after[history_semantics] == "P" else 3)


def test_only_final_leads_are_closed(company: Company) -> None:
    for lead in company.rows("select * from lead"):
        is_final = lead["STATUS_SEMANTIC_ID"] != "P"
        assert (lead["DATE_CLOSED"] is not None) == is_final
        assert lead["DATE_CLOSED"] in (None, lead["MOVED_TIME"])
        assert lead["MOVED_TIME"] <= lead["DATE_MODIFY"]
        assert bool(json.loads(lead["EMAIL"])) == bool(lead["HAS_EMAIL"])


def test_numbers_and_addresses_are_nobodys(company: Company) -> None:
    for entity in ("lead", "company"):
        for row in company.rows(f"select PHONE, EMAIL from {entity}"):
            for item in json.loads(row["PHONE"]):
                number = phonenumbers.parse(item["VALUE"], "RU")
                assert str(number.national_number)[:3] in ("972", "974")
            for item in json.loads(row["EMAIL"]):
                assert item["VALUE"].endswith("@example.com")


def test_companies_do_not_share_numbers_with_clients(company: Company) -> None:
    def numbers(entity: str) -> set[int | None]:
        return {
            phonenumbers.parse(item["VALUE"], "RU").national_number
            for row in company.rows(f"select PHONE from {entity}")
            for item in json.loads(row["PHONE"])
        }

    assert numbers("company")
    assert not numbers("company") & (numbers("contact") | numbers("lead"))


# --- money


def test_rows_of_products_add_up_to_the_deal(company: Company) -> None:
    sums: dict[int, Decimal] = defaultdict(Decimal)
    counts: Counter[int] = Counter()
    for row in company.rows("select * from product_row"):
        price, quantity = Decimal(row["PRICE"]), Decimal(row["QUANTITY"])
        assert price > 0
        assert Decimal(row["PRICE_BRUTTO"]) - Decimal(row["DISCOUNT_SUM"]) == price
        sums[row["OWNER_ID"]] += price * quantity
        counts[row["OWNER_ID"]] += 1
    deals = company.by_id("deal")
    for deal_id, amount in sums.items():
        assert amount == Decimal(deals[deal_id]["OPPORTUNITY"])
    assert set(counts.values()) == {1, 2, 3}
    assert len(sums) > 0.6 * len(deals)


def test_invoices_of_a_won_deal_are_its_amount_in_parts(company: Company) -> None:
    billed: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for row in company.rows("select * from invoice"):
        billed[row["PARENT_ID_2"]].append(row)
    deals = company.by_id("deal")
    whole = 0
    for deal_id, invoices in billed.items():
        deal = deals[deal_id]
        amount = sum(Decimal(row["OPPORTUNITY"]) for row in invoices)
        assert all(Decimal(row["OPPORTUNITY"]) > 0 for row in invoices)
        assert amount <= Decimal(deal["OPPORTUNITY"])
        assert all(row["CREATED_TIME"] >= deal["DATE_CREATE"] for row in invoices)
        assert {row["CONTACT_ID"] for row in invoices} == {deal["CONTACT_ID"]}
        if deal["STAGE_SEMANTIC_ID"] == "S":
            whole += amount == Decimal(deal["OPPORTUNITY"])
        else:
            assert len(invoices) == 1
            paid = {"P": "DT31_11:D", "F": "DT31_11:P"}[deal["STAGE_SEMANTIC_ID"]]
            assert invoices[0]["STAGE_ID"] != paid
    won = {
        row["ID"]
        for row in company.rows(
            "select ID from deal where STAGE_SEMANTIC_ID = 'S' and CATEGORY_ID <> 2"
        )
    }
    assert len(won & billed.keys()) > 0.75 * len(won)
    assert whole > 0.85 * len(won & billed.keys())
    stages = Counter(row["STAGE_ID"].rpartition(":")[2] for rows in billed.values() for row in rows)
    assert stages.keys() == {"N", "S", "P", "D"}
    assert stages["P"] > 0.6 * stages.total()
    days = [
        (row["MOVED_TIME"] - row["CREATED_TIME"]) / DAY
        for rows in billed.values()
        for row in rows
        if row["STAGE_ID"] == "DT31_11:P"
    ]
    assert 3 < sorted(days)[len(days) // 2] < 9


def test_requests_for_installation_follow_a_win(company: Company) -> None:
    deals = company.by_id("deal")
    items = company.rows("select * from smart_item")
    assert 20 <= len(items) <= 80
    for item in items:
        deal = deals[item["PARENT_ID_2"]]
        assert deal["STAGE_SEMANTIC_ID"] == "S"
        assert deal["MOVED_TIME"] < item["CREATED_TIME"] <= item["MOVED_TIME"]
    assert len({item["STAGE_ID"] for item in items}) >= 3


# --- work


def test_a_task_stands_where_its_history_ends(company: Company) -> None:
    history: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for row in company.rows("select * from task_history order by ID"):
        history[row["TASK_ID"]].append(row)
    tasks = company.by_id("task")
    assert tasks.keys() == history.keys()
    for task_id, task in tasks.items():
        events = history[task_id]
        assert events[0]["FIELD"] == "NEW"
        assert events[0]["CREATED_DATE"] == task["CREATED_DATE"]
        assert events[-1]["CREATED_DATE"] == task["CHANGED_DATE"]
        assert all(a["CREATED_DATE"] < b["CREATED_DATE"] for a, b in pairwise(events))
        now = {
            "STATUS": "2",
            "DEADLINE": None if task["DEADLINE"] is None else str(task["DEADLINE"] // SECOND),
            "RESPONSIBLE_ID": str(task["RESPONSIBLE_ID"]),
        }
        for field, last in now.items():
            changes = [event for event in events if event["FIELD"] == field]
            expected = str(task["STATUS"]) if field == "STATUS" else last
            assert (changes[-1]["VALUE_TO"] if changes else last) == expected, (task_id, field)
            for before, after in pairwise(changes):
                assert before["VALUE_TO"] == after["VALUE_FROM"]
        assert (task["CLOSED_DATE"] is not None) == (task["STATUS"] == 5)
        assert (task["CLOSED_BY"] is not None) == (task["STATUS"] == 5)
    assert {task["STATUS"] for task in tasks.values()} == {2, 3, 4, 5, 6}
    assert {row["FIELD"] for rows in history.values() for row in rows} == {
        "NEW", "STATUS", "DEADLINE", "RESPONSIBLE_ID",
    }  # fmt: skip


def test_every_task_has_its_activity(company: Company) -> None:
    def key(row: dict[str, Any], kind: str, owner: int, created: int) -> tuple[Any, ...]:
        return kind, owner, created, row["RESPONSIBLE_ID"]

    mirrors = Counter(
        (
            *key(row, {1: "L", 2: "D"}[row["OWNER_TYPE_ID"]], row["OWNER_ID"], row["CREATED"]),
            row["COMPLETED"],
            None if row["DEADLINE"] == NO_DEADLINE else row["DEADLINE"],
        )
        for row in company.rows("select * from activity where TYPE_ID = 3")
    )
    tasks: Counter[tuple[Any, ...]] = Counter()
    for row in company.rows("select * from task"):
        kind, owner = json.loads(row["UF_CRM_TASK"])[0].split("_")
        done = int(row["STATUS"] == 5)
        tasks[*key(row, kind, int(owner), row["CREATED_DATE"]), done, row["DEADLINE"]] += 1
    assert mirrors == tasks


def test_activities_are_of_every_kind(company: Company) -> None:
    kinds = Counter(
        (row["TYPE_ID"], row["PROVIDER_ID"])
        for row in company.rows("select TYPE_ID, PROVIDER_ID from activity")
    )
    assert kinds.keys() == {
        (1, "CRM_MEETING"), (2, "VOXIMPLANT_CALL"), (3, "CRM_TASKS_TASK"), (4, "CRM_EMAIL"),
        (6, "CRM_TODO"), (6, "IMOPENLINES_SESSION"),
    }  # fmt: skip
    chats = company.rows("select * from activity where PROVIDER_ID = 'IMOPENLINES_SESSION'")
    assert {chat["OWNER_TYPE_ID"] for chat in chats} == {1, 2}
    assert {chat["DEADLINE"] for chat in chats} == {NO_DEADLINE}
    still_open = "select count(*) from activity where COMPLETED = 0 and TYPE_ID <> 2 and DEADLINE"
    assert company.value(f"{still_open} < ?", CLOCK) > 20
    assert company.value(f"{still_open} between ? and ?", CLOCK, CLOCK + 60 * DAY) > 20
    assert company.value(f"{still_open} = ?", NO_DEADLINE) > 5


def test_chats_and_letters_fall_into_the_cards_known_activity(company: Company) -> None:
    late = company.value(
        "select count(*) from activity join deal on deal.ID = OWNER_ID and OWNER_TYPE_ID = 2 "
        "where activity.CREATED > LAST_ACTIVITY_TIME and DIRECTION = 1 "
        "and (PROVIDER_ID = 'IMOPENLINES_SESSION' or PROVIDER_ID = 'CRM_EMAIL')"
    )
    assert late == 0


def test_bindings_name_other_cards_of_the_client_than_the_owner(company: Company) -> None:
    pairs = company.rows(
        "select b.ENTITY_TYPE_ID, b.ENTITY_ID, a.OWNER_TYPE_ID, a.OWNER_ID, a.TYPE_ID, "
        "a.START_TIME, b.ACTIVITY_ID from binding as b join activity as a on a.ID = b.ACTIVITY_ID"
    )
    deals, leads = company.by_id("deal"), company.by_id("lead")
    seen = set()
    for pair in pairs:
        assert pair["TYPE_ID"] == 2
        owner = (pair["OWNER_TYPE_ID"], pair["OWNER_ID"])
        bound = (pair["ENTITY_TYPE_ID"], pair["ENTITY_ID"])
        assert owner != bound
        assert (*bound, pair["ACTIVITY_ID"]) not in seen
        seen.add((*bound, pair["ACTIVITY_ID"]))
        card = (leads if bound[0] == 1 else deals)[bound[1]]
        assert card["DATE_CREATE"] <= pair["START_TIME"]
        client = deals[owner[1]]["CONTACT_ID"] if owner[0] == 2 else owner[1]
        assert card["CONTACT_ID"] == client
    kinds = Counter((pair["OWNER_TYPE_ID"], pair["ENTITY_TYPE_ID"]) for pair in pairs)
    assert kinds.keys() == {(3, 2), (3, 1), (2, 2)}
    assert kinds[3, 2] > 500
    assert min(kinds.values()) >= 10
    assert len(pairs) < len(deals)


def test_comments_are_partly_canned_or_empty(company: Company) -> None:
    texts = [row["COMMENT"] for row in company.rows("select COMMENT from timeline_comment")]
    assert 0.02 < texts.count("") / len(texts) < 0.1
    assert 0.05 < texts.count("перезвонить") / len(texts) < 0.2
    early = (
        "select count(*) from timeline_comment as c join {0} as d on d.ID = c.ENTITY_ID "
        "and c.ENTITY_TYPE = '{0}' where c.CREATED < d.DATE_CREATE"
    )
    assert company.value(early.format("deal")) == company.value(early.format("lead")) == 0


def test_one_employee_moves_deadlines_without_a_touch(company: Company) -> None:
    (entry,) = company.planted["moved_deadlines"]
    moves = 0
    for task_id, deal_id in zip(entry["task_ids"], entry["deal_ids"], strict=True):
        task = company.by_id("task")[task_id]
        assert json.loads(task["UF_CRM_TASK"]) == [f"D_{deal_id}"]
        assert (task["RESPONSIBLE_ID"], task["STATUS"]) == (entry["user_id"], 2)
        found = company.rows(
            "select * from task_history where TASK_ID = ? and FIELD = 'DEADLINE' order by ID",
            task_id,
        )
        assert len(found) >= 3
        moves += len(found)
        assert all(int(row["VALUE_TO"]) > int(row["VALUE_FROM"]) for row in found)
        assert {row["USER_ID"] for row in found} == {entry["user_id"]}
        begins = task["CREATED_DATE"]
        after = company.value(
            "select count(*) from activity where OWNER_TYPE_ID = 2 and OWNER_ID = ? "
            "and TYPE_ID <> 3 and CREATED >= ?",
            deal_id,
            begins,
        )
        moved = company.value(
            "select count(*) from stage_history where OWNER_ID = ? and CREATED_TIME >= ?",
            deal_id,
            begins,
        )
        commented = company.value(
            "select count(*) from timeline_comment where ENTITY_TYPE = 'deal' and ENTITY_ID = ?",
            deal_id,
        )
        assert (after, moved, commented) == (0, 0, 0)
    assert moves == entry["moves"]
    others = Counter(
        row["TASK_ID"]
        for row in company.rows("select TASK_ID from task_history where FIELD = 'DEADLINE'")
        if row["TASK_ID"] not in entry["task_ids"]
    )
    assert max(others.values()) <= 2


# --- independence


def test_activities_that_came_later_take_no_id_of_the_others(tiny: list[Chunk]) -> None:
    months = [chunk.frames["activity"] for chunk in tiny if chunk.label not in TROUBLES]
    rows = pd.concat(months)
    is_further = rows["TYPE_ID"].isin([3]) | rows["PROVIDER_ID"].eq("IMOPENLINES_SESSION")
    is_further |= rows["TYPE_ID"].eq(4) & rows["DIRECTION"].eq(1)
    slots = rows["ID"] % STRIDE
    assert set(slots[is_further]) == {LAST_SLOT}
    assert set(slots[~is_further]) == {0}
    calls = rows[rows["TYPE_ID"] == 2].sort_values("ID")
    assert calls["CREATED"].is_monotonic_increasing


def test_every_entity_has_records_in_their_own_period(tiny: list[Chunk]) -> None:
    for entity in ENTITIES:
        count = sum(len(chunk.frames[entity]) for chunk in tiny)
        assert count > 0, entity
    months = [chunk for chunk in tiny if chunk.label not in TROUBLES]
    for chunk in months[1:]:
        created = chunk.frames["lead"]["DATE_CREATE"]
        local = pd.to_datetime(created + 3 * 3_600 * SECOND, unit="us")
        assert {f"{moment:%Y-%m}" for moment in local} <= {chunk.label}


def test_raw_bindings_say_the_owner_and_what_else_is_bound(tiny: list[Chunk]) -> None:
    for chunk in tiny:
        table = raw_table("activity_bindings", chunk.frames, "bitrix24:main").to_pylist()
        activities = chunk.frames["activity"].set_index("ID")
        asked = activities[(activities["TYPE_ID"] == 2) & (activities["OWNER_TYPE_ID"] != 2)]
        assert {row["activity_id"] for row in table} == set(asked.index)
        owners = {
            (row["activity_id"], row["entity_type_id"], row["entity_id"])
            for row in table
            if row["entity_type_id"] == 3
        }
        assert owners == set(
            zip(asked.index, asked["OWNER_TYPE_ID"], asked["OWNER_ID"], strict=True)
        )


def test_the_dictionary_of_options_is_one_row_an_option(tmp_path: Path) -> None:
    frames = next(generate(TINY)).frames
    options = raw_table("custom_field_options", frames, "bitrix24:main").to_pylist()
    assert Counter((row["entity_type"], row["field"]) for row in options) == {
        ("deal", "UF_CRM_REGION"): 7,
        ("deal", "UF_CRM_INTEREST"): 4,
        ("lead", "UF_CRM_REGION"): 7,
        ("lead", "UF_CRM_INTEREST"): 4,
        ("invoice", "UF_CRM_SMART_INVOICE_1639669411830"): 3,
    }
