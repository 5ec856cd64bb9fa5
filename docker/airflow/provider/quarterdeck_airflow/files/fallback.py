"""`LocalFallbackMixin`: any remote hook gets a twin on the local disk, and a DAG can't tell which it has."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from quarterdeck_airflow.files.choice import NoStore, Settings, local_folder
from quarterdeck_airflow.files.keys import segment

_FOUNDATION = frozenset({"BaseHook", "LoggingMixin", "LocalFallbackMixin", "object", "ABC"})


class LocalFallbackMixin:
    """Put it first among a hook's bases and name the twin:

        class FilesByFtp(LocalFallbackMixin, SFTPHook):
            local_twin = FilesInFolder  # made with the folder as its one argument

    Where the configuration decides for the twin (`files.choice`), each method that the twin has goes to it. One that it
    lacks raises NoStore: nothing may reach for a remote system that isn't there.
    """

    local_twin: ClassVar[type[Any] | None] = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.local_twin is None:
            return
        for owner in reversed(cls.__mro__):
            if owner.__name__ in _FOUNDATION:
                continue
            for name in vars(owner):
                method = inspect.getattr_static(cls, name)
                if not name.startswith("_") and inspect.isfunction(method) and not hasattr(method, "_goes_to_twin"):
                    setattr(cls, name, _either(name, method))

    @functools.cached_property
    def local(self) -> Any | None:
        """The twin, where the configuration decides for it; None where the remote system is used. Raises NoStore."""
        settings, conn_id = self.local_settings(), self._conn_id()
        folder = local_folder(settings, conn_id, lambda: _exists(conn_id))
        if folder is None:
            return None
        assert type(self).local_twin is not None
        return type(self).make_twin(Path(folder) / segment(conn_id), settings)

    @classmethod
    def make_twin(cls, folder: Path, settings: Settings) -> Any:
        """The twin in its folder; a hook whose twin takes more overrides this."""
        assert cls.local_twin is not None
        return cls.local_twin(folder)

    @staticmethod
    def local_settings() -> Settings:
        """Airflow's section `[quarterdeck]`. Raises NoStore."""
        from airflow.providers.common.compat.sdk import conf

        return Settings.of(
            {name: conf.get("quarterdeck", name, fallback=None) for name in Settings.__dataclass_fields__}
        )

    def _conn_id(self) -> str:
        return str(getattr(self, getattr(type(self), "conn_name_attr")))  # noqa: B009 - the remote hook's own name for it


def _exists(conn_id: str) -> bool:
    """Whether Airflow has the connection. Any other failure than "not found" is raised: it is no answer."""
    from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook

    try:
        BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        return False
    return True


def _either(name: str, remote: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(remote)
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        twin = self.local
        if twin is None:
            return remote(self, *args, **kwargs)
        found = getattr(twin, name, None)
        if found is None:
            raise NoStore(f"{type(self).__name__}.{name} has no local twin: it needs the connection {self._conn_id()}.")
        return found(*args, **kwargs)

    method._goes_to_twin = True  # type: ignore[attr-defined]
    return method
