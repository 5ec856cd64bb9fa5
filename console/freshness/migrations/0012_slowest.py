"""The summary also says which tables lag most: the first page of the list by its lag looked at all of them.

The third thing that is counted of one look at the tables: a quarter more than the two before.
"""

from django.db import migrations, models

COUNT = """
CREATE OR REPLACE FUNCTION freshness_summarise() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO freshness_summary AS kept (id, tally, worst{more})
    WITH tables AS MATERIALIZED (SELECT name, task, status, severity, pressure, lag_s FROM freshness_tablesnapshot)
    SELECT 1,
        (SELECT coalesce(jsonb_agg(jsonb_build_array(task, status, number)), '[]')
         FROM (SELECT task, status, count(*) AS number FROM tables GROUP BY task, status) AS counted),
        (SELECT coalesce(jsonb_agg(name ORDER BY severity DESC, pressure DESC NULLS LAST, name), '[]')
         FROM (SELECT * FROM tables ORDER BY severity DESC, pressure DESC NULLS LAST, name LIMIT 50) AS first){slowest}
    ON CONFLICT (id) DO UPDATE SET tally = excluded.tally, worst = excluded.worst{set};
    RETURN NULL;
END $$;
"""
SLOWEST = """,
        (SELECT coalesce(jsonb_agg(name ORDER BY lag_s DESC NULLS LAST, name), '[]')
         FROM (SELECT * FROM tables ORDER BY lag_s DESC NULLS LAST, name LIMIT 50) AS behind)"""
WATCH = """
DROP TRIGGER freshness_table_summary ON freshness_tablesnapshot;
DROP TRIGGER freshness_table_lock ON freshness_tablesnapshot;
CREATE TRIGGER freshness_table_lock
    BEFORE INSERT OR DELETE OR UPDATE OF name, task, status, severity, pressure{lag} ON freshness_tablesnapshot
    FOR EACH STATEMENT EXECUTE FUNCTION freshness_one_at_a_time();
CREATE TRIGGER freshness_table_summary
    AFTER INSERT OR DELETE OR TRUNCATE OR UPDATE OF name, task, status, severity, pressure{lag}
    ON freshness_tablesnapshot FOR EACH STATEMENT EXECUTE FUNCTION freshness_summarise();
"""
LOCK = "SELECT pg_advisory_xact_lock(1718773107);"
FIRST = "UPDATE freshness_tablesnapshot SET name = name WHERE false;"
FORWARDS = [
    LOCK,
    "ALTER TABLE freshness_summary ADD COLUMN slowest jsonb NOT NULL DEFAULT '[]';",
    COUNT.format(more=", slowest", slowest=SLOWEST, set=", slowest = excluded.slowest"),
    WATCH.format(lag=", lag_s"),
    FIRST,
]
BACKWARDS = [
    LOCK,
    COUNT.format(more="", slowest="", set=""),
    WATCH.format(lag=""),
    "ALTER TABLE freshness_summary DROP COLUMN slowest;",
]


class Migration(migrations.Migration):
    dependencies = [
        ("freshness", "0011_summary"),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL("\n".join(FORWARDS), "\n".join(BACKWARDS))],
            state_operations=[migrations.AddField("summary", "slowest", models.JSONField(default=list))],
        ),
    ]
