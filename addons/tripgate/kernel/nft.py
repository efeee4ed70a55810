"""nftables, through its own library (``libnftables.so.1``, which Debian's ``nft`` is made of).

Rules
1. A context belongs to the network namespace of the thread that made it.
2. One command at a time: the library is not safe for threads.
3. What the library says is a line of an error's message, never shown raw in full.
"""

import contextlib
import ctypes
import json
import threading
from ctypes import c_char_p, c_int, c_uint, c_uint32, c_void_p
from typing import Any, cast

from tripgate.core.setelements import Element
from tripgate.kernel.nftasked import Asked

LIBRARY = "libnftables.so.1"
_STATELESS, _JSON, _TERSE = 1 << 2, 1 << 4, 1 << 11
_SAID_MOST = 300


class NftError(OSError):
    """nftables refused, or is not there. One line."""


class Nft:
    """A context of libnftables."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._library = _load()
        self._context = self._library.nft_ctx_new(0)
        if not self._context:
            raise NftError("nftables cannot be used: no memory for its context")
        self._library.nft_ctx_buffer_output(self._context)
        self._library.nft_ctx_buffer_error(self._context)
        self._asked = Asked()

    def close(self) -> None:
        """Free the context; closing twice is fine."""
        with self._lock:
            if self._context:
                self._library.nft_ctx_free(self._context)
                self._context = None
                self._asked.close()

    def run(self, text: str) -> None:
        """Run the commands of ``text`` as one transaction: all or none (``NftError``)."""
        self._command(text, 0)

    def query(self, command: str) -> list[dict[str, Any]]:
        """The objects that one ``list`` command names. One command: nftables 1.0.6 fills its
        cache for the last of several only. ``NftError``."""
        said = self._command(command, _JSON)
        try:
            return cast("list[dict[str, Any]]", json.loads(said)["nftables"])
        except (ValueError, KeyError, TypeError) as error:
            raise NftError(f"nftables answered {said[:_SAID_MOST]!r} to {command!r}") from error

    def generation(self) -> int:
        """The ruleset's generation (:mod:`tripgate.kernel.nftasked`); 0: it is not told."""
        with self._lock, contextlib.suppress(OSError):
            return self._asked.generation()
        return 0

    def elements(self, table: str, name: str) -> list[Element]:
        """What is in the set, or map, ``name`` of ``table``. ``NftError``."""
        with self._lock:
            try:
                return self._asked.elements(table, name)
            except OSError as error:
                raise NftError(f"nftables refused: {error.strerror or error}") from error

    def rules(self, table: str) -> str:
        """The text of ``table`` without elements and counts. ``NftError`` if there is none."""
        return self._command(f"list table {table}", _STATELESS | _TERSE)

    def _command(self, text: str, flags: int) -> str:
        with self._lock:
            if not self._context:
                raise NftError("nftables cannot be used: its context is closed")
            self._library.nft_ctx_output_set_flags(self._context, flags)
            failed = self._library.nft_run_cmd_from_buffer(self._context, text.encode())
            said = self._library.nft_ctx_get_output_buffer(self._context)
            complaint = self._library.nft_ctx_get_error_buffer(self._context)
        if failed:
            raise NftError(f"nftables refused: {_one_line(complaint)}")
        return cast("bytes", said).decode()


def _one_line(complaint: bytes) -> str:
    lines = complaint.decode(errors="replace").splitlines()
    return " / ".join(line.strip() for line in lines[:2])[:_SAID_MOST] or "it does not say why"


def _load() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(LIBRARY)
    except OSError as error:
        raise NftError(f"{LIBRARY} is not there: apt-get install nftables") from error
    types: dict[str, tuple[Any, list[Any]]] = {
        "nft_ctx_new": (c_void_p, [c_uint32]),
        "nft_ctx_free": (None, [c_void_p]),
        "nft_ctx_buffer_output": (c_int, [c_void_p]),
        "nft_ctx_buffer_error": (c_int, [c_void_p]),
        "nft_ctx_get_output_buffer": (c_char_p, [c_void_p]),
        "nft_ctx_get_error_buffer": (c_char_p, [c_void_p]),
        # 1.1 returns the flags from before; 1.0 nothing. Neither is looked at.
        "nft_ctx_output_set_flags": (None, [c_void_p, c_uint]),
        "nft_run_cmd_from_buffer": (c_int, [c_void_p, c_char_p]),
    }
    for name, (result, arguments) in types.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library
