"""The ASGI application (uvicorn)."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
django.setup(set_prefix=False)

from console.checks import refuse_to_start_misconfigured  # noqa: E402 - needs the apps
from console.freshness.longpoll import LongPoll  # noqa: E402
from console.lib.asgi import Threaded  # noqa: E402
from console.live.events import Events  # noqa: E402

application = Events(LongPoll(Threaded()))

refuse_to_start_misconfigured()
