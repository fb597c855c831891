"""Reads addresses of the settings."""


def split_address(address: str, index: int) -> tuple[str, int]:
    """Host and port of an operators' address for process number ``index``; port 0 stays "any"."""
    host, _, port = address.rpartition(":")
    return host, int(port) + index if int(port) else 0
