"""TLS that fails: what is refused for good, and what may pass; row 14."""

import datetime
import ipaddress
import socket
import ssl
import threading
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from capflow.data import crew
from capflow.data.download import fetch
from tests.faults.server import Server, serving
from tests.faults.store import request, stored


def self_signed(folder: Path) -> ssl.SSLContext:
    """A server's context with a certificate that nobody vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .sign(key, hashes.SHA256())
    )
    pem = folder / "self-signed.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + private)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


def test_row_14_a_bad_certificate_is_refused(server: Server, tmp_path: Path) -> None:
    with serving(server.root, tls=self_signed(tmp_path)) as secure:
        (failure,) = fetch([request(f"{secure.url}/0.bin")], "tls")
        assert "certificate is not to be trusted" in failure.reason
        assert (secure.asked, server.asked, stored()) == ([], [], {})


def old(context: ssl.SSLContext) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")


def no_common_cipher(context: ssl.SSLContext) -> None:
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE-RSA-AES256-GCM-SHA384")  # the key is none of RSA


def wants_a_certificate(context: ssl.SSLContext) -> None:
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # TLS 1.3 says it after the handshake, or too late
    context.verify_mode = ssl.CERT_REQUIRED


def alert(number: ssl.AlertDescription) -> Callable[[ssl.SSLContext], None]:
    def configure(context: ssl.SSLContext) -> None:
        context.sni_callback = lambda *_: number

    return configure


@pytest.fixture
def trusted(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """The context of a server whose certificate is in order."""
    context = self_signed(tmp_path)
    mine = ssl.create_default_context(cafile=str(tmp_path / "self-signed.pem"))
    mine.check_hostname = False  # servers answer a name by an alert, and this certificate has none
    monkeypatch.setattr(aiohttp, "TCPConnector", partial(aiohttp.TCPConnector, ssl=mine))
    return context


def test_a_certificate_in_order_is_accepted(server: Server, trusted: ssl.SSLContext) -> None:
    with serving(server.root, tls=trusted) as secure:
        assert fetch([request(f"{secure.url}/0.bin")], "tls") == []


@pytest.mark.parametrize(
    ("configure", "problem"),
    [
        (old, "alert protocol version"),
        (no_common_cipher, "handshake failure"),
        (wants_a_certificate, "handshake failure"),
        (alert(ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME), "unrecognized name"),
        (alert(ssl.ALERT_DESCRIPTION_ACCESS_DENIED), "access denied"),
    ],
)
def test_row_14_no_common_tls_is_final(
    server: Server,
    trusted: ssl.SSLContext,
    monkeypatch: pytest.MonkeyPatch,
    configure: Callable[[ssl.SSLContext], None],
    problem: str,
) -> None:
    monkeypatch.setattr(crew._Patience, "pause", never)
    configure(trusted)
    with serving(server.root, tls=trusted) as secure:
        (failure,) = fetch([request(f"{secure.url.replace('127.0.0.1', 'localhost')}/0.bin")], "tls")
        assert failure.reason.startswith("it and this machine do not agree on TLS (")
        assert problem in failure.reason
        assert (secure.asked, stored()) == ([], {})


def never(_: object) -> float:
    raise AssertionError("nothing is to be tried again")


def test_row_14_what_speaks_no_tls_is_not_asked_again(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crew._Patience, "pause", never)
    (failure,) = fetch([request(f"{server.url.replace('http', 'https')}/0.bin")], "no tls")
    assert "do not agree on TLS" in failure.reason
    assert (server.asked, stored()) == ([], {})


def test_row_14_the_servers_own_trouble_may_pass(server: Server, trusted: ssl.SSLContext) -> None:
    failed = threading.Event()

    def once(*_: object) -> int | None:
        if failed.is_set():
            return None
        failed.set()
        return ssl.ALERT_DESCRIPTION_INTERNAL_ERROR

    trusted.sni_callback = once
    with serving(server.root, tls=trusted) as secure:
        assert fetch([request(f"{secure.url.replace('127.0.0.1', 'localhost')}/0.bin")], "tls") == []
    assert failed.is_set()


def test_row_14_a_handshake_that_breaks_off_is_tried_again(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crew, "ATTEMPTS", 2)
    greeted = []

    def hang_up(listener: socket.socket) -> None:
        for _ in range(2):
            connection, _ = listener.accept()
            greeted.append(connection.recv(1 << 16))
            connection.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=hang_up, args=(listener,))
        thread.start()
        (failure,) = fetch([request(f"https://127.0.0.1:{listener.getsockname()[1]}/0.bin")], "tls")
        thread.join(5)
    assert failure.reason.startswith("Cannot connect")
    assert len(greeted) == 2
