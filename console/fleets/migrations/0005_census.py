"""The workers of each queue by zone, release and state, as the judge counts them."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("fleets", "0004_bills_and_waits")]

    operations = [
        migrations.CreateModel(
            name="Census",
            fields=[
                ("queue", models.TextField(primary_key=True, serialize=False)),
                ("counts", models.JSONField()),
                ("as_of", models.DateTimeField()),
            ],
        ),
    ]
