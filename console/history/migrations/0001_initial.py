"""The names, the marks, and the partitioned tables of the points (PostgreSQL's declarative partitioning).

Each partitioned table has a default partition: a sample whose partition is not there yet (beat was down, a clock jumped)
is kept in it, and `console.history.keep` moves it where it belongs.
"""

from django.db import migrations, models

CREATE = """
CREATE TABLE history_point (
    at timestamptz NOT NULL,
    series_id integer NOT NULL,
    value real NOT NULL,
    PRIMARY KEY (series_id, at)
) PARTITION BY RANGE (at);
CREATE TABLE history_point_default PARTITION OF history_point DEFAULT;

CREATE TABLE history_minute (
    starts_at timestamptz NOT NULL,
    series_id integer NOT NULL,
    y real[] NOT NULL,
    PRIMARY KEY (series_id, starts_at)
) PARTITION BY RANGE (starts_at);
CREATE TABLE history_minute_default PARTITION OF history_minute DEFAULT;

CREATE TABLE history_quarter (
    starts_at timestamptz NOT NULL,
    series_id integer NOT NULL,
    y real[] NOT NULL,
    PRIMARY KEY (series_id, starts_at)
) PARTITION BY RANGE (starts_at);
CREATE TABLE history_quarter_default PARTITION OF history_quarter DEFAULT;
"""
DROP = "DROP TABLE history_point; DROP TABLE history_minute; DROP TABLE history_quarter;"


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Series",
            fields=[
                ("id", models.AutoField(primary_key=True, serialize=False)),
                ("name", models.TextField(unique=True)),
                ("unit", models.CharField(blank=True, default="", max_length=10)),
                ("worst", models.BooleanField(default=False)),
            ],
        ),
        migrations.CreateModel(
            name="Rolled",
            fields=[
                (
                    "id",
                    models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                ),
                ("level", models.CharField(max_length=10)),
                ("starts_at", models.DateTimeField()),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("level", "starts_at"), name="history_rolled_once")],
            },
        ),
        migrations.CreateModel(
            name="Mark",
            fields=[
                (
                    "id",
                    models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                ),
                ("at", models.DateTimeField(db_index=True)),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("deploy", "Deploy"),
                            ("takeover", "Takeover"),
                            ("incident", "Incident"),
                            ("operation", "Operation"),
                        ],
                        max_length=20,
                    ),
                ),
                ("title", models.CharField(max_length=200)),
                ("url", models.CharField(blank=True, default="", max_length=500)),
                ("target", models.CharField(blank=True, default="", max_length=400)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("at", "kind", "target", "title"), name="history_mark_once")
                ],
            },
        ),
        migrations.RunSQL(CREATE, DROP),
    ]
