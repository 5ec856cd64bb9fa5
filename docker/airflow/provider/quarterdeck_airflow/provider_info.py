"""What Airflow reads of this provider: its connection types with their forms, its settings."""

from __future__ import annotations

from typing import Any

CONNECTIONS: dict[str, dict[str, Any]] = {
    "quarterdeck": {
        "hook-class-name": "quarterdeck_airflow.hooks.quarterdeck.QuarterdeckHook",
        "hook-name": "Quarterdeck",
        "connection-type": "quarterdeck",
        "conn-fields": {
            "timeout_s": {"label": "Time-out in seconds (15)", "schema": {"type": ["string", "null"]}},
            "verify": {
                "label": "TLS: false, or the path of a CA file",
                "schema": {"type": ["string", "null"]},
            },
        },
        "ui-field-behaviour": {
            "hidden-fields": ["schema", "login", "extra"],
            "relabeling": {"host": "Address of the console", "password": "API token"},
            "placeholders": {"host": "https://console.internal", "password": "a token of the role viewer is enough"},
        },
    },
}


def get_provider_info() -> dict[str, Any]:
    """The provider's description, in Airflow's schema."""
    return {
        "package-name": "quarterdeck-airflow-provider",
        "name": "Quarterdeck",
        "description": "Wait until a table is proven complete, and hand files from task to task.",
        "sensors": [{"integration-name": "Quarterdeck", "python-modules": ["quarterdeck_airflow.sensors.freshness"]}],
        "triggers": [{"integration-name": "Quarterdeck", "python-modules": ["quarterdeck_airflow.triggers.freshness"]}],
        "hooks": [{"integration-name": "Quarterdeck", "python-modules": ["quarterdeck_airflow.hooks.quarterdeck"]}],
        "integrations": [{"integration-name": "Quarterdeck", "external-doc-url": "/", "tags": ["service"]}],
        "connection-types": list(CONNECTIONS.values()),
    }
