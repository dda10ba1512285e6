"""A real MediaWiki on loopback, behind a small server that keeps the log and makes faults.

Debian's MediaWiki is unpacked, not installed (no Apache, no database server); PHP is installed
by apt where this user may. Everything else stays inside one folder.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import programs

from . import content

HERE = Path(__file__).resolve().parent
PHP = [f"php-{name}" for name in ("cli", "sqlite3", "gd", "intl", "mbstring", "xml", "curl")]
NEEDED = [*PHP, "librsvg2-bin"]
OF_THE_PHP_SERVER = ("connection", "date", "host", "transfer-encoding", "content-length")


class CannotInstallError(Exception):
    """The server's packages are not here and cannot be had here."""


@dataclass(frozen=True)
class Request:
    """One line of the server's log; times in seconds of the monotonic clock."""

    began: float
    ended: float
    path: str
    user_agent: str
    status: int

    @property
    def is_api(self) -> bool:
        return self.path.startswith("/w/api.php")


@dataclass
class Fault:
    """What happens to the next ``times`` requests whose path holds ``where``.

    ``status`` and ``headers`` replace the answer's, ``body`` replaces its bytes, ``keep`` cuts
    them off (the stated length stays), ``seconds`` delays it, ``reset`` drops the connection.
    """

    where: str
    times: int = 1
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    keep: int | None = None
    seconds: float = 0.0
    reset: bool = False


class Wiki:
    """The running server: ``url`` is its API's address, ``log`` every request it had."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.log: list[Request] = []
        self.faults: list[Fault] = []
        self._lock = threading.Lock()
        self._front = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._front.daemon_threads = True
        self.base = f"http://127.0.0.1:{self._front.server_port}"
        self.url = f"{self.base}/w/api.php"
        self.php_port = _free_port()
        self._php: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Build the wiki if it is not there, then serve. Raises `CannotInstallError`."""
        build(self.root)
        environment = {**os.environ, "WIKI_SERVER": self.base, "WIKI_ROOT": str(self.root)}
        router = str(HERE / "router.php")
        with (self.root / "php.log").open("wb") as log:
            self._php = subprocess.Popen(
                ["php", "-d", "display_errors=0", "-S", f"127.0.0.1:{self.php_port}", router],
                cwd=self.root,
                env={**environment, "PHP_CLI_SERVER_WORKERS": "2"},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        threading.Thread(target=self._front.serve_forever, daemon=True).start()
        _wait_for(self.php_port)

    def stop(self) -> None:
        """Stop the front and PHP's whole process group."""
        self._front.shutdown()
        self._front.server_close()
        if self._php is not None:
            os.killpg(self._php.pid, signal.SIGKILL)
            self._php.wait()

    def reset(self) -> None:
        """Forget the log, the faults and the lag."""
        self.log.clear()
        self.faults.clear()
        self.lag(0)

    def edit(self, title: str, text: str) -> None:
        """Save a new revision of a page."""
        _php(self.root, "edit.php", "--user=Admin", title, text=text)

    def lag(self, answers: int) -> None:
        """Let the next ``answers`` API answers say that the database lags."""
        (self.root / "lag").write_text(str(answers))

    def fault_for(self, path: str) -> Fault | None:
        """The first fault left for ``path``, counted down."""
        with self._lock:
            for fault in self.faults:
                if fault.times > 0 and fault.where in path:
                    fault.times -= 1
                    return fault
        return None

    @property
    def api_calls(self) -> list[Request]:
        return [request for request in self.log if request.is_api]

    @property
    def image_calls(self) -> list[Request]:
        return [request for request in self.log if not request.is_api]


def _handler(wiki: Wiki) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """Passes a request on to PHP, or does to it what a fault says."""

        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            began, status = time.monotonic(), 0
            fault = wiki.fault_for(self.path)
            try:
                status = self._answer(fault or Fault(""))
            finally:
                agent = self.headers.get("User-Agent", "")
                ended = time.monotonic()
                wiki.log.append(Request(began, ended, self.path, agent, status))

        def _answer(self, fault: Fault) -> int:
            time.sleep(fault.seconds)
            if fault.reset:
                # Zero linger makes close() send a reset in place of an orderly end.
                self.connection.setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                )
                self.connection.close()
                self.close_connection = True
                return 0
            if fault.status is not None:
                status, headers, body = fault.status, {"Content-Type": "text/plain"}, b"no\n"
            else:
                status, headers, body = self._from_php()
            body = body if fault.body is None else fault.body
            self.send_response(status)
            for name, value in {**headers, **fault.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: fault.keep])
            if fault.keep is not None:
                self.close_connection = True
            return status

        def _from_php(self) -> tuple[int, dict[str, str], bytes]:
            connection = http.client.HTTPConnection("127.0.0.1", wiki.php_port, timeout=60)
            connection.request("GET", self.path, headers=dict(self.headers))
            answer = connection.getresponse()
            body = answer.read()
            headers = {
                name: value
                for name, value in answer.getheaders()
                if name.lower() not in OF_THE_PHP_SERVER
            }
            connection.close()
            return answer.status, headers, body

        def log_message(self, *args: object) -> None:
            """The log is ``wiki.log``."""

    return Handler


def build(root: Path) -> None:
    """Make the wiki in ``root`` unless the same one is there. Raises `CannotInstallError`."""
    sources = sorted([*HERE.glob("*.php"), HERE / "content.py"])
    stamp = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()
    _install_php()
    if (root / "stamp").is_file() and (root / "stamp").read_text() == stamp:
        return
    for old in ("w", "db", "content", "stamp"):
        path = root / old
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    (root / "db").mkdir(parents=True)
    _unpack(root)
    _php(
        root,
        *("install.php", "--dbtype=sqlite", f"--dbpath={root / 'db'}", "--dbname=wiki"),
        *("--server=http://127.0.0.1", "--scriptpath=/w", "--lang=en", "--skins=Vector"),
        *("--pass=Only-on-loopback-1", "--extensions=PageImages", "TestWiki", "Admin"),
    )
    with (root / "w/LocalSettings.php").open("a", encoding="utf-8") as settings:
        settings.write((HERE / "settings.php").read_text(encoding="utf-8"))
    content.make(root / "content")
    # Images come before pages: a page's lead image is chosen by its size.
    images = str(root / "content/images")
    _php(root, "importImages.php", "--user=Admin", "--comment-ext=txt", images)
    pages = str(root / "content/pages.xml")
    _php(root, "importDump.php", "--no-local-users", "--username-prefix=imp", pages)
    _php(root, "runJobs.php")
    (root / "stamp").write_text(stamp)


def what_is_missing() -> str:
    """Why PHP cannot be had here, or nothing where it is here or may be installed."""
    here = shutil.which("php") and shutil.which("rsvg-convert")
    if here or (shutil.which("apt-get") and os.geteuid() == 0):
        return ""
    return f"a MediaWiki server needs `apt-get install {' '.join(NEEDED)}`"


def _install_php() -> None:
    if shutil.which("php") and shutil.which("rsvg-convert"):
        return
    if what_is_missing():
        raise CannotInstallError(what_is_missing())
    programs.install(NEEDED)


def _unpack(root: Path) -> None:
    """Unpack MediaWiki without installing it: its dependencies would bring Apache."""
    packages = root / "packages"
    packages.mkdir(exist_ok=True)
    if not list(packages.glob("mediawiki_*.deb")):
        if not shutil.which("apt-get"):
            raise CannotInstallError("a MediaWiki server needs Debian's package mediawiki")
        _run("apt-get", "-qq", "download", "mediawiki", "mediawiki-classes", folder=packages)
    for package in packages.glob("*.deb"):
        _run("dpkg-deb", "-x", str(package), str(root / "unpacked"))
    wiki = root / "w"
    shutil.move(root / "unpacked/usr/share/mediawiki", wiki)
    shutil.rmtree(root / "unpacked")
    for link in ("LocalSettings.php", "config", "extensions", "images"):
        path = wiki / link
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(True)
    (wiki / "extensions").symlink_to("extensions-core")
    (wiki / "images").mkdir()


def _php(root: Path, script: str, *arguments: str, text: str | None = None) -> None:
    environment = {**os.environ, "WIKI_SERVER": "http://127.0.0.1", "WIKI_ROOT": str(root)}
    _run(
        "php", str(root / "w/maintenance" / script), *arguments, environment=environment, text=text
    )


def _run(
    *command: str,
    folder: Path | None = None,
    environment: dict[str, str] | None = None,
    text: str | None = None,
) -> None:
    environment = {**(environment or os.environ), "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise CannotInstallError(
            f"`{' '.join(command)}` failed: {(done.stdout + done.stderr)[-500:]}"
        )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(port: int, seconds: float = 20.0) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise CannotInstallError(f"PHP did not listen on port {port} within {seconds:.0f} s")
