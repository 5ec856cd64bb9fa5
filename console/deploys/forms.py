"""What is typed for a deploy. Limits and their reasons are the operation's own (`kind.clean`)."""

from __future__ import annotations

from typing import Any

from django import forms

from console.deploys.kind import MIN_READY_S, READY_TIMEOUT_S
from console.fleets.drain_kind import DEADLINE_S
from console.fleets.models import GroupSnapshot
from console.platform.declared import declaration

ON_DEADLINE = (("wait", "ask a person, and kill nothing"), ("stop", "stop the worker by force: its tasks are lost"))
FIELDS = {"drain_deadline_s": "deadline_min", "min_ready_s": "min_ready_s", "ready_timeout_s": "ready_timeout_s"}


class DeployForm(forms.Form):
    """Times are in minutes where people think in minutes."""

    queues = forms.MultipleChoiceField(label="Fleets", required=False, widget=forms.CheckboxSelectMultiple)
    version = forms.CharField(
        label="Version",
        required=False,
        max_length=100,
        help_text="Of the launch template. Empty: what each group launches now.",
    )
    max_surge = forms.IntegerField(
        label="Max surge", min_value=0, help_text="Workers above desired while it lasts, per fleet."
    )
    max_unavailable = forms.IntegerField(
        label="Max unavailable", min_value=0, help_text="Workers below desired that may be missing, per fleet."
    )
    deadline_min = forms.IntegerField(label="Drain deadline, minutes", min_value=1, help_text="For each worker.")
    on_deadline = forms.ChoiceField(label="At the deadline", choices=ON_DEADLINE)
    min_ready_s = forms.IntegerField(
        label="Min ready, seconds", min_value=0, help_text="So long must a new worker serve before it counts."
    )
    ready_timeout_s = forms.IntegerField(
        label="Never ready after, seconds", min_value=10, help_text="Two such workers in a row end the deploy."
    )

    canary = forms.BooleanField(
        label="A new worker runs a canary task before it counts",
        required=False,
        help_text="A harmless task that no other worker can take.",
    )

    def __init__(self, data: Any) -> None:
        super().__init__(data)
        groups = GroupSnapshot.objects.in_bulk()
        choices = []
        for fleet in declaration().fleets:
            group = groups.get(fleet.group)
            said = f"launches version {group.version or '?'}" if group else "not seen yet"
            choices.append((fleet.queue, f"{fleet.queue}, {said}"))
        queues = self.fields["queues"]
        assert isinstance(queues, forms.MultipleChoiceField)
        queues.choices = choices

    def clean_queues(self) -> list[str]:
        if not self.cleaned_data["queues"]:
            raise forms.ValidationError("Choose at least one fleet.")
        return list(self.cleaned_data["queues"])


def beginning() -> dict[str, Any]:
    """What the form begins with: every fleet, one by one, and nothing killed."""
    return {
        "queues": [fleet.queue for fleet in declaration().fleets],
        "version": "",
        "max_surge": 1,
        "max_unavailable": 0,
        "deadline_min": int(DEADLINE_S // 60),
        "on_deadline": "wait",
        "min_ready_s": int(MIN_READY_S),
        "ready_timeout_s": int(READY_TIMEOUT_S),
    }


def sent(form: forms.Form) -> dict[str, Any]:
    """As the operation takes it."""
    values = dict(form.cleaned_data)
    return values | {"drain_deadline_s": values.pop("deadline_min") * 60}
