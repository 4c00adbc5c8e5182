"""Replaying csv files: nothing lost or bent on the way, and errors that say where to look."""

from __future__ import annotations

import csv
import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from sources.demo.portal import Portal
from sources.demo.replay import ReplayReport, write_replay
from sources.demo.server import serve_in_thread
from sources.demo.store import ENTITIES, PortalStore
from sources.errors import InputError

HELPDESK = Path(__file__).parents[2] / "data" / "helpdesk"
HISTORY = "history_id,deal_id,stage,entered_at"
UTC = dt.UTC

Folder = Callable[..., Path]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """Writes a folder of csv files: `folder(stage_history=[...lines])`."""

    def write(**files: list[str] | str | bytes) -> Path:
        path = tmp_path / "Мой архив"
        path.mkdir()
        for name, content in files.items():
            text = "\n".join(content) + "\n" if isinstance(content, list) else content
            raw = text if isinstance(text, bytes) else text.encode()
            (path / f"{name}.csv").write_bytes(raw)
        return path

    return write


class Replayed:
    """A written store, read with plain SQL."""

    def __init__(self, folder: Path, path: Path) -> None:
        self.report: ReplayReport = write_replay(folder, path)
        self.path = path

    def rows(self, entity: str) -> list[dict[str, Any]]:
        with PortalStore(self.path, read_only=True) as store:
            return [dict(row) for row in store.query(f'select * from "{entity}" order by "ID"')]

    def column(self, entity: str, name: str) -> list[Any]:
        return [row[name] for row in self.rows(entity)]

    def clock(self) -> dt.datetime:
        with PortalStore(self.path, read_only=True) as store:
            return store.clock


@pytest.fixture
def replay(tmp_path: Path) -> Callable[[Path], Replayed]:
    return lambda path: Replayed(path, tmp_path / "portal.sqlite")


Replay = Callable[[Path], Replayed]


def microseconds(text: str) -> int:
    epoch = dt.datetime(1970, 1, 1, tzinfo=UTC)
    return (dt.datetime.fromisoformat(text) - epoch) // dt.timedelta(microseconds=1)


# What is derived


def test_a_stage_history_alone_is_enough(folder: Folder, replay: Replay) -> None:
    replayed = replay(
        folder(
            stage_history=[
                HISTORY + ",user_id",
                "1,7,Заявка,2024-03-01T09:00:00+00:00,9",
                "2,7,Счёт,2024-03-02T09:00:00+00:00,9",
                "3,8,Заявка,2024-03-03T09:00:00+00:00,11",
            ]
        )
    )
    first, second = replayed.rows("deal")
    assert (first["ID"], first["DATE_CREATE"]) == (7, microseconds("2024-03-01T09:00:00+00:00"))
    assert first["MOVED_TIME"] == microseconds("2024-03-02T09:00:00+00:00")
    assert first["STAGE_ID"] == replayed.rows("stage_history")[1]["STAGE_ID"]
    assert (first["CLOSED"], first["STAGE_SEMANTIC_ID"]) == (0, "P")
    assert (first["ASSIGNED_BY_ID"], second["ASSIGNED_BY_ID"]) == (9, 11)
    assert replayed.column("category", "NAME") == ["Replay"]
    assert replayed.column("status", "NAME") == ["Заявка", "Счёт"]
    assert replayed.column("user", "ID") == [9, 11]
    assert replayed.column("call", "ID") == []
    assert replayed.clock() == dt.datetime(2024, 3, 3, 9, tzinfo=UTC)
    assert replayed.report.counts == {
        "pipelines": 1,
        "stages": 2,
        "users": 2,
        "stage entries": 3,
        "deals": 2,
        "calls": 0,
        "clients": 0,
    }
    assert {name: n for name, n in replayed.report.derived.items() if n} == {
        "stages": 2,
        "deals": 2,
        "users": 2,
    }
    assert "3 stage entries" in replayed.report.sentence()


def test_unlisted_stages_stand_in_the_order_in_which_deals_reach_them(
    folder: Folder, replay: Replay
) -> None:
    replayed = replay(
        folder(
            stage_history=[
                HISTORY,
                "1,1,Договор,2024-01-03T00:00:00Z",
                "2,1,Звонок,2024-01-01T00:00:00Z",
                "3,1,Встреча,2024-01-02T00:00:00Z",
            ]
        )
    )
    ordered = sorted(replayed.rows("status"), key=lambda row: row["SORT"])
    assert [row["NAME"] for row in ordered] == ["Звонок", "Встреча", "Договор"]


def test_a_header_without_rows_is_an_empty_portal(folder: Folder, replay: Replay) -> None:
    replayed = replay(folder(stage_history=[HISTORY]))
    assert [replayed.rows(name) for name in ("deal", "stage_history", "user", "call")] == [[]] * 4
    assert len(replayed.rows("category")) == 1
    assert len(replayed.rows("status")) == 1
    with (
        PortalStore(replayed.path, read_only=True) as store,
        serve_in_thread(Portal(store)) as address,
    ):
        body = requests.get(address + "crm.deal.list", timeout=10).json()
    assert (body["result"], body["total"]) == ([], 0)


def test_deals_without_a_history_stand_on_the_first_stage_of_their_pipeline(
    folder: Folder, replay: Replay
) -> None:
    replayed = replay(
        folder(
            deals=[
                "deal_id,created_at,title,amount,currency,pipeline,owner_id,source,product,grade",
                'D1,2024-01-01T00:00:00+03:00,"ООО ""Ромашка"", опт",1500.5,RUB,Опт,u2,Сайт,Окна,A',
                "D2,2024-01-02T00:00:00+03:00,,,,Розница,,,,",
            ],
            stages=[
                "pipeline,stage,semantics,sort",
                "Опт,Оплата,won,30",
                "Опт,Заявка,open,10",
            ],
        )
    )
    first, second = replayed.rows("deal")
    names = {row["STATUS_ID"]: row["NAME"] for row in replayed.rows("status")}
    assert names[first["STAGE_ID"]] == "Заявка"
    assert names[second["STAGE_ID"]] == "New"
    assert second["STAGE_ID"].startswith("C1:")
    assert (first["TITLE"], second["TITLE"]) == ('ООО "Ромашка", опт', "Deal D2")
    assert (first["OPPORTUNITY"], second["OPPORTUNITY"]) == ("1500.50", None)
    assert (first["CURRENCY_ID"], second["CURRENCY_ID"]) == ("RUB", None)
    assert json.loads(first["CUSTOM"]) == {"UF_CRM_PRODUCT": "Окна", "UF_CRM_GRADE": "A"}
    sources = [row for row in replayed.rows("status") if row["ENTITY_ID"] == "SOURCE"]
    assert [(row["STATUS_ID"], row["NAME"]) for row in sources] == [(first["SOURCE_ID"], "Сайт")]
    assert replayed.rows("stage_history") == []


def test_pipelines_are_optional_and_found_where_they_stand(folder: Folder, replay: Replay) -> None:
    replayed = replay(
        folder(
            stage_history=[
                HISTORY + ",pipeline",
                "1,1,Заявка,2024-01-01T00:00:00Z,Опт",
                "2,1,Заявка,2024-01-02T00:00:00Z,Розница",
                "3,2,Оплата,2024-01-03T00:00:00Z,",
            ],
            stages=[
                "pipeline,stage,semantics",
                "Опт,Заявка,",
                "Розница,Заявка,open",
                "Розница,Оплата,WON",
            ],
        )
    )
    wholesale, retail = replayed.rows("category")
    assert (wholesale["NAME"], retail["NAME"]) == ("Опт", "Розница")
    entries = replayed.rows("stage_history")
    assert [row["CATEGORY_ID"] for row in entries] == [0, 1, 1]
    assert [row["TYPE_ID"] for row in entries] == [1, 5, 1]
    assert entries[0]["STAGE_ID"] != entries[1]["STAGE_ID"]
    assert replayed.rows("deal")[1]["CLOSED"] == 1


def test_semantics_close_deals_and_name_the_kind_of_a_move(folder: Folder, replay: Replay) -> None:
    replayed = replay(
        folder(
            stage_history=[
                HISTORY,
                "1,1,A,2024-01-01T00:00:00Z",
                "2,1,B,2024-01-02T00:00:00Z",
                "3,1,Won,2024-01-03T00:00:00Z",
                "4,2,A,2024-01-04T00:00:00Z",
                "5,2,Lost,2024-01-05T00:00:00Z",
            ],
            stages=["stage,semantics", "A,open", "B,", "Won,won", "Lost,lost"],
        )
    )
    entries = replayed.rows("stage_history")
    assert [row["TYPE_ID"] for row in entries] == [1, 2, 3, 1, 3]
    assert [row["STAGE_SEMANTIC_ID"] for row in entries] == ["P", "P", "S", "P", "F"]
    assert replayed.column("status", "SEMANTICS") == [None, None, "S", "F"]
    assert replayed.column("deal", "CLOSED") == [1, 1]


def test_the_last_entry_of_a_second_is_the_one_with_the_higher_id(
    folder: Folder, replay: Replay
) -> None:
    replayed = replay(
        folder(
            stage_history=[
                HISTORY,
                "1000,1,Later,2024-01-01T00:00:00Z",
                "999,1,Earlier,2024-01-01T00:00:00Z",
            ]
        )
    )
    later = replayed.rows("stage_history")[1]
    assert later["ID"] == 1000
    assert replayed.rows("deal")[0]["STAGE_ID"] == later["STAGE_ID"]


def test_history_ids_of_any_text_order_the_entries_of_one_second(
    folder: Folder, replay: Replay
) -> None:
    replayed = replay(
        folder(
            stage_history=[
                HISTORY,
                "h10,1,Third,2024-01-01T00:00:00Z",
                "h9,1,Second,2024-01-01T00:00:00Z",
                "z,1,First,2023-12-31T00:00:00Z",
            ]
        )
    )
    names = {row["STATUS_ID"]: row["NAME"] for row in replayed.rows("status")}
    entries = replayed.rows("stage_history")
    assert [(row["ID"], names[row["STAGE_ID"]]) for row in entries] == [
        (1, "First"),
        (2, "Second"),
        (3, "Third"),
    ]
    assert names[replayed.rows("deal")[0]["STAGE_ID"]] == "Third"


# Ids


def test_ids_of_any_text_are_numbered_in_natural_order_and_kept(
    folder: Folder, replay: Replay
) -> None:
    replayed = replay(
        folder(
            stage_history=[
                HISTORY + ",user_id",
                "a,D10,S,2024-01-01T00:00:00Z,Value 10",
                "b,D2,S,2024-01-01T00:00:00Z,Value 2",
                "c,Сделка-1,S,2024-01-01T00:00:00Z,Value 2",
            ],
            calls=[
                "call_id,started_at,duration_seconds,client_id,deal_id",
                "k-11,2024-01-01T00:00:00Z,5,K20,D10",
                "k-3,2024-01-01T00:00:00Z,5,K3,D2",
            ],
        )
    )
    assert replayed.column("deal", "ORIGIN_ID") == ["D2", "D10", "Сделка-1"]
    assert replayed.column("deal", "ID") == [1, 2, 3]
    assert replayed.column("user", "XML_ID") == ["Value 2", "Value 10"]
    assert replayed.column("user", "NAME") == ["Value 2", "Value 10"]
    assert replayed.column("call", "CALL_ID") == ["k-3", "k-11"]
    assert replayed.column("contact", "ORIGIN_ID") == ["K3", "K20"]
    owners = {row["CALL_ID"]: row["CRM_ENTITY_ID"] for row in replayed.rows("call")}
    assert owners == {"k-3": 1, "k-11": 2}


def test_plain_integers_keep_their_value(folder: Folder, replay: Replay) -> None:
    replayed = replay(
        folder(
            stage_history=[
                HISTORY + ",user_id",
                "500,9007199254740991,S,2024-01-02T00:00:00Z,33",
                "7,12,S,2024-01-01T00:00:00Z,4",
            ]
        )
    )
    assert replayed.column("stage_history", "ID") == [7, 500]
    assert replayed.column("deal", "ID") == [12, 9007199254740991]
    assert replayed.column("user", "ID") == [4, 33]


@pytest.mark.parametrize("odd", ["007", "0", "-5", "1.5", "²", "٣", "9007199254740992", "9" * 5000])
def test_one_id_that_is_no_plain_integer_numbers_the_whole_column(
    folder: Folder, replay: Replay, odd: str
) -> None:
    replayed = replay(
        folder(
            stage_history=[
                HISTORY,
                f"1,{odd},S,2024-01-01T00:00:00Z",
                "2,55,S,2024-01-01T00:00:00Z",
            ]
        )
    )
    assert sorted(replayed.column("deal", "ORIGIN_ID")) == sorted([odd, "55"])
    assert replayed.column("deal", "ID") == [1, 2]


def test_two_replays_of_a_folder_are_equal(folder: Folder, tmp_path: Path) -> None:
    path = folder(
        stage_history=[
            HISTORY + ",user_id",
            *(
                f"h{n},d{n % 7},S{n % 3},2024-01-{1 + n % 9:02}T00:00:00Z,u{n % 4}"
                for n in range(40)
            ),
        ],
        calls=[
            "call_id,started_at,duration_seconds,client_id",
            *(f"c{n},2024-01-01T00:00:00Z,{n},k{n % 5}" for n in range(20)),
        ],
    )
    first = Replayed(path, tmp_path / "first.sqlite")
    second = Replayed(path, tmp_path / "second.sqlite")
    again = Replayed(path, tmp_path / "first.sqlite")  # over an older store
    for name in ENTITIES:
        assert first.rows(name) == second.rows(name) == again.rows(name), name
    assert first.report == second.report


# Times


@pytest.mark.parametrize(
    ("written", "utc"),
    [
        ("2024-03-31T03:30:00.123456+03:00", "2024-03-31T00:30:00.123456+00:00"),
        ("2024-03-31 03:30:00.000001+00:00", "2024-03-31T03:30:00.000001+00:00"),
        ("2024-03-31T03:30:00,5Z", "2024-03-31T03:30:00.500000+00:00"),
        ("2024-03-31T00:00:00-11:30", "2024-03-31T11:30:00+00:00"),
        ("1969-12-31T23:59:59.999999Z", "1969-12-31T23:59:59.999999+00:00"),
        ("2010-01-13 08:40:25+00:00", "2010-01-13T08:40:25+00:00"),
    ],
)
def test_offsets_and_fractions_of_a_second_are_kept_exactly(
    folder: Folder, replay: Replay, written: str, utc: str
) -> None:
    lines = [HISTORY, f'1,1,S,"{written}"']
    replayed = replay(folder(stage_history=lines))
    assert replayed.column("stage_history", "CREATED_TIME") == [microseconds(utc)]
    with (
        PortalStore(replayed.path, read_only=True) as store,
        serve_in_thread(Portal(store)) as address,
    ):
        url = address + "crm.stagehistory.list"
        body = requests.post(url, json={"entityTypeId": 2}, timeout=10).json()
    printed = body["result"]["items"][0]["CREATED_TIME"]
    assert dt.datetime.fromisoformat(printed) == dt.datetime.fromisoformat(utc)


def test_the_last_year_of_the_calendar_is_served(folder: Folder, replay: Replay) -> None:
    replayed = replay(folder(stage_history=[HISTORY, "1,1,S,9999-12-31T23:59:59Z"]))
    with (
        PortalStore(replayed.path, read_only=True) as store,
        serve_in_thread(Portal(store)) as address,
    ):
        response = requests.post(address + "crm.deal.list", timeout=10)
    assert response.status_code == 200
    assert response.json()["result"][0]["DATE_CREATE"] == "9999-12-31T23:59:59+00:00"


# Calls and people


def test_calls_keep_deal_client_phone_and_direction(folder: Folder, replay: Replay) -> None:
    replayed = replay(
        folder(
            stage_history=[HISTORY, "1,5,S,2024-01-01T00:00:00Z"],
            calls=[
                "call_id,started_at,duration_seconds,deal_id,client_id,phone,user_id,direction,answered",
                "1,2024-01-02T10:00:00+03:00,61,5,70,+7 900 111-22-33,3,out,true",
                "2,2024-01-02T11:00:00+03:00,0,,70,89001112244,3,in,",
                "3,2024-01-02T12:00:00+03:00,12.6,,,,,incoming,false",
                "4,2024-01-02T13:00:00+03:00,7,99,71,,,,",
            ],
        )
    )
    first, second, third, fourth = replayed.rows("call")
    assert [row["CALL_TYPE"] for row in (first, second, third, fourth)] == [1, 2, 2, 1]
    assert [row["CALL_FAILED_CODE"] for row in (first, second, third, fourth)] == [
        "200",
        "304",
        "304",
        "200",
    ]
    assert [row["CALL_DURATION"] for row in (first, second, third, fourth)] == [61, 0, 13, 7]
    assert first["CALL_START_DATE"] == microseconds("2024-01-02T07:00:00+00:00")
    assert (first["PHONE_NUMBER"], third["PHONE_NUMBER"]) == ("+7 900 111-22-33", "")
    assert (first["PORTAL_USER_ID"], third["PORTAL_USER_ID"]) == (3, None)
    assert [(row["CRM_ENTITY_TYPE"], row["CRM_ENTITY_ID"]) for row in (first, third)] == [
        ("CONTACT", 70),
        (None, None),
    ]

    activities = {row["ID"]: row for row in replayed.rows("activity")}
    of = [activities.get(row["CRM_ACTIVITY_ID"]) for row in (first, second, third, fourth)]
    assert [(a["OWNER_TYPE_ID"], a["OWNER_ID"], a["DIRECTION"]) if a else None for a in of] == [
        (2, 5, 2),
        (3, 70, 1),
        None,
        (2, 99, 2),
    ]
    contacts = {row["ID"]: json.loads(row["PHONE"]) for row in replayed.rows("contact")}
    assert [phone["VALUE"] for phone in contacts[70]] == ["+7 900 111-22-33", "89001112244"]
    assert contacts[71] == []
    assert replayed.column("deal", "ID") == [5]
    assert replayed.report.derived["unknown deals of calls"] == 1
    assert replayed.report.derived["calls rounded to whole seconds"] == 1
    assert replayed.clock() == dt.datetime(2024, 1, 2, 10, tzinfo=UTC)


def test_users_have_names_departments_and_may_have_left(folder: Folder, replay: Replay) -> None:
    replayed = replay(
        folder(
            stage_history=[HISTORY + ",user_id", "1,1,S,2024-01-01T00:00:00Z,u3"],
            users=[
                "user_id,name,active,department",
                'u1,"Иванова, Анна",yes,Продажи',
                "u2,Пётр,FALSE,",
            ],
        )
    )
    assert replayed.column("user", "NAME") == ["Иванова, Анна", "Пётр", "u3"]
    assert replayed.column("user", "ACTIVE") == [1, 0, 1]
    assert [json.loads(ids) for ids in replayed.column("user", "UF_DEPARTMENT")] == [[1], [], []]
    assert replayed.column("department", "NAME") == ["Продажи"]
    assert replayed.report.derived["users"] == 1


# Spellings of a csv file


@pytest.mark.parametrize(
    "content",
    [
        "\ufeffhistory_id,deal_id,stage,entered_at\n1,1,Счёт,2024-01-01T00:00:00Z\n",
        "history_id,deal_id,stage,entered_at\r\n1,1,Счёт,2024-01-01T00:00:00Z\r\n",
        "history_id,deal_id,stage,entered_at\n1,1,Счёт,2024-01-01T00:00:00Z",
        "entered_at, stage ,deal_id,history_id\n 2024-01-01T00:00:00Z , Счёт ,1, 1\n\n",
        '"history_id","deal_id","stage","entered_at"\n"1","1","Счёт","2024-01-01T00:00:00Z"\n',
    ],
    ids=["BOM", "CRLF", "no last line end", "other order, blanks, empty line", "quoted"],
)
def test_usual_spellings_of_csv_mean_the_same(folder: Folder, replay: Replay, content: str) -> None:
    replayed = replay(folder(stage_history=content))
    assert replayed.column("status", "NAME") == ["Счёт"]
    assert replayed.column("stage_history", "CREATED_TIME") == [
        microseconds("2024-01-01T00:00:00+00:00")
    ]


def test_quoted_commas_quotes_and_cyrillic_stay_in_one_value(
    folder: Folder, replay: Replay
) -> None:
    stage = 'Счёт, «срочный» "A"'
    quoted = '"' + stage.replace('"', '""') + '"'
    replayed = replay(folder(stage_history=[HISTORY, f"1,1,{quoted},2024-01-01T00:00:00Z"]))
    assert replayed.column("status", "NAME") == [stage]


# Errors

GOOD = "1,1,S,2024-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (
            {"stage_history": [HISTORY + ",colour", GOOD + ",red"]},
            ["stage_history.csv", "line 1", "'colour'", "allowed are history_id"],
        ),
        (
            {"stage_history": ["history_id,deal_id,entered_at", "1,1,2024-01-01T00:00:00Z"]},
            ["stage_history.csv", "line 1", "column stage is missing"],
        ),
        (
            {"stage_history": [HISTORY + ",stage", GOOD + ",S"]},
            ["stage_history.csv", "line 1", "'stage' stands twice"],
        ),
        ({"stage_history": b""}, ["stage_history.csv", "is empty"]),
        (
            {"stage_history": [HISTORY, GOOD, "2,2,S,2024-01-01T00:00:00Z", GOOD]},
            ["stage_history.csv", "line 4", "column history_id", "'1'", "line 2"],
        ),
        (
            {"stage_history": [HISTORY, GOOD, "2,2,S,yesterday"]},
            ["stage_history.csv", "line 3", "column entered_at", "'yesterday'"],
        ),
        (
            {"stage_history": [HISTORY, "1,1,S,2024-02-30T00:00:00Z"]},
            ["stage_history.csv", "line 2", "column entered_at", "'2024-02-30T00:00:00Z'"],
        ),
        (
            {"stage_history": [HISTORY, "1,1,S,2024-01-01T00:00:00"]},
            ["stage_history.csv", "line 2", "column entered_at", "has no offset", "+03:00"],
        ),
        (
            {"stage_history": [HISTORY, "1,1,S,0001-01-01T00:00:00+03:00"]},
            ["stage_history.csv", "line 2", "column entered_at", "years 1 to 9999"],
        ),
        (
            {"stage_history": [HISTORY, "1,1,S,"]},
            ["stage_history.csv", "line 2", "column entered_at", "is empty"],
        ),
        (
            {"stage_history": [HISTORY, "1,1, ,2024-01-01T00:00:00Z"]},
            ["stage_history.csv", "line 2", "column stage", "is empty"],
        ),
        (
            {"stage_history": [HISTORY, "1,,S,2024-01-01T00:00:00Z"]},
            ["stage_history.csv", "line 2", "column deal_id", "is empty"],
        ),
        (
            {"stage_history": [HISTORY, GOOD, "2,2,S"]},
            ["stage_history.csv", "line 3", "3 values for 4 columns"],
        ),
        (
            {"stage_history": [HISTORY, GOOD + ",more"]},
            ["stage_history.csv", "line 2", "5 values for 4 columns"],
        ),
        (
            {
                "stage_history": f"{HISTORY}\n{GOOD}\n2,2,Счёт,2024-01-01T00:00:00Z\n".encode(
                    "cp1251"
                )
            },
            ["stage_history.csv", "line 3", "is not UTF-8"],
        ),
        (
            {"stage_history": [HISTORY, GOOD, '2,2,"S,2024-01-01T00:00:00Z']},
            ["stage_history.csv", "line 3", "is not readable as csv"],
        ),
        (
            {
                "stage_history": [HISTORY, GOOD],
                "stages": ["pipeline,stage,semantics,sort", "P,S,open,1", "P,T,maybe,2"],
            },
            ["stages.csv", "line 3", "column semantics", "'maybe'", "open, won, lost"],
        ),
        (
            {"stage_history": [HISTORY, GOOD], "stages": ["stage,sort", "S,first"]},
            ["stages.csv", "line 2", "column sort", "'first' is not a number"],
        ),
        (
            {"stage_history": [HISTORY, GOOD], "stages": ["stage", "S", "S"]},
            ["stages.csv", "line 3", "column stage", "stands twice"],
        ),
        (
            {"deals": ["deal_id,created_at", "1,2024-01-01T00:00:00Z", "1,2024-01-01T00:00:00Z"]},
            ["deals.csv", "line 3", "column deal_id", "line 2"],
        ),
        (
            {"deals": ["deal_id,created_at", "1,2024-01-01"]},
            ["deals.csv", "line 2", "column created_at", "has no offset"],
        ),
        (
            {"deals": ["deal_id,created_at,amount", "1,2024-01-01T00:00:00Z,NaN"]},
            ["deals.csv", "line 2", "column amount", "'NaN' is not a number"],
        ),
        (
            {"stage_history": [HISTORY, GOOD], "users": ["user_id,active", "1,perhaps"]},
            ["users.csv", "line 2", "column active", "'perhaps'"],
        ),
        (
            {
                "stage_history": [HISTORY, GOOD],
                "calls": ["call_id,started_at,duration_seconds", "1,2024-01-01T00:00:00Z,long"],
            },
            ["calls.csv", "line 2", "column duration_seconds", "'long' is not a number"],
        ),
        (
            {
                "stage_history": [HISTORY, GOOD],
                "calls": [
                    "call_id,started_at,duration_seconds,direction",
                    "1,2024-01-01T00:00:00Z,5,up",
                ],
            },
            ["calls.csv", "line 2", "column direction", "'up'"],
        ),
        ({"stage_history": [HISTORY, GOOD], "Deals": ["x"]}, ["Deals.csv", "knows no such file"]),
        ({"users": ["user_id", "1"]}, ["neither stage_history.csv nor deals.csv"]),
    ],
    ids=lambda value: " ".join(value[:3]) if isinstance(value, list) else "",
)
def test_an_unusable_file_is_named_with_line_and_column(
    folder: Folder, tmp_path: Path, files: dict[str, Any], said: list[str]
) -> None:
    with pytest.raises(InputError) as caught:
        write_replay(folder(**files), tmp_path / "portal.sqlite")
    message = str(caught.value)
    assert [words for words in said if words not in message] == [], message
    assert "\n" not in message


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"There is no folder .*nowhere"):
        write_replay(tmp_path / "nowhere", tmp_path / "portal.sqlite")


# The real log


def test_the_helpdesk_log_is_replayed_whole(tmp_path: Path) -> None:
    with (HELPDESK / "stage_history.csv").open(encoding="utf-8", newline="") as file:
        given = list(csv.DictReader(file))
    replayed = Replayed(HELPDESK, tmp_path / "portal.sqlite")
    entries = replayed.rows("stage_history")
    deals = replayed.rows("deal")
    assert (len(deals), len(entries)) == (4_580, 21_348)
    assert len(replayed.rows("user")) == 22
    assert replayed.column("category", "NAME") == ["Help desk"]
    assert replayed.report.derived["stages"] == 0

    names = {row["STATUS_ID"]: row["NAME"] for row in replayed.rows("status")}
    assert {
        (row["ID"], row["OWNER_ID"], names[row["STAGE_ID"]], row["CREATED_TIME"]) for row in entries
    } == {
        (
            int(row["history_id"]),
            int(row["deal_id"]),
            row["stage"],
            microseconds(row["entered_at"]),
        )
        for row in given
    }
    last: dict[str, str] = {}
    for row in sorted(given, key=lambda row: (row["entered_at"], int(row["history_id"]))):
        last[row["deal_id"]] = row["stage"]
    assert {row["ORIGIN_ID"]: names[row["STAGE_ID"]] for row in deals} == last
    assert sum(row["CLOSED"] for row in deals) == sum(s == "Closed" for s in last.values()) > 4_000


def test_the_helpdesk_log_alone_is_open_everywhere(tmp_path: Path) -> None:
    alone = tmp_path / "helpdesk"
    alone.mkdir()
    (alone / "stage_history.csv").write_bytes((HELPDESK / "stage_history.csv").read_bytes())
    replayed = Replayed(alone, tmp_path / "portal.sqlite")
    assert replayed.report.counts["deals"] == 4_580
    assert replayed.report.counts["stage entries"] == 21_348
    assert replayed.report.derived["stages"] == replayed.report.counts["stages"] == 14
    assert sum(replayed.column("deal", "CLOSED")) == 0
