"""Which keys are allowed. Pure.

Invariant: an allowed key names one place below its store's root, the same in S3 and on a disk, however it is read. What
is not plainly such a name is refused, not mended: a mended key could be somebody else's.
"""

from __future__ import annotations

import unicodedata
from urllib.parse import quote

RESERVED = ".quarterdeck"
"""The local twin keeps its own things in this folder."""
LONGEST_KEY = 900
"""Bytes. S3 ends at 1024, with the store's prefix."""
LONGEST_SEGMENT = 200
"""Bytes. File systems end at 255."""
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode categories that don't show: controls, direction marks, surrogates, unassigned, line separators."""


class BadKey(ValueError):
    """A key that is refused. The message says which and why."""


def clean(key: str) -> str:
    """The key itself, where it is allowed: segments joined by `/`. Raises BadKey."""
    if not isinstance(key, str):
        raise BadKey(f"A key is text, not {type(key).__name__}.")
    why = _fault(key)
    if why:
        raise BadKey(f"The key {key[:120]!r} {why}.")
    return key


def clean_prefix(prefix: str) -> str:
    """The beginning of keys, which may end anywhere in them; "" is all. Raises BadKey."""
    if prefix in {"", "/"}:
        if prefix:
            raise BadKey("The prefix '/' begins with a slash: leave it out.")
        return prefix
    clean(prefix[:-1] if prefix.endswith("/") else prefix)
    return prefix


def segment(text: str) -> str:
    """Any text as one segment of a key: different texts give different segments. Raises BadKey where it is too long."""
    safe = quote(unicodedata.normalize("NFC", text), safe="+:=@ ,")
    safe = safe.replace(".", "%2E") if set(safe) == {"."} or safe.startswith(RESERVED) else safe
    if not safe:
        raise BadKey("A part of the key is empty.")
    if safe != safe.strip():
        safe = safe.replace(" ", "%20")
    return clean(safe)


def _fault(key: str) -> str:
    """Why the key is refused; "" where it is not."""
    if not key:
        return "is empty"
    if "\0" in key:
        return "holds a NUL"
    if any(unicodedata.category(character) in _HIDDEN for character in key):
        return "holds a character that doesn't show"
    if len(key.encode()) > LONGEST_KEY:
        return f"is longer than {LONGEST_KEY} bytes"
    if unicodedata.normalize("NFC", key) != key:
        return "is not in the normal form NFC: two spellings would be two files"
    if "\\" in key:
        return "holds a backslash"
    parts = key.split("/")
    if parts[0] == RESERVED:
        return f"lies in {RESERVED}, which the local twin keeps for itself"
    return next((why for part in parts if (why := _segment_fault(part))), "")


def _segment_fault(part: str) -> str:
    if not part:
        return "begins or ends with a slash, or holds two in a row"
    looks_like = unicodedata.normalize("NFKC", part)  # ． and ／ and ＼ become . and / and \
    if looks_like.strip() in {".", ".."}:
        return "leads out of its folder (. or ..)"
    if "/" in looks_like or "\\" in looks_like:
        return "holds a character that reads as a slash"
    if part != part.strip():
        return "has a space at the end of a segment"
    if len(part.encode()) > LONGEST_SEGMENT:
        return f"has a segment longer than {LONGEST_SEGMENT} bytes"
    return ""
