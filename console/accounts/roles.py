"""Three roles, each holding the ones before it. Pure."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """viewer reads; operator changes the platform; admin also manages users, tokens and declared configuration."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"

    def covers(self, other: Role) -> bool:
        """May somebody with this role do what `other` may?"""
        return _RANK[self] >= _RANK[other]


MEANING = {
    Role.VIEWER: "reads",
    Role.OPERATOR: "changes the platform",
    Role.ADMIN: "manages users, tokens and declared configuration",
}
_RANK = {role: rank for rank, role in enumerate(Role)}


def lesser(one: Role, other: Role) -> Role:
    """The weaker of two roles."""
    return one if other.covers(one) else other


def needs(role: Role) -> str:
    """`This needs the role operator (or admin).`"""
    stronger = [str(other) for other in Role if other is not role and other.covers(role)]
    return f"This needs the role {role}" + (f" (or {' or '.join(stronger)})." if stronger else ".")
