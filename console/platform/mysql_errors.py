"""What a MySQL or MariaDB server, or the way to it, refused: as a PlatformError that names the field and the remedy."""

from __future__ import annotations

import ssl
from dataclasses import dataclass

import pymysql
from pymysql.constants import CR, ER

from console.platform.mysql_url import MysqlAddress
from console.platform.ports import PlatformError

GONE = frozenset({CR.CR_SERVER_GONE_ERROR, CR.CR_SERVER_LOST, 0})
_READ_ONLY = frozenset({1290, 1792, 1836})
_TOO_LONG = frozenset({ER.QUERY_TIMEOUT, 1969})  # MariaDB has a number of its own
_INSECURE = 3159  # ER_SECURE_TRANSPORT_REQUIRED
# OpenSSL's X509_V_ERR_…
_NOT_YET, _EXPIRED = 9, 10
_OTHER_NAME = frozenset({62, 64})  # host name, IP address
_OTHER_CA = frozenset({2, 18, 19, 20, 21, 24})
_HOW = "mysql://USER:PASSWORD@HOST:3306/?ssl-mode=verify-identity&ssl-ca=/path"


class Untrusted(Exception):
    """The file of `ssl-ca` can't be used; the message is a sentence's end."""


@dataclass(frozen=True)
class Place:
    """`system` and `variable` are for messages: "the source shop", "the URL of source shop in platform.yaml"."""

    system: str
    variable: str

    def malformed(self, error: ValueError) -> PlatformError:
        """Of a URL that can't be read."""
        return PlatformError(
            self.system, "malformed", f"{self.variable} {error}", remedy=f"Write it like {_HOW}.", permanent=True
        )

    def timeout(self, address: MysqlAddress) -> PlatformError:
        return PlatformError(
            self.system,
            "timeout",
            f"{self.system} at {address.where} did not answer in time",
            remedy="Look at its load, its locks and the network between it and the console.",
        )

    def unusable_ca(self, address: MysqlAddress, error: Untrusted) -> PlatformError:
        return PlatformError(
            self.system,
            "malformed",
            f"ssl-ca of {self.variable} is {address.ssl_ca}, {error}",
            remedy="Put there the certificates that sign the server's, as PEM the console may read (RDS: its global"
            " bundle).",
            permanent=True,
        )

    def refused(self, address: MysqlAddress, error: BaseException) -> PlatformError:
        """Of what PyMySQL or the socket raised."""
        if isinstance(error, Untrusted):
            return self.unusable_ca(address, error)
        behind = getattr(error, "original_exception", error)
        if isinstance(behind, ssl.SSLError):
            return self._no_trust(address, behind)
        if not isinstance(error, pymysql.MySQLError):
            return self.timeout(address)
        return self._by_number(address, *told(error))

    def _no_trust(self, address: MysqlAddress, error: ssl.SSLError) -> PlatformError:
        where = f"{self.system} at {address.where}"
        if not isinstance(error, ssl.SSLCertVerificationError):
            reason = error.reason or "the other end broke it off"
            return self._tls(
                f"no encrypted connection to {where} came about: {reason.replace('_', ' ').lower()}",
                "Compare the TLS versions of the server (tls_version) with those of the console's machine.",
            )
        if error.verify_code in _OTHER_NAME:
            return self._tls(
                f"the certificate of {where} is made out to another name than {address.host}",
                f"Write the host in {self.variable} as its certificate says it (RDS: the endpoint, neither alias nor"
                " address), or ssl-mode=verify-ca, which does not compare names.",
            )
        if error.verify_code in _OTHER_CA:
            return self._tls(
                f"the certificate of {where} is signed by none of those in {address.ssl_ca} ({error.verify_message})",
                f"Name the file of the authority that signs it in ssl-ca of {self.variable} (RDS: its global bundle)."
                " If it always was the right one, somebody may stand in between.",
            )
        if error.verify_code in {_NOT_YET, _EXPIRED}:
            when = "has expired" if error.verify_code == _EXPIRED else "is not valid yet"
            return self._tls(
                f"the certificate of {where}, or one that signs it, {when}",
                f"Renew it at the server, or the file in ssl-ca of {self.variable}; is the console's clock right?",
            )
        return self._tls(
            f"the certificate of {where} is not trusted: {error.verify_message}",
            f"Compare ssl-mode and ssl-ca of {self.variable} with the server's certificate.",
        )

    def _tls(self, message: str, remedy: str) -> PlatformError:
        return PlatformError(self.system, "refused", message, remedy=remedy, permanent=True)

    def _by_number(self, address: MysqlAddress, number: int, text: str) -> PlatformError:
        where, low = address.where, text.lower()
        if "timed out" in low or number in _TOO_LONG:
            return self.timeout(address)
        if number == CR.CR_SSL_CONNECTION_ERROR:
            return self._tls(
                f"{self.system} at {where} offers no encryption, and ssl-mode={address.ssl_mode} wants it",
                "Give the server a certificate (RDS has one), or, where the way to it is trusted, say "
                f"ssl-mode=disabled in {self.variable}.",
            )
        if number == _INSECURE or "require_secure_transport" in low:
            return self._tls(
                f"{self.system} at {where} takes encrypted connections only",
                f"Say ssl-mode=verify-identity with ssl-ca, or at least ssl-mode=required, in {self.variable}.",
            )
        if number in {ER.ACCESS_DENIED_ERROR, 1698}:
            plain = ""
            if address.ssl_mode == "disabled":
                plain = " Does it take encrypted connections only, from this user or from all? Then: ssl-mode=required."
            return PlatformError(
                self.system,
                "unauthorised",
                f"{self.system} at {where} refuses the user or password",
                remedy=f"Correct {self.variable} (percent-encode the password).{plain}",
                permanent=True,
            )
        if number in {ER.BAD_DB_ERROR, ER.DBACCESS_DENIED_ERROR}:
            return PlatformError(
                self.system,
                "not_found",
                f"there is no such database at {where}, or this user may not use it",
                remedy=f"Correct the name behind the host in {self.variable}, or leave it out.",
                permanent=True,
            )
        if number in {ER.CON_COUNT_ERROR, ER.TOO_MANY_USER_CONNECTIONS, ER.USER_LIMIT_REACHED}:
            return PlatformError(
                self.system,
                "throttled",
                f"{self.system} at {where} takes no more connections",
                remedy="Raise its limit of connections, or find who holds them.",
            )
        if number in {ER.LOCK_WAIT_TIMEOUT, ER.LOCK_DEADLOCK}:
            return PlatformError(
                self.system,
                "unavailable",
                f"another session locks the heartbeat of {self.system}",
                remedy="Does a second console write it? It is tried again.",
            )
        if number in _READ_ONLY:
            return PlatformError(
                self.system,
                "rejected",
                f"{self.system} at {where} is read only",
                remedy="Is it a replica, as after a failover? Point the source's URL to the primary.",
            )
        if number in {CR.CR_CONNECTION_ERROR, CR.CR_CONN_HOST_ERROR, CR.CR_UNKNOWN_HOST}:
            return PlatformError(
                self.system,
                "refused",
                f"nothing answers at {where}",
                remedy=f"Is {self.system} running, and is {self.variable} its address?",
            )
        if number in GONE:
            return PlatformError(
                self.system,
                "unavailable",
                f"the connection to {self.system} at {where} broke",
                remedy="Is it restarting or failing over? It is tried again.",
            )
        return PlatformError(
            self.system,
            "rejected",
            f"{self.system} refused a statement (error {number})",
            remedy="Compare the heartbeat tables with what manage.py freshness install prints.",
            permanent=True,
        )


def told(error: BaseException) -> tuple[int, str]:
    """Its number (0: none), and its text, which is for the log and not for a page."""
    arguments = error.args or (0, "")
    number = arguments[0] if isinstance(arguments[0], int) else 0
    return number, str(error)
