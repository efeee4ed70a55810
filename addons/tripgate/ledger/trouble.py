"""What goes wrong with Redis, in words that say what to do."""

from collections.abc import Iterator
from contextlib import contextmanager

import redis.exceptions as errors

from tripgate.ledger.address import Address
from tripgate.ledger.protocol import LedgerDown

_MOST = 160

_BY_CODE = {
    "MISCONF": "cannot write to its disk: free some space there, see its log",
    "DAMAGED": "holds a value that tripgate did not write ({text}): restore a backup",
    "WRONGTYPE": "holds a value that tripgate did not write: restore a backup",
    "WRONGPASS": "refuses the password: correct it in the URL",
    "CLUSTERDOWN": "is a cluster that is down: mend it",
    "BUSY": "is busy with another program's script: wait, or end that script",
    "NOREPLICAS": "has too few replicas to write: mend them",
}

_BY_CLASS: tuple[tuple[type[Exception], str], ...] = (
    (errors.OutOfMemoryError, "is out of memory: raise its maxmemory"),
    (errors.ReadOnlyError, "is a read-only replica: name its primary"),
    (errors.BusyLoadingError, "is still loading its data: wait a moment"),
    (errors.NoPermissionError, "does not permit this user to do that: give it more rights"),
    (errors.AuthenticationError, "refuses the password: correct it in the URL"),
    (errors.AuthorizationError, "refuses the user: correct it in the URL"),
    (errors.AskError, "is one node of a cluster and not the one that is needed: name that one"),
    (errors.MaxConnectionsError, "is asked too much at once: try again"),
    (errors.TimeoutError, "does not answer in time: see whether it is alive"),
    (errors.InvalidResponse, "is not there: something else answers at its address"),
)

GONE = "does not answer: start the gateway (tripgate up), or the Redis that it was told to use"


@contextmanager
def told(address: Address) -> Iterator[None]:
    """Every error of Redis as :class:`LedgerDown`, without secrets."""
    try:
        yield
    except (errors.RedisError, OSError, UnicodeError) as error:
        raise LedgerDown(f"Redis at {address} {explain(error)}") from error


def damaged(address: Address, what: str) -> LedgerDown:
    """A value that cannot be what was written."""
    return LedgerDown(f"Redis at {address} {_BY_CODE['DAMAGED'].format(text=what)}")


def explain(error: Exception) -> str:
    """The predicate of a sentence about a Redis that failed with ``error``."""
    if type(error) is errors.ConnectionError and isinstance(error.__cause__, errors.RedisError):
        error = error.__cause__  # the server answered, and refused the connection
    text = " ".join(str(error).split())[:_MOST]
    code, _, rest = text.partition(" ")
    if isinstance(error, errors.ResponseError) and code in _BY_CODE:
        return _BY_CODE[code].format(text=rest.partition(" ")[0])
    for kind, words in _BY_CLASS:
        if isinstance(error, kind):
            return words
    if isinstance(error, errors.ConnectionError | OSError):
        return GONE
    return f"does not do what is asked ({text}): it must be Redis 7.0 or Valkey, or later"
