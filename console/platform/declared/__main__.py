"""`python -m console.platform.declared > docs/platform.schema.json`: the JSON Schema of `platform.yaml`."""

from __future__ import annotations

import json
import sys

from console.platform.declared.shape import json_schema

sys.stdout.write(json.dumps(json_schema(), indent=2) + "\n")
