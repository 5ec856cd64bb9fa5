"""The newest generation that is committed, in a row. The old code goes on with the sequence, from which both count."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("freshness", "0009_every_origin_is_read"),
    ]

    operations = [
        migrations.CreateModel(
            name="Published",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("number", models.BigIntegerField()),
            ],
        ),
        migrations.RunSQL(
            "INSERT INTO freshness_published (id, number)"
            " SELECT 1, CASE WHEN is_called THEN last_value ELSE 0 END FROM freshness_generation",
            migrations.RunSQL.noop,
        ),
    ]
