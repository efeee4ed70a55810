"""The mitmproxy side: handlers, metered streams, the lease desk."""
