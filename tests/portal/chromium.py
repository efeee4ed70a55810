"""Debian's Chromium, headless, at the width of a phone."""

import asyncio
import shutil
import tempfile
from pathlib import Path

PROGRAM = shutil.which("chromium")
PHONE = (390, 844)
PATIENCE_S = 60
_FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-first-run", "--hide-scrollbars",
    "--no-proxy-server", "--lang=en", "--accept-lang=en", "--enable-logging=stderr",
)  # fmt: skip


async def dom(url: str) -> tuple[str, str]:
    """The document as Chromium has it once loaded, and what it logged."""
    return await _run(url, "--dump-dom")


async def picture(
    url: str, path: Path, *, size: tuple[int, int] = PHONE, dark: bool = False, scale: float = 1
) -> str:
    """Write a PNG of the page to ``path``; what Chromium logged."""
    scheme = ("--blink-settings=preferredColorScheme=0",) if dark else ()
    shot = (f"--screenshot={path}", f"--force-device-scale-factor={scale}")
    return (await _run(url, *shot, *scheme, size=size))[1]


async def _run(url: str, *flags: str, size: tuple[int, int] = PHONE) -> tuple[str, str]:
    assert PROGRAM
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = await asyncio.create_subprocess_exec(
            *(PROGRAM, *_FLAGS, f"--user-data-dir={profile}", "--window-size={},{}".format(*size)),
            *(*flags, url),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(PATIENCE_S):
                out, err = await process.communicate()
        except BaseException:
            process.kill()
            await process.wait()
            raise
    return out.decode(), err.decode()
