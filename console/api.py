"""The JSON API: one router per app (CONTRACT: "JSON API")."""

from __future__ import annotations

from ninja import NinjaAPI

api = NinjaAPI(title="Quarterdeck", version="1", urls_namespace="api")
