"""nftables in this process: libnftables, the library behind nft(8).

Rules
1. What is run is one transaction: all of it or nothing.
2. No program is started and no shell is near; the text is made by pure code.
3. Errors are ``OSError`` in nft's own words, capped.
"""

import ctypes
import json
from typing import Any

_LIBRARY = "libnftables.so.1"
_JSON = 1 << 4  # NFT_CTX_OUTPUT_JSON (nftables/libnftables.h)
_NUMERIC = 0x780  # NFT_CTX_OUTPUT_NUMERIC_ALL: no names for numbers, no look-ups
_STATELESS = 1 << 2  # NFT_CTX_OUTPUT_STATELESS
_TERSE = 1 << 11  # NFT_CTX_OUTPUT_TERSE
_WORDS_MOST = 300


class NftError(OSError):
    """nftables refused; the text is its own."""


class Nft:
    """One context of libnftables. Raises ``OSError`` where the library is missing."""

    def __init__(self) -> None:
        self._lib = ctypes.CDLL(_LIBRARY)
        self._lib.nft_ctx_new.restype = ctypes.c_void_p
        self._lib.nft_ctx_get_output_buffer.restype = ctypes.c_char_p
        self._lib.nft_ctx_get_error_buffer.restype = ctypes.c_char_p
        self._context = ctypes.c_void_p(self._lib.nft_ctx_new(0))
        self._lib.nft_ctx_buffer_output(self._context)
        self._lib.nft_ctx_buffer_error(self._context)

    def run(self, text: str) -> None:
        """Run commands in nft's own language, as one transaction. Raises :class:`NftError`."""
        self._run(text, 0)

    def query(self, text: str) -> list[dict[str, Any]]:
        """The objects that a ``list`` command finds. Raises :class:`NftError`."""
        output = self._run(text, _JSON | _NUMERIC)
        found: list[dict[str, Any]] = json.loads(output)["nftables"] if output else []
        return found

    def text(self, command: str) -> str:
        """What a ``list`` command prints, without counters and elements."""
        return self._run(command, _STATELESS | _TERSE).decode(errors="replace")

    def _run(self, text: str, flags: int) -> bytes:
        self._lib.nft_ctx_output_set_flags(self._context, flags)
        code = self._lib.nft_run_cmd_from_buffer(self._context, text.encode())
        output: bytes = self._lib.nft_ctx_get_output_buffer(self._context) or b""
        words: bytes = self._lib.nft_ctx_get_error_buffer(self._context) or b""
        if code:
            raise NftError(" ".join(words.decode(errors="replace").split())[:_WORDS_MOST])
        return output

    def close(self) -> None:
        if self._context:
            self._lib.nft_ctx_free(self._context)
            self._context = ctypes.c_void_p()
