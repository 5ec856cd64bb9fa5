"""The sandbox's pager keeps every page that it received."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from console.sandbox import pager
from tests.services import free_port


@pytest.fixture
def pages(tmp_path: Path) -> Path:
    return tmp_path / "pages.jsonl"


@pytest.fixture
def url(pages: Path) -> Iterator[str]:
    port = free_port()
    process = subprocess.Popen([sys.executable, "-I", pager.__file__, str(port), str(pages)])
    address = f"http://127.0.0.1:{port}"
    for _ in range(100):
        try:
            urllib.request.urlopen(address, timeout=1)
            break
        except OSError:
            time.sleep(0.05)
    yield address
    process.terminate()
    process.wait(5)


def post(address: str, body: bytes) -> int:
    with urllib.request.urlopen(urllib.request.Request(address, body), timeout=5) as answer:
        return int(answer.status)


def test_a_page_is_a_line_with_its_time_kind_and_body(url: str, pages: Path) -> None:
    assert post(f"{url}/pagerduty/v2/enqueue", b'{"event_action": "trigger"}') == 202
    line = json.loads(pages.read_text())
    assert line["kind"] == "pagerduty"
    assert line["body"] == {"event_action": "trigger"}
    assert abs((datetime.now(UTC) - datetime.fromisoformat(line["at"])).total_seconds()) < 60


def test_what_is_not_json_is_kept_as_text(url: str, pages: Path) -> None:
    post(f"{url}/slack", "Grüße".encode())
    assert json.loads(pages.read_text())["body"] == "Grüße"


def test_pages_at_the_same_time_are_whole_lines(url: str, pages: Path) -> None:
    threads = [threading.Thread(target=post, args=(f"{url}/webhook", b'{"n": 1}')) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([json.loads(line) for line in pages.read_text().splitlines()]) == 20


def test_what_is_too_large_is_refused(url: str, pages: Path) -> None:
    with pytest.raises((urllib.error.HTTPError, OSError)):
        post(f"{url}/webhook", b"x" * 1_500_000)
    assert pages.read_text() == ""
