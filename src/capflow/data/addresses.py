"""Which addresses may be asked: the catalogue decides, never a server or a file that came from one."""

import ipaddress
from collections.abc import Collection
from urllib.parse import SplitResult, urlsplit

_SCHEMES = frozenset({"http", "https"})
_LOCAL_NAMES = (".localhost", ".local", ".internal", ".home.arpa")


def address_fault(url: str) -> str | None:
    """Why ``url`` is no plain address of a file on a web server; None when it is one."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        return f"{url} is no address ({error})"
    if parts.scheme not in _SCHEMES:
        return f"{url} is neither http:// nor https://"
    if not host or parts.username is not None:
        return f"{url} names no host, or a user"
    return None


def redirect_fault(source: str, target: str, hosts: Collection[str]) -> str | None:
    """Why a redirect must not be followed; None when it may be.

    Args:
        source: the address that was asked.
        target: where its server points to, absolute.
        hosts: the hosts, beside the one that was asked, that the catalogue allows.
    """
    if fault := address_fault(target):
        return f"a redirect that is refused: {fault}"
    asked, offered = urlsplit(source), urlsplit(target)
    if asked.scheme == "https" and offered.scheme == "http":
        return f"a redirect that is refused: from https to {target}"
    if _host(offered) in hosts:
        return None
    # Another port of the same machine is another server, but for the step from http to https.
    same = asked.hostname == offered.hostname
    upgraded = (asked.scheme, offered.scheme) == ("http", "https")
    if same and (upgraded or _port(asked) == _port(offered)):
        return None
    return f"a redirect that is refused: {_host(offered)} is not among the data set's `hosts`"


def foreign_fault(url: str, own: str) -> str | None:
    """Why an address that was read from a downloaded file is refused; None when it is harmless.

    Args:
        url: the address.
        own: the data set's own server. What lies there is allowed, even in a private network.
    """
    if fault := address_fault(url):
        return fault
    host = urlsplit(url).hostname or ""
    if host != urlsplit(own).hostname and _is_private(host):
        return f"{url} is in a private network"
    return None


def _is_private(host: str) -> bool:
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        # A name without a dot, or a number in one of the disguises that resolvers accept (0x7f.1).
        last = host.rstrip(".").rpartition(".")[2]
        return "." not in host or not last.isalpha() or host.rstrip(".").endswith(_LOCAL_NAMES)


def _host(parts: SplitResult) -> str:
    """The host, with its port where that is not the scheme's own."""
    usual = _port(parts) == _port(parts._replace(netloc=""))
    return str(parts.hostname) if usual else f"{parts.hostname}:{parts.port}"


def _port(parts: SplitResult) -> int:
    return parts.port or (443 if parts.scheme == "https" else 80)
