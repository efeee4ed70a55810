"""A small file is replaced whole, or not at all: temporary file, sync, rename, sync of the folder.

One writer at a time (the gateway holds its state folder), so the temporary name is fixed and what
a crash left there is overwritten.
"""

import os
from pathlib import Path


def replace_file(path: Path, text: str, mode: int) -> None:
    """Put ``text`` (UTF-8) in place of ``path``, with the permissions ``mode``. ``OSError``."""
    new = path.with_name(path.name + ".new")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
    with os.fdopen(os.open(new, flags, 0o600), "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), mode)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Make renames in ``path`` durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
