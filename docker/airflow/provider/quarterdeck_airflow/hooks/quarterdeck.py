"""A connection to the Quarterdeck console."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.providers.common.compat.sdk import BaseHook

from quarterdeck_airflow.freshness import client
from quarterdeck_airflow.freshness.client import Endpoint
from quarterdeck_airflow.freshness.question import Answer, CheckError, Manner, Question
from quarterdeck_airflow.provider_info import CONNECTIONS


class QuarterdeckHook(BaseHook):
    """Asks the console. Host: its address; password: an API token (the role viewer is enough); extra: `timeout_s`,
    `verify` (false, or a CA file's path).
    """

    conn_name_attr = "quarterdeck_conn_id"
    default_conn_name = "quarterdeck_default"
    conn_type = "quarterdeck"
    hook_name = "Quarterdeck"

    def __init__(self, quarterdeck_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.quarterdeck_conn_id = quarterdeck_conn_id

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """For Airflow 2; Airflow 3 reads the form from the provider's info, which is the same."""
        from flask_appbuilder.fieldwidgets import BS3TextFieldWidget
        from wtforms import StringField

        fields = CONNECTIONS[cls.conn_type]["conn-fields"]
        return {name: StringField(one["label"], widget=BS3TextFieldWidget()) for name, one in fields.items()}

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        found = CONNECTIONS[cls.conn_type]["ui-field-behaviour"]
        return {name.replace("-", "_"): value for name, value in found.items()}

    def get_conn(self) -> Endpoint:
        """Where and with which token. Raises ValueError where the connection lacks something."""
        return endpoint_of(self.get_connection(self.quarterdeck_conn_id))

    async def aget_endpoint(self) -> Endpoint:
        """The same in an event loop."""
        if hasattr(BaseHook, "aget_connection"):
            return endpoint_of(await BaseHook.aget_connection(self.quarterdeck_conn_id))
        from asgiref.sync import sync_to_async

        return endpoint_of(await sync_to_async(self.get_connection)(self.quarterdeck_conn_id))

    def check(self, questions: Sequence[Question], manner: Manner) -> dict[Question, Answer]:
        """One request for all questions. Raises CheckError."""
        return client.check(self.get_conn(), questions, manner)

    def test_connection(self) -> tuple[bool, str]:
        """For the form's Test button: does the console answer, and take the token?"""
        try:
            client.ping(self.get_conn())
        except (CheckError, ValueError) as error:
            return False, str(error)
        return True, "Quarterdeck answers."


def endpoint_of(connection: Any) -> Endpoint:
    """An Endpoint of an Airflow connection. Raises ValueError naming the field."""
    extra = connection.extra_dejson or {}
    if not connection.password:
        raise ValueError(f"The connection {connection.conn_id} has no password: put an API token of the console there.")
    try:
        timeout_s = float(extra.get("timeout_s") or 15)
    except (TypeError, ValueError):
        raise ValueError(f"The connection {connection.conn_id}'s timeout_s is no number of seconds.") from None
    verify = extra.get("verify", True)
    if isinstance(verify, str):
        verify = {"": True, "true": True, "false": False}.get(verify.strip().lower(), verify)
    url = client.address(connection.host or "", connection.schema or "", connection.port)
    return Endpoint(url=url, token=connection.password, timeout_s=timeout_s, verify=True if verify is None else verify)
