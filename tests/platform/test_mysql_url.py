"""The address of a MySQL source: what it may say, and what is said of one that is wrong."""

from __future__ import annotations

import pytest

from console.platform.mysql_url import parse


def test_everything_that_it_may_say() -> None:
    found = parse("mysql://con%40sole:p%2Fss@db.example:3307/shop?ssl_mode=VERIFY_CA&ssl-ca=/etc/rds.pem")
    assert (found.user, found.password, found.where, found.database) == ("con@sole", "p/ss", "db.example:3307", "shop")
    assert (found.ssl_mode, found.ssl_ca) == ("verify-ca", "/etc/rds.pem")
    assert "p/ss" not in repr(found)


def test_what_is_left_out() -> None:
    found = parse("mysql://console@db.example")
    assert (found.port, found.database, found.ssl_mode) == (3306, "", "preferred")
    assert parse("mysql://console@db.example?ssl-ca=/etc/rds.pem").ssl_mode == "verify-identity"
    assert parse("mysql://console@/?socket=/run/mysqld.sock").where == "/run/mysqld.sock"


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("postgresql://db/shop", "mysql://"),
        ("mysql:///shop", "names no host"),
        ("mysql://db/?sslmode=require", "the parameter 'sslmode'"),
        ("mysql://db/?ssl-mode=sure", "another ssl-mode than disabled"),
        ("mysql://db/?ssl-mode=verify-ca", "without ssl-ca"),
    ],
)
def test_what_is_wrong_is_named(url: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse(url)
