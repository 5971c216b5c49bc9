"""Office documents that are encrypted as a whole, in the clear again when one of the passwords is theirs."""

from collections.abc import Iterable
from io import BytesIO

from skillyard.documents.result import Refused
from skillyard.documents.sniff import is_encrypted_office


def decrypt_office(data: bytes, passwords: Iterable[str]) -> bytes:
    """Return the document's bytes in the clear; anything but an encrypted Office document as it is.

    ``Refused`` (password_required) when no password fits.
    """
    if not is_encrypted_office(data):
        return data
    for password in passwords:
        try:
            return _decrypt(data, password)
        except (MemoryError, ImportError):
            raise
        except Exception:  # the library raises all sorts for a wrong password and for damage alike
            continue
    raise Refused("password_required", "an encrypted Office document")


def _decrypt(data: bytes, password: str) -> bytes:
    from msoffcrypto import OfficeFile  # type: ignore[import-untyped]

    document, plain = OfficeFile(BytesIO(data)), BytesIO()
    document.load_key(password=password, verify_password=True)
    document.decrypt(plain)
    return plain.getvalue()
