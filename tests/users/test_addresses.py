"""The address that tries are counted by: not one that the client may choose."""

from typing import Any

import pytest

from apps.users.addresses import address_of

SOCKET = "192.0.2.1"


@pytest.mark.parametrize(
    ("proxies", "forwarded", "address"),
    [
        (0, "198.51.100.7", SOCKET),
        (1, "198.51.100.7", "198.51.100.7"),
        (1, "6.6.6.6, 198.51.100.7", "198.51.100.7"),
        (2, "6.6.6.6, 198.51.100.7, 192.0.2.9", "198.51.100.7"),
        (2, "198.51.100.7", SOCKET),
        (1, "", SOCKET),
        (1, "6.6.6.6, unknown", SOCKET),
        (1, "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        (1, "2001:db8:1:2::9", "2001:db8:1:2::/64"),
        (1, "::ffff:198.51.100.7", "198.51.100.7"),
    ],
)
def test_address_is_what_the_last_of_our_proxies_heard(
    settings: Any, proxies: int, forwarded: str, address: str
) -> None:
    settings.PROXIES = proxies
    meta = {"REMOTE_ADDR": SOCKET} | ({"HTTP_X_FORWARDED_FOR": forwarded} if forwarded else {})

    assert address_of(meta) == address


@pytest.mark.parametrize("meta", [{}, {"REMOTE_ADDR": ""}, {"REMOTE_ADDR": "unix"}])
def test_there_is_none_where_no_address_is_known(meta: dict[str, str]) -> None:
    assert address_of(meta) == ""
