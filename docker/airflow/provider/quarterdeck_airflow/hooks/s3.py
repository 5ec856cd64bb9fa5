"""Files in S3 by an Airflow connection, or in a local folder where there is none."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseHook

from quarterdeck_airflow.files.choice import Settings
from quarterdeck_airflow.files.fallback import LocalFallbackMixin
from quarterdeck_airflow.files.keys import BadKey
from quarterdeck_airflow.files.local import LocalStore
from quarterdeck_airflow.files.store import FileError, Info, Source
from quarterdeck_airflow.provider_info import CONNECTIONS

if TYPE_CHECKING:
    from quarterdeck_airflow.files.s3 import S3Store


class S3Hook(LocalFallbackMixin, BaseHook):
    """A FileStore (`files.store`) by a connection of the type `quarterdeck_s3`.

    Schema: the bucket. Login and password: a key pair; empty means the machine's own role. Extra: `prefix`,
    `region_name`, `endpoint_url` (for S3-compatible stores).
    """

    conn_name_attr = "files_conn_id"
    default_conn_name = "quarterdeck_files"
    conn_type = "quarterdeck_s3"
    hook_name = "Quarterdeck files (S3)"
    local_twin = LocalStore

    def __init__(self, files_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.files_conn_id = files_conn_id

    @classmethod
    def make_twin(cls, folder: Path, settings: Settings) -> LocalStore:
        return LocalStore(folder, links_url=settings.local_links_url)

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

    def get_conn(self) -> Any:
        """boto3's S3 client."""
        return self._remote[0]

    def put(self, key: str, source: Source) -> Info:
        return self._store.put(key, source)

    def get(self, key: str, path: str | os.PathLike[str], *, sha256: str | None = None) -> Info:
        return self._store.get(key, path, sha256=sha256)

    def read(self, key: str, *, sha256: str | None = None) -> bytes:
        return self._store.read(key, sha256=sha256)

    def info(self, key: str) -> Info:
        return self._store.info(key)

    def exists(self, key: str) -> bool:
        return self._store.exists(key)

    def list(self, prefix: str = "") -> Iterator[Info]:
        return self._store.list(prefix)

    def delete(self, key: str) -> None:
        self._store.delete(key)

    def link(self, key: str, expires_in: timedelta = timedelta(hours=1)) -> str:
        return self._store.link(key, expires_in)

    def abort_stale(self, older_than: timedelta = timedelta(days=1)) -> int:
        return self._store.abort_stale(older_than)

    def test_connection(self) -> tuple[bool, str]:
        try:
            return self._store.test_connection()
        except (FileError, BadKey) as error:
            return False, str(error)

    @property
    def _store(self) -> S3Store:
        return self._remote[1]

    @cached_property
    def _remote(self) -> tuple[Any, S3Store]:
        import boto3
        from botocore.config import Config

        from quarterdeck_airflow.files.s3 import S3Store  # here: where files are local, boto3 costs nobody its memory

        connection = self.get_connection(self.files_conn_id)
        extra = connection.extra_dejson or {}
        if not connection.schema:
            raise FileError(f"The connection {self.files_conn_id} names no bucket: put it into its field Bucket.")
        client = boto3.client(
            "s3",
            aws_access_key_id=connection.login or None,
            aws_secret_access_key=connection.password or None,
            region_name=extra.get("region_name") or None,
            endpoint_url=extra.get("endpoint_url") or None,
            config=Config(connect_timeout=5, read_timeout=60, retries={"mode": "standard", "max_attempts": 5}),
        )
        return client, S3Store(client, connection.schema, extra.get("prefix") or "")
