"""The portal: pages that a person opens on a phone. Never imports mitmproxy."""
