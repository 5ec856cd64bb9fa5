"""boto3 clients with bounded time, and a PlatformError for each way in which AWS fails."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import boto3
from botocore import exceptions as boto
from botocore.config import Config
from botocore.parsers import ResponseParserError

from console.platform.budget import Budget
from console.platform.ports import PlatformError

CONFIG = Config(
    connect_timeout=2,
    read_timeout=4,
    retries={"total_max_attempts": 2, "mode": "standard"},
    max_pool_connections=8,
    user_agent_extra="quarterdeck",
)
ONCE = CONFIG.merge(Config(retries={"total_max_attempts": 1, "mode": "standard"}))
"""For changes: a call whose answer was lost may have been carried out, and is never sent again unseen."""
POLL_S = 10.0
"""What one poll may take in all; looked at between requests."""

_THROTTLED = {"Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequestsException", "SlowDown"}
_DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError"}
_CREDENTIALS = {
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "SignatureDoesNotMatch",
    "AuthFailure",
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidAccessKeyId",
    "MissingAuthenticationToken",
    "IncompleteSignature",
}


class Clients:
    """boto3's clients, each made at its first use: loading a service's model takes a while. Safe for threads.

    Endpoint and credentials come from the environment, as boto3 finds them.
    """

    def __init__(self, region: str) -> None:
        self._region = region
        self._made: dict[tuple[str, bool], Any] = {}
        self._lock = threading.Lock()  # making clients is not safe for threads, using them is

    def __call__(self, service: str, *, change: bool = False) -> Any:
        """The client of a service; with `change` one that sends each call once."""
        with self._lock, reported(service, "sign in"):
            if (service, change) not in self._made:
                session = boto3.session.Session(region_name=self._region or None)
                config = ONCE if change else CONFIG
                self._made[service, change] = session.client(service, config=config)
            return self._made[service, change]


def rows(
    clients: Clients,
    service: str,
    operation: str,
    action: str,
    key: str,
    budget: Budget,
    *,
    leave: frozenset[str] = frozenset(),
    **arguments: Any,
) -> Iterator[dict[str, Any]]:
    """Each row under `key`, over all pages of an answer, within the budget.

    An answer without that key is malformed, not empty: boto3 reads even a web page as a success without content.
    """
    paginator = clients(service).get_paginator(operation)
    with reported(service, action, leave=leave):
        for page in paginator.paginate(**arguments):
            if key not in page:
                raise _malformed(service, action, f"without {key}")
            yield from page[key]
            budget.spend(0)


def chunks(items: Sequence[str], size: int) -> Iterator[list[str]]:
    for start in range(0, len(items), size):
        yield list(items[start : start + size])


def utc(moment: datetime | None) -> datetime | None:
    """AWS' times as aware ones in UTC (some stand-ins leave the zone out)."""
    if moment is None:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


@contextmanager
def reported(service: str, action: str, *, leave: frozenset[str] = frozenset()) -> Iterator[None]:
    """Whatever boto3 raises inside becomes a PlatformError; a ClientError of the codes in `leave` stays one.

    `action` is what IAM calls it: `dms:DescribeReplicationTasks`.
    """
    try:
        yield
    except boto.ClientError as error:
        if code_of(error) in leave:
            raise
        raise _client_error(service, action, error) from None
    except (boto.BotoCoreError, ResponseParserError) as error:  # the latter is not a BotoCoreError
        raise _transport_error(service, action, error) from None


def code_of(error: boto.ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _client_error(service: str, action: str, error: boto.ClientError) -> PlatformError:
    system, code = _system(service), code_of(error)
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in _THROTTLED or status == 429:
        return PlatformError(
            system, "throttled", f"{system} limits the rate of {action}", remedy="Poll less, or raise the quota."
        )
    if code in _CREDENTIALS:
        return PlatformError(
            system,
            "unauthorised",
            f"{system} refuses the console's credentials ({code})",
            remedy="Renew the AWS credentials of the console's worker (AWS_* variables or the instance's role).",
            permanent=True,
        )
    if code in _DENIED or status == 403:
        return PlatformError(
            system,
            "forbidden",
            f"the console's AWS identity may not call {action}",
            remedy=f"Allow {action} in its IAM policy.",
            permanent=True,
        )
    if code.isdigit() or status >= 500:
        return PlatformError(
            system,
            "unavailable",
            f"{system} failed on its side ({code or status})",
            remedy="Look at AWS' health page, or at the stand-in's log.",
        )
    return PlatformError(
        system,
        "rejected",
        f"{system} refused {action}: {code}",
        remedy="Compare platform.yaml with AWS.",
        permanent=True,
    )


def _transport_error(service: str, action: str, error: Exception) -> PlatformError:
    system = _system(service)
    where = f" at {os.environ['AWS_ENDPOINT_URL']}" if os.environ.get("AWS_ENDPOINT_URL") else ""
    if isinstance(error, boto.ConnectTimeoutError | boto.ReadTimeoutError):
        return PlatformError(
            system,
            "timeout",
            f"{system}{where} did not answer in time",
            remedy="Check the network to AWS: VPC endpoints, proxies, security groups.",
        )
    if isinstance(error, boto.EndpointConnectionError | boto.SSLError | boto.ProxyConnectionError):
        return PlatformError(
            system,
            "refused",
            f"{system}{where} can't be reached",
            remedy="Check the region, AWS_ENDPOINT_URL and the network to AWS.",
        )
    if isinstance(error, boto.NoCredentialsError | boto.PartialCredentialsError | boto.CredentialRetrievalError):
        return PlatformError(
            system,
            "unauthorised",
            "the console has no AWS credentials",
            remedy="Give its worker an instance role, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
            permanent=True,
        )
    if isinstance(error, boto.NoRegionError | boto.InvalidRegionError):
        return PlatformError(
            system,
            "rejected",
            "AWS' region is missing or wrong",
            remedy="Set `region` in platform.yaml, such as eu-north-1.",
            permanent=True,
        )
    if isinstance(error, boto.HTTPClientError):  # a connection that broke, among others
        return PlatformError(
            system, "unavailable", f"the connection to {system}{where} broke", remedy="It is tried again."
        )
    return _malformed(service, action, f"with something unexpected ({type(error).__name__})")


def _malformed(service: str, action: str, what: str) -> PlatformError:
    system = _system(service)
    return PlatformError(
        system,
        "malformed",
        f"{system} answered {action} {what}",
        remedy="Is it AWS that answers there (a proxy, a stand-in without this call)?",
    )


_TITLES = {
    "autoscaling": "Auto Scaling",
    "ec2": "EC2",
    "dms": "DMS",
    "cloudwatch": "CloudWatch",
    "rds": "RDS",
    "elasticache": "ElastiCache",
    "s3": "S3",
}


def _system(service: str) -> str:
    return f"AWS {_TITLES.get(service, service)}"
