"""Live pages: what changed is told to the open tabs at once, as a topic's name and a number, never its content.

poll saves → `publish("fleets")` → after commit, Redis → one subscription per web process → every tab that shows it
(`GET /live/events?topics=fleets,scheduler`) → the tab asks for its page again.
"""

from console.live.changes import publish

__all__ = ["publish"]
