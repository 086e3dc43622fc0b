"""Addresses of those who connect or send."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network
#: The part of an IPv6 address that tells networks apart; whoever has one has all addresses in it [bits].
_NETWORK_BITS = 64


def address_of(host: str) -> IPv4Address | IPv6Address | None:
    """An address as a socket tells it; an IPv4 address written as IPv6 is that address. None for what is none."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def source_of(host: str) -> str:
    """What senders are told apart by: an IPv4 address, or the network of an IPv6 one."""
    address = address_of(host)
    if isinstance(address, IPv6Address):
        return f"{int(address) >> (128 - _NETWORK_BITS):x}::"
    return host if address is None else str(address)


def networks_in(text: str) -> tuple[Network, ...]:
    """
    Networks, or single addresses, with commas between them.

    Raises:
        ValueError: one of them is none.
    """
    return tuple(ip_network(part.strip(), strict=False) for part in text.split(",") if part.strip())
