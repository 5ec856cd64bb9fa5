"""What has to be there before heartbeats can be written and carried: tables and grants, as statements. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence

from console.platform.declared.values import TaskDeclared

_COLUMNS = {
    # Types that Redshift has as well. A column of PostgreSQL can't be called xmin: it has one of its own.
    "postgresql": "source_id varchar(200) PRIMARY KEY, epoch integer NOT NULL, seq bigint NOT NULL, "
    "beat_at timestamptz NOT NULL, row_safe_before timestamptz, prepared_count integer, own_xid bigint, "
    "snapshot_xmin bigint, timeline varchar(40) NOT NULL DEFAULT ''",  # MySQL's holds a server's UUID
    "mysql": "source_id varchar(200) PRIMARY KEY, epoch int NOT NULL, seq bigint NOT NULL, "
    "beat_at datetime(6) NOT NULL, row_safe_before datetime(6), prepared_count int, own_xid bigint, "
    "snapshot_xmin bigint, timeline varchar(40) NOT NULL DEFAULT ''",
}


def _name(relation: str, quote: str = '"') -> str:
    return ".".join(f"{quote}{part}{quote}" for part in relation.split(".", 1))


def at_source(tasks: Sequence[TaskDeclared], engine: str, user: str) -> list[str]:
    """For a source of this engine: one table per DMS task, and what the console's user needs.

    `user` may be an account (`console@10.0.%`) at MySQL; a name alone is one that comes from anywhere.
    """
    if engine == "mysql":
        return _at_mysql(tasks, user if "@" in user or not user else f"{user}@%")
    statements = [f'CREATE SCHEMA IF NOT EXISTS "{schema}"' for schema in _schemas([task.beats for task in tasks])]
    statements += [f"CREATE TABLE IF NOT EXISTS {_name(task.beats)} ({_COLUMNS['postgresql']})" for task in tasks]
    if user:
        schemas = _schemas([task.beats for task in tasks])
        statements += [f'GRANT USAGE ON SCHEMA "{schema}" TO "{user}"' for schema in schemas]
        statements += [f'GRANT SELECT, INSERT, UPDATE ON {_name(task.beats)} TO "{user}"' for task in tasks]
        statements.append(f'GRANT pg_read_all_stats TO "{user}"')
    return statements


def _at_mysql(tasks: Sequence[TaskDeclared], user: str) -> list[str]:
    statements = [f"CREATE DATABASE IF NOT EXISTS `{schema}`" for schema in _schemas([task.beats for task in tasks])]
    statements += [
        f"CREATE TABLE IF NOT EXISTS {_name(task.beats, '`')} ({_COLUMNS['mysql']}) ENGINE=InnoDB" for task in tasks
    ]
    if user:
        to = account(user)
        statements += [f"GRANT SELECT, INSERT, UPDATE ON {_name(task.beats, '`')} TO {to}" for task in tasks]
        # MariaDB, and MySQL before 8, let everybody see prepared transactions, and do not know that privilege.
        statements.append(f"GRANT PROCESS /*!80000 , XA_RECOVER_ADMIN */ ON *.* TO {to}")
    return statements


def account(user: str) -> str:
    """MySQL's `console@%` as GRANT wants it."""
    quoted = (part.replace("\\", "\\\\").replace("'", "''") for part in user.rpartition("@")[::2])
    return "@".join(f"'{part}'" for part in quoted)


def at_warehouse(tasks: Sequence[TaskDeclared], user: str, engine: str = "postgresql") -> list[str]:
    """For Redshift or PostgreSQL, of a source of this engine. DMS makes the tables itself when it loads them.

    Made before, it fills them; a MySQL source's moments are DATETIME, which DMS carries as timestamps without a zone.
    """
    columns = _COLUMNS["postgresql"]
    if engine == "mysql":
        columns = columns.replace("timestamptz", "timestamp")
    relations = [task.beats_arrive for task in tasks]
    statements = [f'CREATE SCHEMA IF NOT EXISTS "{schema}"' for schema in _schemas(relations)]
    statements += [f"CREATE TABLE IF NOT EXISTS {_name(relation)} ({columns})" for relation in relations]
    if user:
        statements += [f'GRANT USAGE ON SCHEMA "{schema}" TO "{user}"' for schema in _schemas(relations)]
        statements += [f'GRANT SELECT ON {_name(relation)} TO "{user}"' for relation in relations]
    return statements


def for_evidence(relations: Sequence[str], engine: str, user: str) -> list[str]:
    """What the console's user needs for the newest stamps that pages show. Heartbeats prove without."""
    quote, to = ("`", account(user if "@" in user else f"{user}@%")) if engine == "mysql" else ('"', f'"{user}"')
    return [f"GRANT SELECT ON {_name(relation, quote)} TO {to}" for relation in sorted(set(relations))]


def mapping(task: TaskDeclared) -> str:
    """The rule that a DMS task's table mapping needs, so that it carries its heartbeat."""
    schema, table = task.beats.split(".", 1)
    return json.dumps(
        {
            "rule-type": "selection",
            "rule-id": "900",
            "rule-name": "quarterdeck-heartbeat",
            "object-locator": {"schema-name": schema, "table-name": table},
            "rule-action": "include",
        }
    )


def _schemas(relations: Sequence[str]) -> list[str]:
    return sorted({relation.split(".", 1)[0] for relation in relations} - {"public"})
