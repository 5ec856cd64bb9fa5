"""Every way in which a request to Airflow's API can fail, in words."""

from __future__ import annotations

import ssl
from typing import Any

import httpx

from console.platform.ports import PlatformError

SYSTEM = "Airflow's API"


def failed_request(error: httpx.HTTPError, url: str) -> PlatformError:
    """A request that got no answer. `url` is Airflow's address, without secrets."""
    if isinstance(error, httpx.ConnectTimeout | httpx.PoolTimeout):
        return PlatformError(
            SYSTEM,
            "timeout",
            f"{SYSTEM} at {url} could not be reached in time",
            remedy="Check the network, security groups and AIRFLOW_URL.",
        )
    if isinstance(error, httpx.TimeoutException):
        return PlatformError(
            SYSTEM,
            "timeout",
            f"{SYSTEM} at {url} did not answer in time",
            remedy="The api-server is overloaded or hangs: look at its process, its log and its database.",
        )
    if isinstance(error, httpx.ConnectError):
        if _is_certificate(error):
            return PlatformError(
                SYSTEM,
                "refused",
                f"the certificate of {url} is not trusted",
                remedy="Set SSL_CERT_FILE to the authority that signed it, or correct AIRFLOW_URL.",
            )
        if "Name or service not known" in str(error) or "name resolution" in str(error):
            return PlatformError(
                SYSTEM, "refused", f"the host of {url} can't be resolved", remedy="Correct AIRFLOW_URL, or DNS."
            )
        return PlatformError(
            SYSTEM,
            "refused",
            f"nothing answers at {url}",
            remedy="Is the api-server running, and is AIRFLOW_URL its address?",
        )
    hung_up = "disconnected" in str(error) or "peer closed" in str(error)
    if isinstance(error, httpx.UnsupportedProtocol | httpx.ProtocolError) and not hung_up:
        return PlatformError(
            SYSTEM,
            "malformed",
            f"what answers at {url} does not speak HTTP as expected",
            remedy="Check AIRFLOW_URL: its port, and http or https.",
        )
    return PlatformError(
        SYSTEM,
        "unavailable",
        f"the connection to {SYSTEM} at {url} broke",
        remedy="Look at the api-server's log, and at what stands between it and the console.",
    )


def _is_certificate(error: BaseException) -> bool:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return True
        cause = cause.__cause__ or cause.__context__
    return "CERTIFICATE_VERIFY_FAILED" in str(error)


def failed_status(status: int, path: str, *, location: str = "") -> PlatformError:
    """An answer that is not a success. The body is not repeated: it may hold anything."""
    if status == 401:
        return unauthorised()
    if status == 403:
        return PlatformError(
            SYSTEM,
            "forbidden",
            f"{SYSTEM} does not let this user read {path}",
            remedy="Give the console's Airflow user a role that may read it (Viewer with Jobs and Pools, or Op).",
            permanent=True,
        )
    if status == 404:
        return not_found(path)
    if status == 429:
        return PlatformError(
            SYSTEM, "throttled", f"{SYSTEM} refuses more requests for now", remedy="Poll less, or raise its limit."
        )
    if 300 <= status < 400:
        return PlatformError(
            SYSTEM,
            "rejected",
            f"{SYSTEM} redirects {path}" + (f" to {location}" if location else ""),
            remedy="Set AIRFLOW_URL to the address where the API itself answers (https, path prefix).",
            permanent=True,
        )
    if status >= 500:
        return PlatformError(
            SYSTEM,
            "unavailable",
            f"{SYSTEM} answered {status} to {path}",
            remedy="Look at the api-server's log and at Airflow's metadata database.",
        )
    return PlatformError(
        SYSTEM,
        "rejected",
        f"{SYSTEM} answered {status} to {path}",
        remedy="This Airflow's API differs from what the console expects: compare its version.",
        permanent=True,
    )


def unauthorised(*, token: bool = False) -> PlatformError:
    if token:
        return PlatformError(
            SYSTEM,
            "unauthorised",
            f"{SYSTEM} refuses the token",
            remedy="It has expired or is wrong: renew AIRFLOW_TOKEN.",
            permanent=True,
        )
    return PlatformError(
        SYSTEM,
        "unauthorised",
        f"{SYSTEM} refuses the sign-in: wrong user or password",
        remedy="Correct AIRFLOW_USERNAME and AIRFLOW_PASSWORD, then restart the console's worker.",
        permanent=True,
    )


def not_found(path: str) -> PlatformError:
    return PlatformError(
        SYSTEM,
        "not_found",
        f"there is no {path} at Airflow's address",
        remedy="Correct AIRFLOW_URL: it is the base address, without /api.",
        permanent=True,
    )


def malformed(path: str, what: str) -> PlatformError:
    return PlatformError(
        SYSTEM,
        "malformed",
        f"{SYSTEM} answered {path} with {what}",
        remedy="Is AIRFLOW_URL Airflow itself, not a proxy's or a sign-in page?",
    )


def unsupported(what: str, remedy: str) -> PlatformError:
    return PlatformError(SYSTEM, "unsupported", f"Airflow 2 has no {what}", remedy=remedy, permanent=True)


def refused(status: int, answer: Any, what: str) -> PlatformError:
    """A change that was answered by a 4xx: nothing was done."""
    detail = answer.get("detail") if isinstance(answer, dict) else None
    said = detail if isinstance(detail, str) else "no reason given"
    return PlatformError(
        SYSTEM, "rejected", f"Airflow refuses the change of {what} ({status}: {said[:300]})", permanent=True
    )
