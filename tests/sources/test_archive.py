"""The archive: written after each load, merged, and a lost warehouse rebuilt from it."""

from __future__ import annotations

import datetime as dt
import json
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from orchestration.settings import Settings
from sources import archive
from sources.archive import ArchivedTable, restore, verify, write_archive
from sources.bitrix24.history import ARCHIVED, VERSIONED
from sources.demo.store import PortalStore
from sources.derived.kept import FINDING_EVENTS, FORECASTS
from sources.errors import CallfunnelError
from sources.history import observe
from tests.support.companies import load_portal, make_company, raw_count, warehouse
from tests.support.portals import NOON, at, call_row, deal_row, history_row, make_portal

SCHEMA = "raw_bitrix24"
DAY = 24 * 60


# A changing portal, loaded daily


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return make_company(tmp_path, connections=("main", "branch"))


@pytest.fixture
def store(tmp_path: Path) -> PortalStore:
    return make_portal(tmp_path / "portal.sqlite")


def archive_of(settings: Settings) -> Path:
    return settings.data_dir / "archive"


def load(settings: Settings, store: PortalStore, connection: str = "main") -> dict[str, int]:
    """A load as the daily job does it: rows, versions in one transaction, the archive."""
    loaded = load_portal(settings, store, connection)
    with warehouse(settings, read_only=False) as opened:
        opened.execute("begin")
        observe(opened, SCHEMA, loaded.source_key, loaded.cut_at, VERSIONED)
        opened.execute("commit")
        return write_archive(
            opened, archive_of(settings), SCHEMA, loaded.source_key, loaded.cut_at, ARCHIVED
        )


def back(settings: Settings, **options: Any) -> dict[str, int]:
    return restore(archive_of(settings), settings.warehouse, settings.pipelines_dir, **options)


def user_row(user_id: int, **fields: Any) -> dict[str, Any]:
    return {
        "ID": user_id,
        "ACTIVE": 1,
        "NAME": f"User {user_id}",
        "USER_TYPE": "employee",
        "UF_DEPARTMENT": [1],
        **fields,
    }


def begin(store: PortalStore) -> None:
    store.insert("department", [{"ID": 1, "NAME": "Sales", "PARENT": None, "UF_HEAD": 1}])
    store.insert("user", [user_row(n) for n in (1, 2, 3)])
    store.insert("deal", [deal_row(n) for n in range(1, 31)])
    store.insert("contact", [contact_row(n) for n in range(1, 6)])
    store.insert("stage_history", [history_row(n, n, n, "NEW") for n in range(1, 31)])
    store.insert("activity", [planned(1), planned(2)])
    store.insert("call", [call_row(n, n) for n in range(1, 11)])


def contact_row(contact_id: int, **fields: Any) -> dict[str, Any]:
    return {
        "ID": contact_id,
        "NAME": f"Client {contact_id}",
        "ASSIGNED_BY_ID": 1,
        "DATE_CREATE": at(0),
        "DATE_MODIFY": at(0),
        **fields,
    }


def planned(activity_id: int, **fields: Any) -> dict[str, Any]:
    return {
        "ID": activity_id,
        "OWNER_ID": 1,
        "OWNER_TYPE_ID": 2,
        "TYPE_ID": 2,
        "CREATED": at(0),
        "LAST_UPDATED": at(0),
        "DEADLINE": at(3 * DAY),
        "COMPLETED": 0,
        "STATUS": 1,
        "RESPONSIBLE_ID": 1,
        **fields,
    }


def go_on(store: PortalStore, day: int) -> None:
    """What happens before the load of a day: every kind of change, and deletions."""
    now = day * DAY + DAY - 60
    store.clock = NOON + dt.timedelta(days=day + 1)
    changed = {"DATE_MODIFY": at(now), "MODIFY_BY_ID": 2}
    store.insert(
        "deal",
        [
            # The owner goes A, B, A.
            deal_row(1, ASSIGNED_BY_ID=1 + day % 2, **changed),
            deal_row(2, STAGE_ID="WORK", MOVED_BY_ID=2, MOVED_TIME=at(now), **changed),
            deal_row(3, CLOSEDATE=at(now + 20 * DAY), **changed),
            deal_row(100 + day, DATE_CREATE=at(now), DATE_MODIFY=at(now)),
        ],
    )
    store.insert("stage_history", [history_row(100 + day, 2, now, "WORK")])
    store.insert("contact", [contact_row(1, ASSIGNED_BY_ID=day + 1, DATE_MODIFY=at(now))])
    store.insert(
        "user",
        [
            user_row(2, UF_DEPARTMENT=[1, 5 + day], LAST_LOGIN=at(now)),
            user_row(3, ACTIVE=int(day < 2)),
        ],
    )
    store.insert("activity", [planned(1, DEADLINE=at((5 + day) * DAY), LAST_UPDATED=at(now))])
    # A deleted deal takes its history with it.
    store.delete("deal", 30 - day)
    store.delete("stage_history", 30 - day)


def rows_of(settings: Settings, table: str, without: tuple[str, ...] = ()) -> set[tuple[Any, ...]]:
    """All columns by name but dlt's: its load ids are another warehouse's."""
    with warehouse(settings) as connection:
        described = connection.execute(f"describe {SCHEMA}.{table}").fetchall()
        names = sorted(
            name for name, *_ in described if not name.startswith("_dlt") and name not in without
        )
        kinds = {name: (kind, is_nullable) for name, kind, is_nullable, *_ in described}
        found = connection.execute(f"select {', '.join(names)} from {SCHEMA}.{table}").fetchall()
    assert len(set(found)) == len(found), f"{table}: a row stands twice"
    return {(tuple((name, kinds[name]) for name in names), *row) for row in found}


def archived_tables(settings: Settings) -> list[str]:
    """Archived tables of the warehouse that have rows."""
    with warehouse(settings) as connection:
        existing = {
            name
            for (name,) in connection.execute(
                "select table_name from duckdb_tables() where schema_name = ?", [SCHEMA]
            ).fetchall()
        }
        return [
            table.table
            for table in ARCHIVED
            if table.table in existing
            and connection.execute(f"select count(*) from {SCHEMA}.{table.table}").fetchone()
            != (0,)
        ]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A company after four daily loads, and its portal."""
    root = tmp_path_factory.mktemp("four_days")
    settings = make_company(root, connections=("main", "branch"))
    with make_portal(root / "portal.sqlite") as store:
        begin(store)
        load(settings, store)
        for day in (1, 2, 3):
            go_on(store, day)
            load(settings, store)
    return root


@pytest.fixture
def four_days(built: Path, tmp_path: Path) -> Settings:
    """A copy of that company; its portal is `portal.sqlite` beside it."""
    shutil.copytree(built, tmp_path, dirs_exist_ok=True)
    return Settings(
        company="testco", companies_dir=tmp_path / "companies", data_root=tmp_path / "data"
    )


def test_a_lost_warehouse_comes_back_row_for_row(four_days: Settings) -> None:
    tables = archived_tables(four_days)
    assert {"stage_history", "deleted_records", "user_versions", "deal_versions"} <= set(tables)
    before = {table: rows_of(four_days, table) for table in tables}
    four_days.warehouse.unlink()
    counts = back(four_days)
    after = {table: rows_of(four_days, table) for table in tables}
    assert after == before
    assert counts == {f"{SCHEMA}.{table}": len(rows) for table, rows in before.items()}
    # What happened in the portal, by hand: the owner of deal 1 was 1, 2, 1, 2 on the four days.
    with warehouse(four_days) as connection:
        owners = connection.execute(
            f"select assigned_by_id from {SCHEMA}.deal_versions where id = 1 order by first_seen_at"
        ).fetchall()
    assert owners == [(1,), (2,), (1,), (2,)]
    assert four_days.warehouse.stat().st_mode & 0o777 == 0o640


def test_a_load_over_a_restored_warehouse_equals_one_that_never_broke(
    four_days: Settings, tmp_path: Path
) -> None:
    unbroken = Settings(**{**four_days.model_dump(), "data_root": tmp_path / "unbroken"})
    shutil.copytree(four_days.data_root, unbroken.data_root)
    store = PortalStore(tmp_path / "portal.sqlite")
    four_days.warehouse.unlink()
    back(four_days)
    go_on(store, 4)
    load(unbroken, store)
    load(four_days, store)
    # All was read anew, so all was seen by this load; the rest is equal.
    seen = ("received_at", "last_seen_at")
    dictionaries = ["users", "departments", "categories", "statuses", "contacts", "calls"]
    for table in {*archived_tables(unbroken), *dictionaries} - {"deleted_records"}:
        assert rows_of(four_days, table, seen) == rows_of(unbroken, table, seen), table
    # Deals that the portal has deleted are gone with the warehouse, and 26 was before it could be
    # noticed; the history of all of them is kept.
    assert ids(unbroken, "deals") - ids(four_days, "deals") == {26, 27, 28, 29}
    assert {26, 27, 28, 29} <= ids(four_days, "stage_history")
    marks = [
        {row[1:] for row in rows_of(company, "deleted_records", ("noticed_at", "source_key"))}
        for company in (unbroken, four_days)
    ]
    assert marks[0] - marks[1] == {("deals", 26)}
    assert not marks[1] - marks[0]


def archive_kept(
    settings: Settings, opened: duckdb.DuckDBPyConnection, table: ArchivedTable
) -> dict[str, int]:
    """Archive what builds keep, as a load does."""
    return write_archive(
        opened,
        archive_of(settings),
        "raw_derived",
        "bitrix24:main",
        NOON + dt.timedelta(days=3),
        [table],
        system="derived",
    )


def test_kept_forecasts_come_back(settings: Settings) -> None:
    def forecast(day: int, count: int) -> list[Any]:
        made_at = NOON + dt.timedelta(days=day)
        return ["bitrix24:main", made_at.date(), made_at, "day", 1, 2, count]

    settings.make_folders()
    with warehouse(settings, read_only=False) as opened:
        opened.execute(
            "create schema raw_derived; create table raw_derived.forecasts (source_key varchar, "
            "made_on date, made_at timestamptz, period_type varchar, pipeline_key bigint, "
            "reporting_employee_key bigint, won_count bigint)"
        )
        for day in range(2):
            opened.execute(
                "insert into raw_derived.forecasts values (?, ?, ?, ?, ?, ?, ?)", forecast(day, day)
            )
            assert archive_kept(settings, opened, FORECASTS) == {"forecasts": 1}
    settings.warehouse.unlink()
    assert back(settings) == {"raw_derived.forecasts": 2}
    with warehouse(settings) as opened:
        rows = opened.execute("from raw_derived.forecasts order by made_on").fetchall()
    assert [list(row) for row in rows] == [forecast(day, day) for day in range(2)]


def test_kept_findings_come_back(settings: Settings) -> None:
    """Of two builds at one as-of too: the second's events are as old as archived ones."""
    noon = NOON + dt.timedelta(days=1)
    events = [
        (1, "found", noon, 11, {"count": "3"}),
        (2, "gone", noon, 11, {}),
        (3, "found", noon + dt.timedelta(days=1), 12, {"employee": "Ольга"}),
    ]
    settings.make_folders()
    with warehouse(settings, read_only=False) as opened:
        opened.execute(
            "create schema raw_derived; create table raw_derived.finding_events ("
            "event_number bigint, event varchar, happened_at timestamptz, source_key varchar, "
            "issue_key bigint, facts varchar)"
        )
        for number, event, happened_at, issue_key, facts in events:
            opened.execute(
                "insert into raw_derived.finding_events values (?, ?, ?, 'bitrix24:main', ?, ?)",
                [number, event, happened_at, issue_key, json.dumps(facts, ensure_ascii=False)],
            )
            assert archive_kept(settings, opened, FINDING_EVENTS) == {"finding_events": 1}
    settings.warehouse.unlink()
    assert back(settings) == {"raw_derived.finding_events": 3}
    with warehouse(settings) as opened:
        rows = opened.execute("from raw_derived.finding_events order by event_number").fetchall()
    assert [(*row[:3], row[4], json.loads(row[5])) for row in rows] == events


def ids(settings: Settings, table: str) -> set[int]:
    with warehouse(settings) as connection:
        return {
            record_id
            for (record_id,) in connection.execute(f"select id from {SCHEMA}.{table}").fetchall()
        }


def test_cursors_of_the_lost_warehouse_hide_no_row_of_any_connection(
    settings: Settings, tmp_path: Path
) -> None:
    stores = {}
    for connection in ("main", "branch"):
        stores[connection] = make_portal(tmp_path / f"{connection}.sqlite")
        begin(stores[connection])
        load(settings, stores[connection], connection)
    assert {path.name for path in settings.pipelines_dir.iterdir()} >= {
        "bitrix24__main",
        "bitrix24__branch",
    }
    before = rows_of(settings, "deal_versions")
    settings.warehouse.unlink()
    back(settings)
    assert rows_of(settings, "deal_versions") == before
    for connection, store in stores.items():
        load(settings, store, connection)
    for connection in stores:
        source_key = f"bitrix24:{connection}"
        assert raw_count(settings, "deals", source_key) == 30
        assert raw_count(settings, "calls", source_key) == 10
        assert raw_count(settings, "stage_history", source_key) == 30
        assert raw_count(settings, "deal_versions", source_key) == 30


def test_a_load_that_died_before_the_archive_is_caught_up_by_the_next(
    settings: Settings, store: PortalStore
) -> None:
    begin(store)
    load(settings, store)
    go_on(store, 1)
    load_portal(settings, store)
    go_on(store, 2)
    load(settings, store)
    before = {table: rows_of(settings, table) for table in archived_tables(settings)}
    settings.warehouse.unlink()
    back(settings)
    assert {table: rows_of(settings, table) for table in before} == before


def test_an_existing_warehouse_is_not_touched_without_force(four_days: Settings) -> None:
    before = rows_of(four_days, "stage_history")
    with pytest.raises(CallfunnelError, match=r"exists already.*--force"):
        back(four_days)
    assert rows_of(four_days, "stage_history") == before
    assert (four_days.pipelines_dir / "bitrix24__main").exists()
    back(four_days, force=True)
    aside = four_days.warehouse.with_name("warehouse.duckdb.replaced")
    with duckdb.connect(str(aside), read_only=True) as connection:
        assert connection.execute(f"select count(*) from {SCHEMA}.deals").fetchone() == (33,)
    assert rows_of(four_days, "stage_history") == before


def test_a_left_over_log_of_the_lost_warehouse_is_not_replayed_into_the_new_one(
    four_days: Settings,
) -> None:
    before = rows_of(four_days, "stage_history")
    log = four_days.warehouse.with_name("warehouse.duckdb.wal")
    log.write_bytes(b"of another file")
    four_days.warehouse.unlink()
    back(four_days)
    assert not log.exists()
    assert rows_of(four_days, "stage_history") == before


def test_a_truncated_file_stops_the_restore_by_name(four_days: Settings) -> None:
    broken = sorted(archive_of(four_days).glob("bitrix24/deal_versions/main/*.parquet"))[1]
    broken.write_bytes(broken.read_bytes()[:-20])
    four_days.warehouse.unlink()
    with pytest.raises(CallfunnelError, match=broken.name):
        back(four_days)
    assert not four_days.warehouse.exists()
    assert (four_days.pipelines_dir / "bitrix24__main").exists()
    assert [sentence.partition(" ")[0] for sentence in verify(archive_of(four_days))] == [
        str(broken)
    ]


def test_restoring_without_an_archive_says_so(settings: Settings) -> None:
    with pytest.raises(CallfunnelError, match="Nothing is archived"):
        back(settings)


# Files


CARDS = ArchivedTable("cards", key=("id",))
VERSIONS = ArchivedTable(
    "card_versions", key=("id", "first_seen_at"), seen="last_seen_at", is_loaded_by_dlt=False
)


def morning(day: int) -> dt.datetime:
    return dt.datetime(2026, 11, 1, 5, 30, tzinfo=dt.UTC) + dt.timedelta(days=day)


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        opened.execute("set TimeZone = 'UTC'")
        opened.execute(f"create schema {SCHEMA}")
        opened.execute(
            f"create table {SCHEMA}.cards (source_key varchar not null, id bigint not null, "
            "name varchar, extra json, received_at timestamptz not null, _dlt_load_id varchar)"
        )
        yield opened


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data" / "archive"


@pytest.fixture
def receive(connection: duckdb.DuckDBPyConnection, folder: Path) -> Callable[..., int]:
    def receive(day: int, *ids: int, at: dt.datetime | None = None) -> int:
        for card in ids:
            connection.execute(f"delete from {SCHEMA}.cards where id = ?", [card])
            connection.execute(
                f"insert into {SCHEMA}.cards values ('bitrix24:main', ?, ?, ?, ?, 'x')",
                [card, f"day {day}", '{"a": 1}', at or morning(day)],
            )
        written = write_archive(connection, folder, SCHEMA, "bitrix24:main", morning(day), [CARDS])
        return written.get("cards", 0)

    return receive


def restored(folder: Path, tmp_path: Path) -> list[tuple[Any, ...]]:
    target = tmp_path / "restored" / "warehouse.duckdb"
    restore(folder, target, tmp_path / "restored" / "dlt", force=True)
    with duckdb.connect(str(target), read_only=True) as connection:
        return connection.execute(f"select id, name from {SCHEMA}.cards order by id").fetchall()


def held(connection: duckdb.DuckDBPyConnection) -> list[tuple[Any, ...]]:
    return connection.execute(f"select id, name from {SCHEMA}.cards order by id").fetchall()


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "bitrix24" / "cards" / "main").iterdir())


def test_a_file_holds_what_is_new_or_changed_and_nothing_makes_no_file(
    receive: Callable[..., int], folder: Path
) -> None:
    assert receive(0, 1, 2, 3) == 3
    assert receive(0) == 0
    assert receive(1, 2, 4) == 2
    assert receive(2) == 0
    assert files(folder) == ["20261101T053000Z.parquet", "20261102T053000Z.parquet"]


def test_two_loads_with_the_same_cut_do_not_overwrite_each_other(
    receive: Callable[..., int],
    connection: duckdb.DuckDBPyConnection,
    folder: Path,
    tmp_path: Path,
) -> None:
    receive(0, 1, 2)
    assert receive(0, 3) == 1
    assert files(folder) == ["20261101T053000Z.2.parquet", "20261101T053000Z.parquet"]
    assert restored(folder, tmp_path) == held(connection)


def test_rows_stamped_a_little_before_the_last_archived_one_are_archived(
    receive: Callable[..., int],
) -> None:
    receive(0, 1, at=morning(0) + dt.timedelta(minutes=30))
    # Finished late: received by another server of the system, whose clock is behind.
    assert receive(1, 2, at=morning(0) + dt.timedelta(minutes=25)) == 1


def test_a_clock_that_was_set_back_hides_no_row(receive: Callable[..., int]) -> None:
    receive(9, 1)
    assert receive(2, 2) == 1


def test_files_and_folders_are_for_owner_and_group(
    receive: Callable[..., int], folder: Path
) -> None:
    receive(0, 1)
    for path in (folder, *folder.rglob("*")):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o750 if path.is_dir() else 0o640), path


@pytest.fixture
def few_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "FILES_BEFORE_MERGE", 4)
    monkeypatch.setattr(archive, "FILES_LEFT_APART", 2)


@pytest.mark.usefixtures("few_files")
def test_older_files_become_one(
    receive: Callable[..., int],
    connection: duckdb.DuckDBPyConnection,
    folder: Path,
    tmp_path: Path,
) -> None:
    for day in range(12):
        receive(day, 1, day + 2)
        assert len(files(folder)) <= 4
    assert files(folder)[0].endswith(".merged.parquet")
    assert restored(folder, tmp_path) == held(connection)
    assert receive(12) == 0


@pytest.mark.usefixtures("few_files")
def test_a_killed_merge_loses_and_doubles_nothing(
    receive: Callable[..., int],
    connection: duckdb.DuckDBPyConnection,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for day in range(4):
        receive(day, 1, day + 2)
    unlink = Path.unlink
    removed: list[Path] = []

    def die_at_the_second(path: Path, missing_ok: bool = False) -> None:
        if path.suffix == ".parquet":
            if removed:
                raise KeyboardInterrupt
            removed.append(path)
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", die_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        receive(4, 1, 6)
    monkeypatch.undo()
    assert len(files(folder)) == 5
    assert restored(folder, tmp_path) == held(connection)
    assert receive(5, 1) == 1
    assert restored(folder, tmp_path) == held(connection)


@pytest.mark.usefixtures("few_files")
@pytest.mark.parametrize("dies_at", ["sync", "_free_name"])
def test_a_merge_killed_before_its_file_stands_leaves_the_older_ones(
    receive: Callable[..., int],
    connection: duckdb.DuckDBPyConnection,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    dies_at: str,
) -> None:
    for day in range(4):
        receive(day, 1, day + 2)
    real = getattr(archive, dies_at)

    def die(path: Path) -> Any:
        if ".merged" in path.name:
            raise KeyboardInterrupt
        return real(path)

    with monkeypatch.context() as patched:
        patched.setattr(archive, dies_at, die)
        with pytest.raises(KeyboardInterrupt):
            receive(4, 1, 6)
    assert [name for name in files(folder) if name.endswith(".tmp")]
    assert restored(folder, tmp_path) == held(connection)
    receive(5, 1)
    assert not [name for name in files(folder) if name.endswith(".tmp")]
    assert restored(folder, tmp_path) == held(connection)


def test_a_broken_file_is_kept_and_its_table_archived_anew(
    receive: Callable[..., int],
    connection: duckdb.DuckDBPyConnection,
    folder: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    receive(0, 1, 2)
    receive(1, 3)
    broken = folder / "bitrix24" / "cards" / "main" / "20261101T053000Z.parquet"
    broken.write_bytes(b"PAR1")
    assert receive(2, 4) == 4
    assert "20261101T053000Z.parquet.broken" in files(folder)
    assert "can't be read" in caplog.text
    assert restored(folder, tmp_path) == held(connection)


def test_a_damaged_page_is_found(receive: Callable[..., int], folder: Path) -> None:
    receive(0, *range(1, 200))
    file = next(folder.rglob("*.parquet"))
    content = bytearray(file.read_bytes())
    content[10:200] = bytes(190)
    file.write_bytes(bytes(content))
    assert [str(file) in sentence for sentence in verify(folder)] == [True]


def test_a_foreign_file_is_named(receive: Callable[..., int], folder: Path) -> None:
    receive(0, 1)
    place = folder / "bitrix24" / "cards" / "main"
    duckdb.sql("select 1 as id").write_parquet(str(place / "20261105T053000Z.parquet"))
    assert verify(folder) == [
        f"{place / '20261105T053000Z.parquet'} was not written by callfunnel."
    ]


def test_a_column_that_appears_later_comes_back(
    receive: Callable[..., int],
    connection: duckdb.DuckDBPyConnection,
    folder: Path,
    tmp_path: Path,
) -> None:
    receive(0, 1)
    connection.execute(f"alter table {SCHEMA}.cards add column tag varchar")
    connection.execute(
        f"insert into {SCHEMA}.cards by name select 'bitrix24:main' as source_key, 2 as id, "
        "'t' as tag, ?::timestamptz as received_at",
        [morning(1)],
    )
    receive(1)
    target = tmp_path / "restored" / "warehouse.duckdb"
    restore(folder, target, tmp_path / "restored" / "dlt")
    with duckdb.connect(str(target), read_only=True) as restored_warehouse:
        found = restored_warehouse.execute(
            f"select id, tag, typeof(extra) from {SCHEMA}.cards order by id"
        ).fetchall()
    assert found == [(1, None, "JSON"), (2, "t", "JSON")]


def test_a_version_whose_last_sight_moved_comes_back_once(
    connection: duckdb.DuckDBPyConnection, folder: Path, tmp_path: Path
) -> None:
    connection.execute(
        f"create table {SCHEMA}.card_versions (source_key varchar, id bigint, owner bigint, "
        "first_seen_at timestamptz, last_seen_at timestamptz)"
    )
    connection.execute(
        f"insert into {SCHEMA}.card_versions values ('bitrix24:main', 1, 7, $1, $1)", [morning(0)]
    )
    for day in range(4):
        connection.execute(f"update {SCHEMA}.card_versions set last_seen_at = ?", [morning(day)])
        written = write_archive(
            connection, folder, SCHEMA, "bitrix24:main", morning(day), [VERSIONS]
        )
        assert written == {"card_versions": 1}
    target = tmp_path / "restored" / "warehouse.duckdb"
    assert restore(folder, target, tmp_path / "dlt") == {f"{SCHEMA}.card_versions": 1}
    with duckdb.connect(str(target), read_only=True) as restored_warehouse:
        found = restored_warehouse.execute(
            f"select owner, first_seen_at = ?, last_seen_at = ? from {SCHEMA}.card_versions",
            [morning(0), morning(3)],
        ).fetchall()
    assert found == [(7, True, True)]
