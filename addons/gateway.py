"""tripgate's addons for a stock mitmproxy: ``mitmdump -s addons/gateway.py --mode regular``.

The same state folder, ledger and rules as ``tripgate up``; no portal. Until the ledger is there no
byte passes. Settings come from ``TRIPGATE_*`` variables and the TOML file.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from tripgate.script import addons

__all__ = ["addons"]
