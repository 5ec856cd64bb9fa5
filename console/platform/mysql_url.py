"""A MySQL source's address: `mysql://user:password@host:3306/?ssl-mode=verify-identity&ssl-ca=/path`. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

MODES = ("disabled", "preferred", "required", "verify-ca", "verify-identity")
_KEYS = {"ssl-mode", "ssl-ca", "socket"}


@dataclass(frozen=True, repr=False)
class MysqlAddress:
    """Where and as whom. `ssl_mode` is one of MODES; `socket`: a local one's path, instead of host and port."""

    host: str
    port: int
    user: str
    password: str
    database: str
    socket: str
    ssl_mode: str
    ssl_ca: str

    @property
    def where(self) -> str:
        """For messages: without user and password."""
        return self.socket or f"{self.host}:{self.port}"


def parse(url: str) -> MysqlAddress:
    """Raises ValueError with a sentence's second half that repeats no value but a parameter's name."""
    parts = urlsplit(url)
    if parts.scheme != "mysql":
        raise ValueError("does not start with mysql://")
    given = {key.replace("_", "-"): value for key, value in parse_qsl(parts.query, keep_blank_values=True)}
    unknown = sorted(set(given) - _KEYS)
    if unknown:
        raise ValueError(f"has the parameter {unknown[0]!r}; known are {', '.join(sorted(_KEYS))}")
    ca = given.get("ssl-ca", "")
    mode = given.get("ssl-mode", "verify-identity" if ca else "preferred").lower().replace("_", "-")
    if mode not in MODES:
        raise ValueError(f"has another ssl-mode than {', '.join(MODES)}")
    if mode.startswith("verify") and not ca:
        raise ValueError(f"says ssl-mode={mode} without ssl-ca, the path of the certificates to verify by")
    socket = given.get("socket", "")
    if not parts.hostname and not socket:
        raise ValueError("names no host")
    return MysqlAddress(
        host=parts.hostname or "",
        port=parts.port or 3306,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        database=unquote(parts.path.lstrip("/")),
        socket=socket,
        ssl_mode=mode,
        ssl_ca=ca,
    )
