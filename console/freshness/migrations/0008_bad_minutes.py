"""Bad minutes as bits. The old code lives on for a while: it finds its columns, and what it does not know has defaults."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("freshness", "0007_asset_looks"),
    ]

    operations = [
        migrations.AddField(
            model_name="tablesnapshot",
            name="known_since",
            field=models.DateTimeField(null=True),
        ),
        # The columns go one release later (docs/production.md, "Upgrades without downtime").
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(
                    "ALTER TABLE freshness_tablesnapshot"
                    " ALTER COLUMN alarm SET DEFAULT '', ALTER COLUMN burns SET DEFAULT ''",
                    "ALTER TABLE freshness_tablesnapshot ALTER COLUMN alarm DROP DEFAULT, ALTER COLUMN burns DROP DEFAULT",
                )
            ],
            state_operations=[
                migrations.RemoveField(model_name="tablesnapshot", name="alarm"),
                migrations.RemoveField(model_name="tablesnapshot", name="burned_at"),
                migrations.RemoveField(model_name="tablesnapshot", name="burns"),
            ],
        ),
        # Each poll writes every row: with room in its page for the new one no index needs to know.
        migrations.RunSQL(
            "ALTER TABLE freshness_tablesnapshot SET (fillfactor = 45)",
            "ALTER TABLE freshness_tablesnapshot RESET (fillfactor)",
        ),
        migrations.CreateModel(
            name="WatchedHour",
            fields=[
                ("hour", models.BigIntegerField(primary_key=True, serialize=False)),
                ("bits", models.BigIntegerField()),
            ],
            options={"ordering": ["hour"]},
        ),
        migrations.CreateModel(
            name="BadHour",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "hour", "table", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("hour", models.BigIntegerField()),
                ("table", models.CharField(max_length=400)),
                ("bits", models.BigIntegerField()),
            ],
            options={"ordering": ["hour", "table"]},
        ),
        migrations.RunSQL(
            "ALTER TABLE freshness_badhour SET (fillfactor = 70)", "ALTER TABLE freshness_badhour RESET (fillfactor)"
        ),
        migrations.CreateModel(
            name="Burning",
            fields=[
                ("table", models.CharField(max_length=400, primary_key=True, serialize=False)),
                ("task", models.CharField(max_length=200)),
                ("source", models.CharField(max_length=200)),
                ("slo_s", models.FloatField()),
                ("alarm", models.CharField(max_length=10)),
                ("hour", models.FloatField()),
                ("six_hours", models.FloatField()),
                ("three_days", models.FloatField()),
                ("reckoned_at", models.DateTimeField()),
            ],
            options={"ordering": ["table"]},
        ),
    ]
