"""How many operations there are of each state and kind; and indexes for what is seldom among many: failures, deploys."""

from django.db import migrations, models

from console.lib import tallies

FORWARD, BACKWARD = tallies.statements(
    "operations_operation",
    "operations_operationtally",
    {"state": "state", "kind": "kind", "by_console": "requested_by_id IS NULL"},
)


class Migration(migrations.Migration):
    dependencies = [("operations", "0001_initial")]

    operations = [
        migrations.CreateModel(
            name="OperationTally",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("state", models.CharField(max_length=10)),
                ("kind", models.CharField(max_length=40)),
                ("by_console", models.BooleanField()),
                ("number", models.BigIntegerField()),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("state", "kind", "by_console"), name="operation_tally_once")
                ],
            },
        ),
        migrations.RunSQL(FORWARD, BACKWARD),
        migrations.AddIndex(
            model_name="operation",
            index=models.Index("finished_at", name="operation_failed", condition=models.Q(state="failed")),
        ),
        migrations.AddIndex(
            model_name="operation",
            index=models.Index("kind", models.F("id").desc(), name="operation_of_kind"),
        ),
    ]
