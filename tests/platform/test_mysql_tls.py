"""Encryption to a real MySQL and MariaDB server: who is believed, and what is said of one who is not."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from console.platform import install
from console.platform.budget import Budget
from console.platform.mysql import Mysql
from console.platform.ports import PlatformError
from tests.mysql.certificates import Authority, authority
from tests.mysql.server import KINDS, NO_TLS, MysqlServer, server

HOST = "localhost"
VARIABLE = "the URL of source shop in platform.yaml"


@dataclass
class Secured:
    """A server with a certificate for localhost, by an authority of its own."""

    db: MysqlServer
    mine: Authority
    other: Authority
    folder: Path

    def url(self, query: str, host: str = HOST) -> str:
        return f"mysql://console:p%40ss@{host}:{self.db.port}/?{query}"

    def certify(self, by: Authority, host: str = HOST) -> None:
        """Give the running server another certificate."""
        for file in by.signs(self.folder / "next", host):
            shutil.copyfile(file, self.db.folder / file.name)
        self.db.run("FLUSH SSL" if self.db.mariadb else "ALTER INSTANCE RELOAD TLS")


@pytest.fixture(scope="module", params=KINDS)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    folder = tmp_path_factory.mktemp("certificates")
    with running(request.param, folder) as found:
        yield found


@contextmanager
def running(kind: str, folder: Path, until: datetime | None = None) -> Iterator[Secured]:
    mine, other = authority(folder, "mine"), authority(folder, "other")
    both = folder / "both.pem"  # MySQL takes no other certificate at run time than one that these have signed
    both.write_bytes(other.file.read_bytes() + mine.file.read_bytes())
    files = [both, *mine.signs(folder / "first", HOST, until=until)]
    options = ("--ssl-ca={folder}/both.pem", "--ssl-cert={folder}/server-cert.pem", "--ssl-key={folder}/server-key.pem")
    with server(kind, *options, put=files) as db:
        db.run("CREATE USER console@'127.0.0.%' IDENTIFIED BY 'p@ss'")
        yield Secured(db, mine, other, folder)


@pytest.fixture
def secured(made: Secured) -> Iterator[Secured]:
    yield made
    made.certify(made.mine)


def asked(url: str) -> str:
    """How the connection is encrypted; empty: not at all."""
    with Mysql("the source shop", url, VARIABLE).session(Budget("the source shop", 6)) as session:
        ((_, version),), _ = session.rows("SHOW SESSION STATUS LIKE 'Ssl_version'")
        return str(version)


def refusal(url: str) -> PlatformError:
    with pytest.raises(PlatformError) as raised:
        asked(url)
    assert VARIABLE in f"{raised.value.message} {raised.value.remedy}"
    assert "p@ss" not in f"{raised.value.message} {raised.value.remedy}"
    assert raised.value.permanent
    return raised.value


def test_the_right_authority_and_name_are_believed(secured: Secured) -> None:
    for query in (f"ssl-mode=verify-identity&ssl-ca={secured.mine.file}", f"ssl-ca={secured.mine.file}"):
        assert asked(secured.url(query)).startswith("TLSv1")


def test_a_bundle_of_many_authorities_serves_as_rds_gives_it(secured: Secured) -> None:
    assert asked(secured.url(f"ssl-ca={secured.folder / 'both.pem'}")).startswith("TLSv1")


@pytest.mark.parametrize("mode", ["verify-identity", "verify-ca"])
def test_a_certificate_of_another_authority_is_refused_and_the_field_is_named(secured: Secured, mode: str) -> None:
    told = refusal(secured.url(f"ssl-mode={mode}&ssl-ca={secured.other.file}"))
    assert told.code == "refused"
    assert f"is signed by none of those in {secured.other.file}" in told.message
    assert f"ssl-ca of {VARIABLE}" in told.remedy
    assert "global bundle" in told.remedy


def test_a_server_that_begins_to_show_another_authoritys_certificate_is_refused(secured: Secured) -> None:
    url = secured.url(f"ssl-ca={secured.mine.file}")
    assert asked(url)
    secured.certify(secured.other)
    assert "signed by none of those" in refusal(url).message


def test_another_name_is_refused_unless_names_are_not_compared(secured: Secured) -> None:
    by_address = secured.url(f"ssl-mode=verify-identity&ssl-ca={secured.mine.file}", host="127.0.0.1")
    assert "made out to another name than 127.0.0.1" in refusal(by_address).message
    secured.certify(secured.mine, host="db.example")
    told = refusal(secured.url(f"ssl-mode=verify-identity&ssl-ca={secured.mine.file}"))
    assert "made out to another name than localhost" in told.message
    assert "ssl-mode=verify-ca" in told.remedy
    assert asked(secured.url(f"ssl-mode=verify-ca&ssl-ca={secured.mine.file}"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_certificate_that_has_expired_is_refused_and_said_to_be(kind: str, tmp_path: Path) -> None:
    with running(kind, tmp_path, until=datetime.now(UTC) - timedelta(hours=1)) as secured:
        assert "has expired" in refusal(secured.url(f"ssl-ca={secured.mine.file}")).message
        assert asked(secured.url("ssl-mode=required"))


def test_a_file_of_authorities_that_can_not_be_used_is_named(secured: Secured, tmp_path: Path) -> None:
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("-----BEGIN NOTHING-----\n")
    cases = {
        tmp_path / "nowhere.pem": "where there is no file",
        nonsense: "no certificate that can be read",
        tmp_path: "can't be read",
    }
    for file, says in cases.items():
        told = refusal(secured.url(f"ssl-ca={file}"))
        assert told.code == "malformed"
        assert f"ssl-ca of {VARIABLE} is {file}, " in told.message
        assert says in told.message


def test_encryption_without_asking_who_it_is(secured: Secured) -> None:
    assert asked(secured.url("ssl-mode=required", host="127.0.0.1")).startswith("TLSv1")
    assert asked(secured.url("ssl-mode=preferred")).startswith("TLSv1")
    assert asked(secured.url("")).startswith("TLSv1")
    assert asked(secured.url("ssl-mode=disabled")) == ""


def test_a_server_that_wants_encryption_tells_one_who_does_not(secured: Secured) -> None:
    secured.db.run("SET GLOBAL require_secure_transport = ON")
    try:
        told = refusal(secured.url("ssl-mode=disabled"))
        said = told.remedy if secured.db.mariadb else told.message  # MariaDB says no more than that it refuses one
        assert "encrypted connections only" in said
        assert "ssl-mode=required" in told.remedy
        assert asked(secured.url("ssl-mode=required"))
    finally:
        secured.db.run("SET GLOBAL require_secure_transport = OFF")
    secured.db.run("CREATE USER strict@'127.0.0.%' IDENTIFIED BY 'p@ss' REQUIRE SSL")
    strict = secured.url("ssl-mode=disabled").replace("console", "strict")
    assert "encrypted connections only" in refusal(strict).remedy
    assert asked(strict.replace("disabled", "required"))
    secured.db.run("DROP USER strict@'127.0.0.%'")


def test_the_installer_tells_the_same(secured: Secured) -> None:
    url = secured.url(f"ssl-ca={secured.other.file}").replace("console:p%40ss", "root")
    with pytest.raises(install.Unreachable, match=r"signed by none of those .* ssl-ca of ADMIN_URL"):
        list(install.run("mysql", url, "ADMIN_URL", ["SELECT 1"]))


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_that_offers_no_encryption_is_refused_where_it_is_wanted_and_taken_where_not(
    kind: str, tmp_path: Path
) -> None:
    ca = authority(tmp_path, "mine").file
    with server(kind, *NO_TLS[kind]) as db:
        db.run("CREATE USER console@'127.0.0.%' IDENTIFIED BY 'p@ss'")
        made = Secured(db, authority(tmp_path, "mine"), authority(tmp_path, "other"), tmp_path)
        for mode in ("required", f"verify-ca&ssl-ca={ca}", f"verify-identity&ssl-ca={ca}"):
            told = refusal(made.url(f"ssl-mode={mode}"))
            assert f"offers no encryption, and ssl-mode={mode.split('&')[0]} wants it" in told.message
            assert "ssl-mode=disabled" in told.remedy
        for mode in ("preferred", "disabled"):  # MySQL's password goes by the server's RSA key then
            assert asked(made.url(f"ssl-mode={mode}")) == ""
