"""A sample's value beside its series and time in their index.

Samples come in by the moment: those of one series lie on a page each, and a page of fifty sparklines looked at 12,000.
In the index they lie side by side. Nobody waits meanwhile: each partition's index is built while it is written to, and
the table itself is held only for the moment of exchange.
"""

from django.db import migrations, transaction

from console.history.partitions import LOCK

COLUMNS = "(series_id, at) INCLUDE (value)"


def forwards(apps, schema_editor):
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [LOCK])  # no partition comes or goes meanwhile
        try:
            for name in _partitions(cursor):
                cursor.execute(f"DROP INDEX IF EXISTS {name}_read")  # of a run that was broken off
                cursor.execute(f"CREATE UNIQUE INDEX CONCURRENTLY {name}_read ON {name} {COLUMNS}")
            with transaction.atomic(using=schema_editor.connection.alias):
                cursor.execute("LOCK TABLE history_point IN ACCESS EXCLUSIVE MODE")
                cursor.execute(f"CREATE UNIQUE INDEX history_point_read ON history_point {COLUMNS}")  # made of theirs
                cursor.execute("ALTER TABLE history_point DROP CONSTRAINT history_point_pkey")
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK])


def backwards(apps, schema_editor):
    with transaction.atomic(using=schema_editor.connection.alias), schema_editor.connection.cursor() as cursor:
        cursor.execute("ALTER TABLE history_point ADD PRIMARY KEY (series_id, at)")
        cursor.execute("DROP INDEX history_point_read")


def _partitions(cursor):
    cursor.execute("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'history_point'::regclass")
    return [name for (name,) in cursor.fetchall()]


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("history", "0001_initial")]

    operations = [migrations.RunPython(forwards, backwards)]
