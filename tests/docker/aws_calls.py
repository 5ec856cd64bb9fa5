"""Which AWS calls the console's adapters make, read from their code: boto3's operation names, as IAM calls them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import botocore.session
from botocore import xform_name

ADAPTERS = Path(__file__).parents[2] / "console" / "platform"
IAM_NAME = re.compile(r"[a-z0-9-]+:[A-Z][A-Za-z0-9]+")
S3 = {
    "ListObjectsV2": "ListBucket", "ListObjects": "ListBucket", "HeadBucket": "ListBucket", "HeadObject": "GetObject",
    "DeleteObjects": "DeleteObject", "CreateMultipartUpload": "PutObject", "UploadPart": "PutObject",
    "CompleteMultipartUpload": "PutObject", "ListMultipartUploads": "ListBucketMultipartUploads",
    "GetBucketLifecycleConfiguration": "GetLifecycleConfiguration",
}  # fmt: skip
"""S3's operations that IAM calls otherwise."""


@cache
def _operations(service: str) -> dict[str, str]:
    """boto3's method → IAM's action, for one service."""
    names = botocore.session.get_session().get_service_model(service).operation_names
    return {xform_name(name): f"{service}:{S3.get(name, name) if service == 's3' else name}" for name in names}


@cache
def _services() -> frozenset[str]:
    return frozenset(botocore.session.get_session().get_available_services())


def words_of(source: str) -> tuple[set[str], set[str]]:
    """Every text and every attribute's name in a module, its docstrings left out."""
    tree = ast.parse(source)
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return texts, {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}


def calls_in(source: str) -> set[str]:
    """The actions of the boto3 operations that a module names, of the services that it names."""
    texts, attributes = words_of(source)
    if "Clients" not in source and "boto3" not in source:
        return set()
    return {
        _operations(service)[word]
        for service in texts & _services()
        for word in texts | attributes
        if word in _operations(service)
    }


def said_in(source: str) -> set[str]:
    """The actions that a module names in its error texts ("may not call dms:…")."""
    texts, _ = words_of(source)
    return {text for text in texts if IAM_NAME.fullmatch(text)}


def modules() -> Iterable[tuple[Path, str]]:
    for path in sorted(ADAPTERS.rglob("*.py")):
        yield path, path.read_text()
