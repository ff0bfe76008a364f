"""Nothing that a test does leaves this machine: no real Twilio, no real Azure."""

import os
import sys
from ipaddress import ip_address

from shared.config import Settings


def stay() -> None:
    """From here on: no .env, no settings of the developer's, and no connection but to loopback.

    An audit hook sees every socket of this process and cannot be taken off; the processes that tests start
    get the same environment.
    """
    os.environ["PYTHON_DOTENV_DISABLED"] = "1"
    for name in Settings.names():
        os.environ.pop(name, None)
    sys.addaudithook(_refuse_the_rest)


def _refuse_the_rest(event: str, arguments: tuple[object, ...]) -> None:
    if event != "socket.connect":
        return
    address = arguments[1]
    # A Unix socket's address is a path.
    if not isinstance(address, tuple) or _is_here(str(address[0])):
        return
    raise AssertionError(f"a test wanted to connect to {address[0]}: tests stay on this machine")


def _is_here(host: str) -> bool:
    try:
        return ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host == "localhost"
