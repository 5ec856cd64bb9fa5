"""What is typed for announced work. Limits and their reasons are `actions.announce`'s own."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import forms
from django.http import QueryDict

SNOOZES = ((10, "10 min"), (30, "30 min"), (60, "1 h"), (240, "4 h"))
_MOMENT = "%Y-%m-%dT%H:%M"


class Targets(forms.CharField):
    """Words, one a line or with commas between them."""

    def to_python(self, value: Any) -> Any:
        text = str(super().to_python(value) or "")
        return [word for word in text.replace(",", "\n").split("\n") if word.strip()]


def _moment(label: str, *, required: bool, help_text: str) -> forms.DateTimeField:
    widget = forms.DateTimeInput(attrs={"type": "datetime-local"}, format=_MOMENT)
    return forms.DateTimeField(label=label, required=required, help_text=help_text, widget=widget)


class MaintenanceForm(forms.Form):
    targets = Targets(
        label="What is worked on",
        help_text="fleets/cpu, freshness/shop-cdc, a whole section such as datastores, or * for all.",
        widget=forms.TextInput(),
        max_length=4000,
    )
    starts_at = _moment("From (UTC)", required=False, help_text="Empty: now.")
    ends_at = _moment("Until (UTC)", required=True, help_text="It ends by itself, and tells what is wrong then.")
    reason = forms.CharField(label="Why", max_length=1000)


def begun(query: QueryDict) -> dict[str, Any]:
    """What the form begins with: `targets`, `ends_at` and `reason` of the address."""
    found: dict[str, Any] = {name: query[name][:1000] for name in ("targets", "reason") if query.get(name)}
    try:
        found["ends_at"] = datetime.fromisoformat(query.get("ends_at", ""))
    except ValueError:
        pass
    return found
