"""A copy of the checkout's bootstrap, and a machine with only the tools that it may count on."""

import subprocess
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
# What is on every Debian: bash and the essential packages.
TOOLS = (
    *("bash", "cat", "chmod", "cut", "dirname", "env", "flock", "grep", "head", "id", "mkdir"),
    *("mv", "readlink", "rm", "sed", "sh", "sha256sum", "sort", "sync", "basename", "mktemp"),
)


@dataclass
class Machine:
    """A folder of programs that is the whole PATH, a home, a checkout with a space in its name."""

    root: Path
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def checkout(self) -> Path:
        return self.root / "my checkout"

    @property
    def bin(self) -> Path:
        return self.root / "bin"

    def program(self, name: str, script: str, folder: Path | None = None) -> Path:
        path = (folder or self.bin) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return path

    def run(
        self, *command: str | Path, cwd: Path | None = None, timeout: float = 60
    ) -> subprocess.CompletedProcess[str]:
        own = {"PATH": str(self.bin), "HOME": str(self.root / "home"), "PYENV_ROOT": "/nonexistent"}
        return subprocess.run(
            command,
            cwd=cwd or self.root,
            env={**own, **self.environment},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def up(self, *options: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        return self.run(self.checkout / "deploy/up", *options, cwd=cwd)

    def lib(self, script: str) -> subprocess.CompletedProcess[str]:
        """Run ``script`` with the functions of deploy/lib.sh."""
        source = f'set -euo pipefail; root="{self.checkout}"; . "$root/deploy/lib.sh"'
        return self.run("bash", "-c", f'{source}; POLICY="$HOME/policy-rc.d"; {script}')
