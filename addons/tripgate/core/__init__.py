"""Pure rules: no clock, environment, sockets, asyncio, Redis or mitmproxy in here."""
