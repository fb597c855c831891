"""`deploy/citus/distribute.sql` places every table, and where the tables' own constraints let Citus place it.

There is no Citus on the machine of a developer. So the file is run on a real, migrated PostgreSQL with functions of
Citus' names that only write down what they are told; Citus' rules are checked here.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import BigInteger, Engine, Inspector, create_engine, inspect, text

SCRIPT = Path(__file__).resolve().parents[2] / "deploy" / "citus" / "distribute.sql"
COLUMN = "performance_id"
STAND_INS = """
CREATE TEMPORARY TABLE placed (name text PRIMARY KEY, kind text, by text, beside text);
CREATE FUNCTION pg_temp.create_reference_table(one regclass) RETURNS void LANGUAGE sql
    AS $$ INSERT INTO placed VALUES (one::text, 'reference') $$;
CREATE FUNCTION pg_temp.citus_add_local_table_to_metadata(one regclass) RETURNS void LANGUAGE sql
    AS $$ INSERT INTO placed VALUES (one::text, 'local') $$;
CREATE FUNCTION pg_temp.create_distributed_table(one regclass, by text, colocate_with text) RETURNS void LANGUAGE sql
    AS $$ INSERT INTO placed VALUES (one::text, 'distributed', by, colocate_with) $$;
"""


@dataclass(frozen=True)
class Placed:
    """Where a table is put."""

    name: str
    kind: str
    by: str | None
    beside: str | None


@pytest.fixture(scope="module")
def engine(database_url: str) -> Iterator[Engine]:
    made = create_engine(database_url.replace("postgresql://", "postgresql+psycopg2://"))
    yield made
    made.dispose()


@pytest.fixture(scope="module")
def tables(engine: Engine) -> Inspector:
    found: Inspector = inspect(engine)
    return found


@pytest.fixture(scope="module")
def placed(engine: Engine) -> list[Placed]:
    with engine.connect() as connection:
        connection.execute(text(STAND_INS))
        # Functions of this schema are found only where it is named.
        script = SCRIPT.read_text().replace("SELECT c", "SELECT pg_temp.c")
        connection.exec_driver_sql(script)
        return [Placed(*row) for row in connection.execute(text("SELECT * FROM placed"))]


@pytest.fixture(scope="module")
def kinds(placed: list[Placed]) -> dict[str, str]:
    return {one.name: one.kind for one in placed}


def test_every_table_has_its_place(tables: Inspector, kinds: dict[str, str]) -> None:
    assert set(kinds) == set(tables.get_table_names()) - {"alembic_version", "migrations"}


def test_what_belongs_to_a_performance_lies_with_it(tables: Inspector, placed: list[Placed]) -> None:
    for one in placed:
        belongs = COLUMN in tables.get_pk_constraint(one.name)["constrained_columns"]
        assert (one.kind == "distributed") == belongs, one.name
        if belongs:
            assert one.by == COLUMN
            assert one.beside == ("none" if one.name == "inventories" else "inventories")


def test_whatever_is_unique_is_so_within_a_performance(tables: Inspector, kinds: dict[str, str]) -> None:
    for name, kind in kinds.items():
        if kind != "distributed":
            continue
        for index in tables.get_indexes(name):
            assert not index["unique"] or COLUMN in index["column_names"], index["name"]
        for constraint in tables.get_unique_constraints(name):
            assert COLUMN in constraint["column_names"], constraint["name"]


def test_foreign_keys_lead_where_citus_lets_them(tables: Inspector, kinds: dict[str, str]) -> None:
    allowed = {"distributed": {"reference"}, "reference": {"reference"}, "local": {"reference", "local"}}
    for name, kind in kinds.items():
        for key in tables.get_foreign_keys(name):
            target = key["referred_table"]
            together = kind == kinds[target] == "distributed" and COLUMN in key["constrained_columns"]
            assert together or kinds[target] in allowed[kind], (name, target)


def test_numbers_that_nodes_give_out_have_room_for_the_node(tables: Inspector, kinds: dict[str, str]) -> None:
    for name, kind in kinds.items():
        for column in tables.get_columns(name):
            if kind == "distributed" and column.get("identity"):
                assert isinstance(column["type"], BigInteger), (name, column["name"])
