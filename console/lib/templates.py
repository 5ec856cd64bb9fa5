"""The engine of every page: Jinja2, which compiles a template to Python.

`templates/**/*.html` are Jinja2's; only what extends Django's own admin (`templates/django`) is Django's. On a fleet's
page with 50 workers Django's nodes took 22 ms of CPU for the rows alone, and five for what stood around them; the same
compiled take a fifth. What a component may be called without, it says at its top. Any other name that is not given,
and a field that an object does not have, is an error in the tests and in debugging; in production it is logged and
reads `unknown`, because a page with one word missing is worth more at night than none.
"""

from __future__ import annotations

import logging
from datetime import UTC
from functools import cache
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.template import defaultfilters as filters
from django.template import engines
from django.template.backends.jinja2 import Jinja2
from django.templatetags.static import static
from django.urls import reverse
from django.utils import timezone
from django.utils.html import json_script
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from jinja2 import (
    ChainableUndefined,
    Environment,
    StrictUndefined,
    Template,
    Undefined,
    make_logging_undefined,
    pass_context,
)

ENGINE = "jinja2"
log = logging.getLogger(__name__)
_GIVEN_BY_A_REQUEST = {
    "request": None,
    "user": AnonymousUser(),
    "shell": None,
    "messages": (),
    "csrf_token": "",
    "csrf_input": "",
}
"""What the context of a page holds beside its own; so without one, e.g. while the database is away."""


class Unknown(ChainableUndefined):
    """A word that is missing, and whatever hangs on it: false, and `unknown` where it is printed."""

    def __str__(self) -> str:
        return "unknown"

    def __html__(self) -> str:
        return str(self)


def missing() -> type[Undefined]:
    """What stands for a word that is missing in production; the tests put an error there."""
    return make_logging_undefined(log, Unknown)


def environment(**options: Any) -> Environment:
    """What settings.TEMPLATES names. Filters that Jinja2 lacks are Django's own, by Django's names."""
    from console.lib import components, nav  # they draw with this engine

    fixed = {"autoescape": True, "undefined": StrictUndefined if settings.DEBUG else missing()}
    made = Environment(**(options | fixed))  # noqa: S701 - it does escape: `fixed`
    made.filters.update(
        capfirst=filters.capfirst,
        control=components.control,
        current=nav.current,
        date=lambda at, form: filters.date(at and at.astimezone(UTC), form),
        default_if_none=filters.default_if_none,
        duration=components.duration,
        floatformat=filters.floatformat,
        grouped=nav.grouped,
        initials=components.initials,
        json_script=json_script,
        number=components.number,
        pluralize=filters.pluralize,
        shortened=lambda value, length: Truncator(value).chars(length),
        size=components.size,
        slugify=filters.slugify,
        tabs=nav.tabs,
        tone=components.tone,
        urlencode=filters.urlencode,
        utc=lambda at, form: at.astimezone(UTC).strftime(form),
    )
    made.globals.update(
        _GIVEN_BY_A_REQUEST,
        age=components.age,
        bar=components.bar,
        clock=timezone.now,
        draw=draw,
        fleetbar=components.fleetbar,
        icon=components.icon,
        moment=components.moment,
        nav=nav.nav,
        now_ms=components.now_ms,
        page_now=pass_context(components.page_now),
        pill=components.pill,
        propbar=components.propbar,
        segs=components.segs,
        slotbar=components.slotbar,
        sparkline=components.sparkline,
        state=components.state,
        state_icon=components.state_icon,
        static=static
        if settings.DEBUG
        else cache(static),  # a page names twenty files, whose names are hashed for good
        strip=components.strip,
        url_for=url_for,
        when=components.when,
    )
    return made


def url_for(name: str, *args: object) -> str:
    """An address by its name. It takes 0.05 ms: ask once, not for each row."""
    return reverse(name, args=args)


def draw(name: str, /, **values: Any) -> SafeString:
    """A template with these values only."""
    template, given = _loaded(name) if settings.DEBUG else _kept(name)
    try:
        # As Template.render does, but for its copy of the globals, name by name through a ChainMap: half of the time.
        return SafeString("".join(template.root_render_func(template.new_context(given | values, shared=True))))
    except Exception:
        template.environment.handle_exception()


def _loaded(name: str) -> tuple[Template, dict[str, Any]]:
    """The template, and what each has beside its values."""
    engine = engines[ENGINE]
    assert isinstance(engine, Jinja2)
    template = engine.env.get_template(name)
    return template, dict(template.globals)


_kept = cache(_loaded)
"""A page draws a hundred small things: looking each up again costs as much as drawing it."""
