"""Where a request comes from, as far as that can be known and counted by."""

from collections.abc import Mapping
from ipaddress import IPv6Address, ip_address, ip_network

from django.conf import settings

IPV6_PREFIX = 64  # what one customer gets: whoever has one of these addresses has all of them


def address_of(meta: Mapping[str, str]) -> str:
    """The address of a request with these headers; of IPv6 the network, as in 2001:db8::/64.

    Each proxy of ours adds whom it heard to the end of X-Forwarded-For, and what stands before
    that is only said by the client. Where the header has too few entries, or no address, it is
    the address that is connected to us. Empty where there is none, as on a unix socket.
    """
    proxies = settings.PROXIES
    said = meta.get("HTTP_X_FORWARDED_FOR", "").split(",") if proxies else []
    heard = _counted_by(said[-proxies].strip()) if len(said) >= proxies > 0 else ""
    return heard or _counted_by(meta.get("REMOTE_ADDR", ""))


def _counted_by(text: str) -> str:
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is None:
            return str(ip_network((address, IPV6_PREFIX), strict=False))
        address = address.ipv4_mapped
    return str(address)
