"""The poll, from a real bucket to what is remembered of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from console.platform import connect
from console.platform.models import Source
from console.storage.models import Store
from console.storage.tasks import poll
from tests.platform.aws_server import REGION, AwsServer
from tests.platform.conftest import aws, aws_server  # noqa: F401 - fixtures

pytestmark = pytest.mark.django_db


@pytest.fixture
def bucket(aws: AwsServer) -> Iterator[Any]:  # noqa: F811
    connect.forget()
    client = aws.client("s3")
    client.create_bucket(Bucket="tests-files", CreateBucketConfiguration={"LocationConstraint": REGION})
    yield client
    connect.forget()


def test_what_lies_below_the_prefix_is_remembered(bucket: Any) -> None:
    folder = "handoff/load/run/extract/orders.csv"
    bucket.put_object(Bucket="tests-files", Key=f"team/{folder}/data/4102444800-{'a' * 16}", Body=b"12345")
    bucket.put_object(Bucket="tests-files", Key=f"team/{folder}/note.json", Body=b"{}")
    bucket.put_object(Bucket="tests-files", Key="elsewhere", Body=b"12345")
    poll()
    row = Store.objects.get()
    assert (row.location, row.files, row.bytes, row.waiting, row.complete) == ("s3://tests-files/team", 2, 7, 1, True)
    bucket.put_object(Bucket="tests-files", Key=f"team/{folder}/read.json", Body=b"{}")
    poll()
    assert Store.objects.get().fetched == 1


def test_a_bucket_that_is_gone_ages_and_says_why(bucket: Any) -> None:
    poll()
    bucket.delete_bucket(Bucket="tests-files")
    poll()
    source = Source.objects.get(name="storage.files")
    assert "NoSuchBucket" in source.error
    assert source.as_of is not None
    assert Store.objects.exists()
