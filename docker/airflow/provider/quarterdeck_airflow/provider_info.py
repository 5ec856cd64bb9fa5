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
    "quarterdeck_s3": {
        "hook-class-name": "quarterdeck_airflow.hooks.s3.S3Hook",
        "hook-name": "Quarterdeck files (S3)",
        "connection-type": "quarterdeck_s3",
        "conn-fields": {
            "prefix": {"label": "Prefix of every key", "schema": {"type": ["string", "null"]}},
            "region_name": {"label": "Region", "schema": {"type": ["string", "null"]}},
            "endpoint_url": {"label": "Address of an S3-compatible store", "schema": {"type": ["string", "null"]}},
        },
        "ui-field-behaviour": {
            "hidden-fields": ["host", "port", "extra"],
            "relabeling": {"schema": "Bucket", "login": "Access key ID", "password": "Secret access key"},
            "placeholders": {"login": "empty: the machine's own role", "password": "empty: the machine's own role"},
        },
    },
}


def _option(description: str, kind: str, default: str, example: str | None = None) -> dict[str, Any]:
    return {
        "description": description, "version_added": "0.1.0", "type": kind, "example": example, "default": default,
    }  # fmt: skip


CONFIG = {
    "quarterdeck": {
        "description": "Files between tasks: in S3, or for development in a local folder.",
        "options": {
            "environment": _option("production or development", "string", "production"),
            "local_twin": _option(
                "Keep files in the local folder: auto (where the connection does not exist), always or never",
                "string", "auto",
            ),
            "local_folder": _option("The folder of the local twins", "string", "", "/srv/airflow/files"),
            "allow_local_in_production": _option(
                "Let the environment production keep files on one machine's disk", "boolean", "False"
            ),
            "local_links_url": _option(
                "Where quarterdeck_airflow.files.links serves links to the local files", "string", "",
                "http://127.0.0.1:8099",
            ),
        },
    }
}  # fmt: skip


def get_provider_info() -> dict[str, Any]:
    """The provider's description, in Airflow's schema."""
    return {
        "package-name": "quarterdeck-airflow-provider",
        "name": "Quarterdeck",
        "description": "Wait until a table is proven complete, and hand files from task to task.",
        "sensors": [{"integration-name": "Quarterdeck", "python-modules": ["quarterdeck_airflow.sensors.freshness"]}],
        "triggers": [{"integration-name": "Quarterdeck", "python-modules": ["quarterdeck_airflow.triggers.freshness"]}],
        "hooks": [
            {
                "integration-name": "Quarterdeck",
                "python-modules": ["quarterdeck_airflow.hooks.quarterdeck", "quarterdeck_airflow.hooks.s3"],
            }
        ],
        "integrations": [{"integration-name": "Quarterdeck", "external-doc-url": "/", "tags": ["service"]}],
        "connection-types": list(CONNECTIONS.values()),
        "config": CONFIG,
    }
