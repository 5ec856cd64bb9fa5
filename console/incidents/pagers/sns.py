"""An Amazon SNS topic: its subscribers get text; a FIFO topic also drops what was sent twice and keeps the order."""

from __future__ import annotations

import hashlib
import threading
from typing import Any

import boto3
from botocore import exceptions as boto
from botocore.config import Config

from console.incidents.pagers.message import Message, TransportError, cut
from console.platform.declared import PagerDeclared

SUBJECT, LARGEST = 100, 250_000  # SNS takes 262,144 bytes
CONFIG = Config(connect_timeout=3, read_timeout=10, retries={"total_max_attempts": 1}, user_agent_extra="quarterdeck")
_AGAIN = {
    "Throttled",
    "Throttling",
    "ThrottledException",
    "ThrottlingException",
    "RequestLimitExceeded",
    "InternalError",
}
_making = threading.Lock()  # making a client is not safe for threads


class Sns:
    def __init__(self, declared: PagerDeclared) -> None:
        self._declared = declared

    def notify(self, message: Message) -> str:
        """Publish it. Returns SNS' message id; raises TransportError."""
        arn = self._declared.topic
        try:
            with _making:
                client = boto3.session.Session(region_name=arn.split(":")[3]).client("sns", config=CONFIG)
            answer = client.publish(**arguments(arn, message))
        except boto.ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            again = code in _AGAIN or status == 429 or status >= 500
            raise TransportError(
                f"SNS answered {code or status}", permanent=not again, maybe_taken=status >= 500
            ) from None
        except (boto.NoCredentialsError, boto.PartialCredentialsError):
            raise TransportError("the console has no AWS credentials for SNS", permanent=True) from None
        except (boto.EndpointConnectionError, boto.ConnectTimeoutError) as error:
            raise TransportError(f"SNS can't be reached ({type(error).__name__})") from None
        except boto.BotoCoreError as error:
            raise TransportError(f"SNS did not answer ({type(error).__name__})", maybe_taken=True) from None
        return f"SNS took it as {answer['MessageId']}"


def arguments(arn: str, message: Message) -> dict[str, Any]:
    """What `publish` takes. A subject is ASCII of one line."""
    subject = message.headline.encode("ascii", "replace").decode()
    text = f"{message.headline}\n{message.link}\n\n{message.text}\n" + "".join(
        f"\n{name}: {value}" for name, value in message.evidence
    )
    while len(text.encode("utf-8", "replace")) > LARGEST:
        text = cut(text, len(text) * 3 // 4)
    told: dict[str, Any] = {
        "TopicArn": arn,
        "Subject": subject if len(subject) <= SUBJECT else subject[: SUBJECT - 3] + "...",
        "Message": text,
        "MessageAttributes": {
            name: {"DataType": "String", "StringValue": value}
            for name, value in (("key", message.key), ("action", message.action.value), ("severity", message.severity))
        },
    }
    if arn.endswith(".fifo"):
        told["MessageGroupId"] = hashlib.sha256(message.key.encode()).hexdigest()
        told["MessageDeduplicationId"] = hashlib.sha256(message.id.encode()).hexdigest()
    return told
