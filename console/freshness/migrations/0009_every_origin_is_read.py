"""Sources of every engine are read. The column goes one release later: the old code reads it for a while."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("freshness", "0008_bad_minutes"),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(
                    "ALTER TABLE freshness_originsnapshot ALTER COLUMN unsupported SET DEFAULT false",
                    "ALTER TABLE freshness_originsnapshot ALTER COLUMN unsupported DROP DEFAULT",
                )
            ],
            state_operations=[migrations.RemoveField(model_name="originsnapshot", name="unsupported")],
        ),
    ]
