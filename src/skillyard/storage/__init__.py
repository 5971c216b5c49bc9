"""Objects by key below a root URL, in a local folder or on S3, behind one small interface."""

from skillyard.storage.base import ObjectInfo, Storage, open_storage

__all__ = ["ObjectInfo", "Storage", "open_storage"]
