"""The command line: parse, ask the ledger or the gateway, print.

Rules
1. ``tripgate.cli.app.create_app`` makes the whole program; what runs the gateway is handed in, so
   that nothing here imports mitmproxy.
2. A command that reads makes one *document* (what ``--json`` prints) and draws its table from that
   same document. There is no second source of figures.
3. A command that changes settings applies one pure function of ``core.book`` by compare-and-set
   and is audited as ``cli:USER``.
4. Everything written for people passes ``output.clean``: no control character reaches a terminal.
5. An error is one line on stderr that says what to do. Exit codes: 0 done, 1 refused or failed,
   2 usage, 3 no gateway or no Redis.
6. Redis, Rich and the settings are imported by the command that needs them: ``--help`` and
   completion stay quick on a Pi.
"""
