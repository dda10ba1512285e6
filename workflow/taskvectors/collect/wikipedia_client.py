"""Speaking to Wikipedia's servers the way they ask for: slowly, by name, one at a time.

Every request of the stage goes through `Client`; nothing here depends on the caller's care.
"""

import ipaddress
import json
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from urllib3.exceptions import InvalidHeader
from urllib3.util import Retry

from taskvectors.base.errors import UserError
from taskvectors.base.schemas import first_fault
from taskvectors.collect.infobox import plain_text
from taskvectors.study.contact import check_contact

log = logging.getLogger("taskvectors")

API_URL = "https://en.wikipedia.org/w/api.php"
API_HOSTS = ("en.wikipedia.org",)
IMAGE_HOSTS = ("upload.wikimedia.org", "thumb.wikimedia.org")
MAX_LAG = 5  # seconds of database lag above which the servers ask clients to wait
SLOW_ANSWER, SLOW_PAUSE = 1.0, 5.0  # seconds: after an API answer this slow, wait this long
LONGEST_WAIT = 600.0  # seconds; a server that asks for more is left alone until a later run
TIMEOUT = (10.0, 60.0)  # seconds to connect, and between two blocks of an answer
TRIES = 6  # of one request
REDIRECTS = 3
FORBIDDEN_IN_A_ROW = 3
IMAGE_BYTES = 10_000_000  # a 330-pixel thumbnail has some ten thousand
API_BYTES = 50_000_000
TRANSIENT = (429, 500, 502, 503, 504)
PASSING = ("maxlag", "ratelimited", "readonly", "internal_api_error")  # how error codes begin
OF_ONE_PAGE = ("missingtitle", "invalidtitle", "pagecannotexist", "nosuchrevid", "permissiondenied")
WORDS = 200  # characters of a server's own words in a message


class RefusedError(Exception):
    """One image or page cannot be had; the message is the reason, without the name."""


class TransientError(RefusedError):
    """It cannot be had now; a later run may have more luck.

    ``seconds`` is how long the server asks to wait, if it says so.
    """

    def __init__(self, reason: str, seconds: float | None = None) -> None:
        super().__init__(reason)
        self.seconds = seconds


class PageError(RefusedError):
    """The API says why it has nothing of the one page that was asked about."""


@dataclass(frozen=True)
class Politeness:
    """Who asks, where, and how fast (``rate``: requests a second; pauses in seconds)."""

    contact: str
    api_url: str = API_URL
    rate: float = 1.0
    first_pause: float = 2.0
    slow_pause: float = SLOW_PAUSE

    def __post_init__(self) -> None:
        """Raise `UserError` for a missing contact, a strange server or an impolite rate."""
        check_contact(self.contact)
        if not self.allows(self.api_url, API_HOSTS):
            raise UserError(
                f"the setting wikipedia.api_url is {self.api_url!r}, which is neither {API_URL} "
                "nor a server on this machine; take it out of the configuration."
            )
        if not 0 < self.rate <= 3 and not is_loopback(self.api_url):
            raise UserError(
                f"the setting wikipedia.rate is {self.rate}; Wikipedia's limit leaves room for "
                "at most 3 requests a second, so set it between 0 and 3."
            )

    @property
    def user_agent(self) -> str:
        """Tool, contact and library, as the User-Agent policy asks for."""
        contact = self.contact.encode("ascii", "replace").decode()
        return f"taskvectors-collect/0.1 ({contact}) python-requests/{requests.__version__}"

    def allows(self, url: str, hosts: tuple[str, ...]) -> bool:
        """Whether ``url`` may be asked: one of ``hosts``, or the API's own loopback server."""
        return _is_https(url, hosts) or (
            is_loopback(url) and urlsplit(url).netloc == urlsplit(self.api_url).netloc
        )


def is_loopback(url: str) -> bool:
    """Whether ``url`` is plain HTTP to a numeric loopback address, as the tests' server has."""
    try:
        parts = urlsplit(url)
        return parts.scheme == "http" and ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return False


def _is_https(url: str, hosts: tuple[str, ...]) -> bool:
    try:
        parts = urlsplit(url)
        standard = parts.port in (None, 443) and "@" not in parts.netloc
    except ValueError:
        return False
    return parts.scheme == "https" and parts.hostname in hosts and standard


@dataclass(frozen=True)
class Reply:
    """One complete answer of a server."""

    url: str
    status: int
    headers: requests.structures.CaseInsensitiveDict[str]
    body: bytes
    seconds: float


class Client:
    """One polite client: its requests follow each other, never faster than the rate."""

    def __init__(self, politeness: Politeness) -> None:
        self.politeness = politeness
        self.calls = 0  # API requests
        self.downloads = 0  # image requests
        self._session = requests.Session()
        self._session.headers["User-Agent"] = politeness.user_agent
        self._not_before = 0.0
        self._forbidden = 0

    def api(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """One API answer, as the schema ``wikipedia`` has it.

        Raises `PageError` where it is an error about one page, and `UserError` where the API
        gives none that can be used, or answers another error.
        """
        query = {"format": "json", "formatversion": 2, "maxlag": MAX_LAG, **parameters}
        url = requests.Request("GET", self.politeness.api_url, params=query).prepare().url
        try:
            return self._until_complete(str(url), self._api_once)
        except TransientError as error:
            raise UserError(
                f"{self.politeness.api_url} gave no answer that can be used in {TRIES} tries "
                f"({error}); run the same command again later, what was fetched is kept."
            ) from error
        except PageError:
            raise
        except RefusedError as error:
            raise UserError(
                f"{self.politeness.api_url} refused ({error}); what was fetched is kept, and "
                "docs/wikipedia.md says what to do (section Refused)."
            ) from error

    def image(self, url: str, check: Callable[[Reply], None]) -> Reply:
        """The bytes at ``url``; tried again where ``check`` raises `TransientError` of them.

        Raises `RefusedError` where they cannot be had.
        """

        def once(url: str) -> Reply:
            reply = self._image_once(url)
            check(reply)
            return reply

        return self._until_complete(url, once)

    def _api_once(self, url: str) -> dict[str, Any]:
        self.calls += 1
        reply = self._get(url, API_HOSTS, API_BYTES)
        if reply.seconds > SLOW_ANSWER:
            self._wait(self.politeness.slow_pause)
        value = _json(reply.body)
        fault = first_fault(value, "wikipedia")
        if fault is not None:
            place = ".".join(map(str, fault.absolute_path)) or "the whole"
            raise TransientError(
                f"the answer has an odd form: {place}: {' '.join(fault.message.split())[:WORDS]}"
            )
        if "error" in value:
            code, info = value["error"]["code"], value["error"].get("info", "")
            if code.startswith(PASSING):
                raise TransientError(f"the API says {code}", retry_after(reply))
            kind = PageError if code in OF_ONE_PAGE else RefusedError
            raise kind(f"the API says {code}: {info[:WORDS]}")
        return value

    def _image_once(self, url: str) -> Reply:
        self.downloads += 1
        return self._get(url, IMAGE_HOSTS, IMAGE_BYTES)

    def _until_complete(self, url: str, once: Callable[[str], Any]) -> Any:
        """Call ``once`` until it succeeds, waiting as told or ever longer, with jitter."""
        for attempt in range(TRIES):
            try:
                return once(url)
            except TransientError as error:
                if attempt == TRIES - 1:
                    raise
                pause = error.seconds
                if not pause:  # a time that has passed tells no more than none
                    # Jitter, so that two users who were turned away do not come back together.
                    pause = self.politeness.first_pause * 2**attempt * random.uniform(1.0, 1.5)
                log.info("%s: %s; waiting %.1f s", urlsplit(url).hostname, error, pause)
                self._wait(pause)
        raise AssertionError("unreachable")

    def _wait(self, seconds: float) -> None:
        if seconds > LONGEST_WAIT:
            raise UserError(
                f"{self.politeness.api_url} asks to be left alone for {seconds:.0f} s; run the "
                "same command again after that, what was fetched is kept."
            )
        self._not_before = max(self._not_before, time.monotonic() + seconds)

    def _get(self, url: str, hosts: tuple[str, ...], limit: int) -> Reply:
        """Follow redirects by hand, checking each place before it is asked."""
        for _ in range(REDIRECTS + 1):
            if not self.politeness.allows(url, hosts):
                raise RefusedError(f"{'/'.join(url.split('/')[:3])[:WORDS]} is not allowed")
            reply = self._get_once(url, limit)
            if reply.status not in (301, 302, 303, 307, 308):
                self._check_status(reply)
                return reply
            url = _joined(url, reply.headers.get("Location", ""))
        raise RefusedError(f"more than {REDIRECTS} redirects")

    def _get_once(self, url: str, limit: int) -> Reply:
        time.sleep(max(0.0, self._not_before - time.monotonic()))
        began = time.monotonic()
        self._not_before = began + 1.0 / self.politeness.rate
        # Without this header the servers may answer in formats that are not checked here.
        accept = {"Accept": "application/json, image/png, image/jpeg, image/gif"}
        try:
            with self._session.get(
                url, headers=accept, timeout=TIMEOUT, stream=True, allow_redirects=False
            ) as response:
                body = _read_at_most(response, limit)
        except requests.RequestException as error:
            raise TransientError(f"the connection failed ({type(error).__name__})") from error
        return Reply(url, response.status_code, response.headers, body, time.monotonic() - began)

    def _check_status(self, reply: Reply) -> None:
        if reply.status == 403:
            self._forbidden += 1
            if self._forbidden >= FORBIDDEN_IN_A_ROW:
                raise UserError(
                    f"{urlsplit(reply.url).hostname} answered 403 (forbidden) "
                    f"{FORBIDDEN_IN_A_ROW} times in a row; stop here, read "
                    "https://w.wiki/4wJS and check wikipedia.contact before trying again."
                )
            raise TransientError("status 403")
        self._forbidden = 0
        if reply.status in TRANSIENT:
            if b"thumbnail steps" in reply.body[:500]:
                raise RefusedError(f"this thumbnail width is not served{_words(reply)}")
            raise TransientError(f"status {reply.status}{_words(reply)}", retry_after(reply))
        if reply.status != 200:
            raise RefusedError(f"status {reply.status}{_words(reply)}")


def _json(body: bytes) -> Any:
    """The body as JSON that can be written as UTF-8. Raises `TransientError` where it is none."""
    try:
        value = json.loads(body)
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise TransientError("the answer is not JSON") from error
    return value


def _joined(url: str, location: str) -> str:
    """Where a redirect leads. Raises `RefusedError` where that is no address."""
    try:
        return urljoin(url, location)
    except ValueError as error:
        raise RefusedError(f"a redirect leads to {location[:WORDS]!r}") from error


def _words(reply: Reply) -> str:
    """What the server says in its own words, after a colon; nothing where it says nothing."""
    words = plain_text(reply.body[:5000].decode("utf-8", "replace"))
    return f": {words[:WORDS]}" if words else ""


def retry_after(reply: Reply) -> float | None:
    """The header Retry-After in seconds, given as a number or a date, 0 where that has passed; None
    without one."""
    try:
        return Retry().parse_retry_after(reply.headers.get("Retry-After", ""))
    except (InvalidHeader, ValueError, OverflowError):  # a number or a year of too many digits
        return None


def _read_at_most(response: requests.Response, limit: int) -> bytes:
    body = bytearray()
    for block in response.iter_content(65536):
        body += block
        if len(body) > limit:
            raise RefusedError(f"more than {limit:,} bytes")
    return bytes(body)
