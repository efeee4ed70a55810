"""The peers that the gateway is measured against, set up as their own documents say.

HAProxy: TCP mode with splice, one thread. mitmdump: transparent mode, everything ignored (bytes are
passed through, TLS is not touched). Each runs in the gateway's namespace in the gateway's place.
"""

from pathlib import Path

HAPROXY = """\
global
    nbthread 1
    maxconn 4000
defaults
    mode tcp
    option splice-auto
    timeout connect 10s
    timeout client 600s
    timeout server 600s
frontend in
    bind {listen}
    default_backend out
backend out
    server origin {origin}
"""


def haproxy(folder: Path, listen: str, origin: str) -> list[str]:
    """The command of an HAProxy that takes ``listen`` to ``origin`` (each ``HOST:PORT``)."""
    path = folder / "haproxy.cfg"
    path.write_text(HAPROXY.format(listen=listen, origin=origin))
    return ["haproxy", "-q", "-f", str(path), "-db"]


def mitmdump(program: Path, folder: Path, port: int) -> list[str]:
    """The command of a stock mitmdump in transparent mode."""
    return [
        str(program), "--quiet", "--mode", f"transparent@{port}", "--ignore-hosts", ".*",
        "--set", f"confdir={folder}", "--set", "block_global=false",
    ]  # fmt: skip


def redirect_rules(lan: str, port: int) -> str:
    """nftables: what comes in on ``lan`` by TCP goes to mitmdump's port."""
    return (
        "table ip bench {\nchain pre {\ntype nat hook prerouting priority dstnat;\n"
        f'iifname "{lan}" meta l4proto tcp redirect to :{port}\n}}\n}}\n'
    )
