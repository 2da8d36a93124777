"""An HTTP address and the login that may stand in it, parted before either is used.

What asks a server names its address in messages, logs and statuses, and so do the errors of HTTP libraries: only an
address that never had the login in it cannot tell it.
"""

from base64 import b64encode
from urllib.parse import unquote


def without_login(url: str) -> tuple[str, dict[str, str]]:
    """The address, and the header that stands for the `user:password@` in `url`; no header when there is none.

    All that stands before the last @ counts as login: a password whose reserved characters were not percent-encoded
    must not be shown in part.
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        scheme, rest = "", url
    login, _, host = rest.rpartition("@")
    address = f"{scheme}{separator}{host}"
    if not login:
        return address, {}
    user, _, password = login.partition(":")
    pair = f"{unquote(user)}:{unquote(password)}"
    return address, {"Authorization": f"Basic {b64encode(pair.encode()).decode()}"}
