"""What is typed for a drain and for a resize. Limits and their reasons are the operations' own (`kind.clean`)."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import QueryDict

from console.fleets.drain_kind import DEADLINE_S

ON_DEADLINE = (("wait", "ask a person, and kill nothing"), ("stop", "stop it by force: its tasks are lost"))
FIELDS = {"deadline_s": "deadline_min"}


class Names(forms.Field):
    """Several names, none of which is checked here."""

    widget = forms.MultipleHiddenInput

    def clean(self, value: Any) -> list[str]:
        names = [str(name).replace("\x00", "").strip()[:200] for name in value or []][:500]
        return list(super().clean([name for name in names if name]))


class DrainForm(forms.Form):
    workers = Names(error_messages={"required": "Choose at least one worker."})
    replace = forms.ChoiceField(
        label="Afterwards", choices=(("", "the fleet is smaller by it"), ("1", "its group launches another"))
    )
    deadline_min = forms.IntegerField(label="Deadline, minutes", min_value=1, help_text="For each worker.")
    on_deadline = forms.ChoiceField(label="At the deadline", choices=ON_DEADLINE)
    override_last = forms.BooleanField(label="Also when no other worker serves the queue", required=False)

    def __init__(self, data: Any) -> None:
        super().__init__(data)
        self.fields["replace"].required = False


class ResizeForm(forms.Form):
    baseline = forms.IntegerField(label="Baseline", required=False, min_value=0, help_text="The group's minimum.")
    desired = forms.IntegerField(label="Desired", required=False, min_value=0, help_text="Workers now.")
    max = forms.IntegerField(label="Max", required=False, min_value=0, help_text="The group's maximum.")
    deadline_min = forms.IntegerField(label="Deadline, minutes", min_value=1, help_text="For each that is drained.")
    on_deadline = forms.ChoiceField(label="At the deadline", choices=ON_DEADLINE)
    override_last = forms.BooleanField(label="Also when no worker would be left", required=False)


def begun(query: QueryDict, **usual: str) -> QueryDict:
    """What a form begins with: what the address says, else what is usual. `deadline_s` is taken in seconds too."""
    data = query.copy()
    seconds = data.get("deadline_s", "")
    minutes = str(max(1, int(seconds) // 60)) if str(seconds).isdecimal() else str(int(DEADLINE_S // 60))
    for name, value in {"deadline_min": minutes, "on_deadline": "wait", **usual}.items():
        if not data.get(name):
            data[name] = value
    return data


def drain_sent(queue: str, form: forms.Form) -> dict[str, Any]:
    """As the operation takes it."""
    values = form.cleaned_data
    return {
        "queue": queue,
        "workers": values["workers"],
        "deadline_s": values["deadline_min"] * 60,
        "on_deadline": values["on_deadline"],
        "replace": values["replace"] == "1",
        "override_last": values["override_last"],
    }


def resize_sent(queue: str, form: forms.Form) -> dict[str, Any]:
    values = form.cleaned_data
    sizes = {name: values[name] for name in ("baseline", "desired", "max")}
    return {
        "queue": queue,
        **sizes,
        "deadline_s": values["deadline_min"] * 60,
        "on_deadline": values["on_deadline"],
        "override_last": values["override_last"],
    }
