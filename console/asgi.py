"""The ASGI application (uvicorn)."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
django = get_asgi_application()

from console.checks import refuse_to_start_misconfigured  # noqa: E402 - needs the apps
from console.freshness.longpoll import LongPoll  # noqa: E402
from console.live.events import Events  # noqa: E402

application = Events(LongPoll(django))

refuse_to_start_misconfigured()
