"""What is remembered of predictions: the first one and the newest, of a deploy and of each of its workers."""

from __future__ import annotations

from django.db import models

from console.operations.models import Operation


class Forecast(models.Model):
    """When a deploy (`subject` "") or one of its workers (an instance id) is expected to be over.

    `likely` in half of all cases, `at_worst` in nine of ten. The first prediction of a worker is the one made when its
    drain had begun, that of the deploy the first of all: at the end these are compared with what came (`ended_at`).
    """

    operation = models.ForeignKey(Operation, models.CASCADE, related_name="forecasts")
    subject = models.CharField(max_length=64, blank=True)
    made_at = models.DateTimeField()
    likely_at = models.DateTimeField()
    at_worst_at = models.DateTimeField()
    starts_at = models.DateTimeField(null=True)  # of a worker whose turn has not come
    guessed = models.BooleanField(default=False)  # rests in part on no past run of its own
    first_made_at = models.DateTimeField(null=True)
    first_likely_at = models.DateTimeField(null=True)
    first_at_worst_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint("operation", "subject", name="deploys_one_forecast_of_each")]

    def __str__(self) -> str:
        return f"{self.operation_id} {self.subject or 'whole'}"
