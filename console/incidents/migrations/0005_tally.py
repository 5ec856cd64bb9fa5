"""How many incidents there are of each state, severity and section; and long evidence out of the way of the lists."""

from django.db import migrations, models

from console.lib import tallies

FORWARD, BACKWARD = tallies.statements(
    "incidents_incident",
    "incidents_incidenttally",
    {"state": "state", "severity": "severity", "section": "section"},
)


class Migration(migrations.Migration):
    dependencies = [("incidents", "0004_changes")]

    operations = [
        migrations.CreateModel(
            name="IncidentTally",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("state", models.CharField(max_length=12)),
                ("severity", models.CharField(max_length=10)),
                ("section", models.CharField(max_length=40)),
                ("number", models.BigIntegerField()),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("state", "severity", "section"), name="incident_tally_once")
                ],
            },
        ),
        migrations.RunSQL(FORWARD, BACKWARD),
        migrations.RunSQL(
            "ALTER TABLE incidents_incident SET (toast_tuple_target = 256)",
            "ALTER TABLE incidents_incident RESET (toast_tuple_target)",
        ),
    ]
