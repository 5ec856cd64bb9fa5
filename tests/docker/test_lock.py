"""docker/console/requirements.lock holds what requirements.txt says, and every line of it is a version."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def pins(lines: list[str]) -> dict[str, str]:
    found = {}
    for line in lines:
        if line.strip() and not line.startswith("#"):
            pin = re.fullmatch(r"([A-Za-z0-9_.-]+)(?:\[[a-z,]+\])?==(\S+)(?: ; .+)?", line.strip())
            assert pin, f"not pinned: {line}"
            found[pin[1].lower().replace("_", "-")] = pin[2]
    return found


def test_the_image_installs_what_the_tests_ran_with() -> None:
    wanted = pins((ROOT / "requirements.txt").read_text().partition("# tests\n")[0].splitlines())
    locked = pins((ROOT / "docker/console/requirements.lock").read_text().splitlines())
    differ = {name: locked.get(name) for name, version in wanted.items() if locked.get(name) != version}
    assert differ == {}, "run docker/lock"
    assert len(wanted) > 10


def test_the_image_holds_nothing_that_only_tests_need() -> None:
    locked = pins((ROOT / "docker/console/requirements.lock").read_text().splitlines())
    assert not {"pytest", "hypothesis", "selenium", "moto"} & set(locked)
