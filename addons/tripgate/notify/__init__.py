"""Messages to the owner: a webhook, ntfy or Telegram, by URL.

A library for it (Apprise) was tried: it and what it needs are ten packages and 16 MB, half a second
of start and 35 MB of memory on a PC, and it connects wherever a name leads. Three kinds of POST are
less than what would be needed around it.
"""
