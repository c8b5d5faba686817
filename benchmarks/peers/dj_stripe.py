"""dj-stripe as its documentation sets it up, given signed webhooks: each comes in, is verified, and its objects are stored.

Run by the Python of an environment of its own: `dj_stripe.py sqlite:PATH|postgresql:DSN EVENTS WARM_UP RESULT`. The requests that
dj-stripe makes to Stripe are answered in memory, as those of all contestants are.
"""

from __future__ import annotations

import hashlib
import hmac
import io
import json
import logging
import os
import sys
import time
from pathlib import Path
from typing import Any

KEY, SECRET = "sk_test_" + 24 * "0", "whsec_benchmark"


def configure(engine: str, place: str) -> None:
    """Django's settings as in dj-stripe's installation page."""
    import django  # noqa: PLC0415 - after this nothing is as it was
    from django.conf import settings  # noqa: PLC0415

    database: dict[str, Any] = {"ENGINE": "django.db.backends.sqlite3", "NAME": place}
    if engine == "postgresql":
        host, port, name = place.split(",")
        database = {"ENGINE": "django.db.backends.postgresql", "HOST": host, "PORT": port, "NAME": name, "USER": "bench"}
        database["CONN_MAX_AGE"] = None  # kept open, as in production
    settings.configure(
        ALLOWED_HOSTS=["localhost"],
        DATABASES={"default": database},
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        DJSTRIPE_FOREIGN_KEY_TO_FIELD="id",
        INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sites", "djstripe"],
        LOGGING_CONFIG=None,
        # The tables as the models say: the same, without the minute that their history takes.
        MIGRATION_MODULES={"djstripe": None},
        ROOT_URLCONF=Path(__file__).stem,
        SECRET_KEY="benchmark",  # noqa: S106 - signs nothing
        STRIPE_LIVE_MODE=False,
        STRIPE_TEST_SECRET_KEY=KEY,
        USE_TZ=True,
    )
    django.setup()
    logging.disable(logging.CRITICAL)


class Stripe:
    """What is asked of Stripe's API. `requests` counts it."""

    def __init__(self) -> None:
        self.requests = 0
        self._objects: dict[str, dict[str, Any]] = {}

    def keep(self, found: dict[str, Any]) -> None:
        self._objects[found["id"]] = found

    def answer(self, url: str) -> dict[str, Any]:
        self.requests += 1
        name = url.partition("?")[0].rpartition("/")[2]
        if name == "account":
            return {"id": "acct_1", "object": "account", "type": "standard", "settings": {"dashboard": {}, "branding": {}}}
        return self._objects[name]


def install(stripe_api: Stripe) -> None:
    """Have Stripe's own client ask `stripe_api` instead of the network."""
    import stripe  # noqa: PLC0415

    class Client(stripe.HTTPClient):
        name = "memory"

        def request(self, method: str, url: str, headers: Any, post_data: Any = None, *, _usage: Any = None) -> Any:  # noqa: ANN401, ARG002 - Stripe's own
            return json.dumps(stripe_api.answer(url)), 200, {"request-id": "req_1"}

        def close(self) -> None:
            pass

    stripe.default_http_client = Client()


def delivery(event: dict[str, Any]) -> tuple[bytes, str]:
    body, now = json.dumps(event).encode(), int(time.time())
    signature = hmac.new(SECRET.encode(), f"{now}.".encode() + body, hashlib.sha256).hexdigest()
    return body, f"t={now},v1={signature}"


def main() -> None:
    target, file, warm_up, result = sys.argv[1:]
    engine, _, place = target.partition(":")
    configure(engine, place)
    from django.core.handlers.wsgi import WSGIHandler  # noqa: PLC0415
    from django.core.management import call_command  # noqa: PLC0415
    from djstripe import models  # noqa: PLC0415

    call_command("migrate", "auth", verbosity=0)
    call_command("migrate", run_syncdb=True, verbosity=0)
    stripe_api = Stripe()
    install(stripe_api)
    models.APIKey.objects.get_or_create_by_api_key(KEY)
    endpoint = models.WebhookEndpoint.objects.create(
        id="we_1", secret=SECRET, url="https://localhost/", enabled_events=["*"], livemode=False, api_version="2024-06-20"
    )
    events = json.loads(Path(file).read_text())
    for event in events:
        found = event["data"]["object"]
        stripe_api.keep(found)
    application = WSGIHandler()

    def post(event: dict[str, Any]) -> None:
        body, signature = delivery(event)
        environ = {
            "REQUEST_METHOD": "POST",
            "PATH_INFO": f"/stripe/webhook/{endpoint.djstripe_uuid}/",
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "REMOTE_ADDR": "127.0.0.1",
            "CONTENT_TYPE": "application/json",
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_STRIPE_SIGNATURE": signature,
            "wsgi.input": io.BytesIO(body),
            "wsgi.url_scheme": "http",
            "wsgi.errors": sys.stderr,
        }
        statuses: list[str] = []
        list(application(environ, lambda status, _headers: statuses.append(status)))
        if not statuses[0].startswith("200"):
            raise AssertionError(f"{event['id']}: {statuses[0]}")

    for event in events[: int(warm_up)]:
        post(event)
    stripe_api.requests = 0
    cpu, wall = time.process_time(), time.perf_counter()
    for event in events[int(warm_up) :]:
        post(event)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    number = len(events) - int(warm_up)
    if models.Event.objects.count() != len(events) or models.WebhookEventTrigger.objects.filter(processed=False).exists():
        raise AssertionError("not every event was processed")
    measured = {"cpu_ms": 1000 * cpu / number, "per_second": number / wall, "requests": stripe_api.requests / number}
    Path(result).write_text(json.dumps(measured))


if __name__ == "__main__":
    os.environ.pop("DJANGO_SETTINGS_MODULE", None)
    main()
else:
    from django.urls import include, path

    urlpatterns = [path("stripe/", include("djstripe.urls", namespace="djstripe"))]
