"""Requests as API Gateway hands them over: one for each seed, each with the answers that are right for it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from contextlib import suppress
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple

from quittance.providers import provider
from tests.fuzz.corpus import MARKER, Sample, corpus, samples_by_name
from tests.fuzz.ingress import CONNECTIONS, NOW_S, PREVIOUS, SECRET
from tests.fuzz.mutate import mutated, sized
from tools.deliveries import api_gateway_event, signed_delivery

if TYPE_CHECKING:
    from collections.abc import Callable

BODY_BYTES_MAX = 1_000_000
"""The largest body that is read; 413 from the next byte on."""

_AIMED_SHARE = 0.5

READ = frozenset({200, 202, 204, 400, 413})
ANY = READ | {401, 404}


class Request(NamedTuple):
    """One input of the ingress."""

    kind: str
    event: dict[str, Any]
    answers: frozenset[int]
    provider: str = ""
    connection: str = "default"
    raw: bytes = b""
    """What was sent, before anything between the sender and the function touched it."""
    is_genuine: bool = False
    """Signed, and as it was sent: what it means must be queued, all of it."""
    outage: str = ""
    signature: str = ""
    """Must not be written anywhere either."""


def request(seed: int) -> Request:
    """The input of a seed, always the same for one corpus."""
    rng = Random(seed)  # noqa: S311 - it must repeat itself
    make = rng.choices(_MAKERS, _WEIGHTS)[0]
    # Every provider gets its share, however many payloads of it there are.
    name = rng.choice(list(dict.fromkeys(sample.provider for sample in corpus())))
    sample = rng.choice([sample for sample in corpus() if sample.provider == name])
    return make(rng, sample)


# --- signing -------------------------------------------------------------------------------------------------------------


def _signed(provider: str, body: bytes, secret: str, at_s: int = NOW_S) -> tuple[bytes, dict[str, str]] | None:
    """What is sent of any bytes, and its headers; None if the provider's scheme needs something that is not in them."""
    with suppress(AttributeError, IndexError, KeyError, TypeError, ValueError, RecursionError):
        sent, headers = signed_delivery(provider, body, secret, at_s)
        if all(isinstance(value, str) and value.strip() for value in headers.values()):
            return sent, headers
    sign = _SIGNS_ANYTHING.get(provider)
    return (body, sign(body, secret, at_s)) if sign else None


def _standard_webhooks(body: bytes, secret: str, at_s: int) -> dict[str, str]:
    """Under an id that the body does not say."""
    digest = hmac.new(base64.b64decode(secret + "=="), b"evt_fuzz.%d." % at_s + body, hashlib.sha256).digest()
    signature = f"v1,{base64.b64encode(digest).decode()}"
    return {"webhook-id": "evt_fuzz", "webhook-timestamp": str(at_s), "webhook-signature": signature}


_SIGNS_ANYTHING: dict[str, Callable[[bytes, str, int], dict[str, str]]] = {"platform": _standard_webhooks}
"""For providers whose scheme signs something that a broken body may lack."""


def _signature(headers: dict[str, str], sent: bytes = b"") -> str:
    """The longest that is in the headers, else the one that is in the body."""
    inside = _SIGNED_INSIDE.search(sent)
    default = inside[1].decode() if inside else ""
    return max((value for name, value in headers.items() if "sig" in name.lower()), key=len, default=default)


_SIGNED_INSIDE = re.compile(rb'"hmacSignature": "([A-Za-z0-9+/]{43}=)"')


def _event(rng: Random, provider: str, connection: str, body: bytes, headers: dict[str, str]) -> dict[str, Any]:
    """The request, with a body that is no text in Base64, as API Gateway passes it on, and any other in either way."""
    event = api_gateway_event(provider, connection, b"", headers)
    event["requestContext"]["requestId"] = "fuzz"
    try:
        text = body.decode() if rng.random() < 0.8 else None
    except UnicodeDecodeError:
        text = None
    if text is None:
        return event | {"body": base64.b64encode(body).decode(), "isBase64Encoded": True}
    return event | {"body": text}


# --- what is signed ------------------------------------------------------------------------------------------------------


def _delivery(rng: Random, kind: str, sample: Sample, body: bytes) -> Request:
    connection = rng.choice([*CONNECTIONS])
    secret = PREVIOUS if "secret-previous" in CONNECTIONS[connection] and rng.random() < 0.3 else SECRET
    signed = _signed(sample.provider, body, secret)
    if signed is None:
        _, headers = _signed(sample.provider, sample.body, secret) or (b"", {})
        event = _event(rng, sample.provider, connection, body, headers)
        return Request(f"{kind}, unsigned", event, frozenset({400, 401, 413}), sample.provider, connection, body)
    sent, headers = signed
    event = _event(rng, sample.provider, connection, sent, headers)
    too_large = len(sent) > BODY_BYTES_MAX
    # A signature inside of a body can only be found if the body can be read.
    may_lack_proof = sent != body or _needs_no_proof(sample.provider, sent) or _needs_no_proof(sample.provider, sample.body)
    answers = frozenset({413}) if too_large else READ | {401} if may_lack_proof else READ
    genuine = not too_large
    return Request(kind, event, answers, sample.provider, connection, sent, genuine, signature=_signature(headers, sent))


def _mutated(rng: Random, sample: Sample) -> Request:
    if rng.random() < _AIMED_SHARE:
        by_name = samples_by_name(sample.provider)
        aim = rng.choice([*by_name])
        sample = rng.choice(by_name[aim])
        return _delivery(rng, "mutated", sample, mutated(rng, sample.body, aim))
    return _delivery(rng, "mutated", sample, mutated(rng, sample.body))


def _untouched(rng: Random, sample: Sample) -> Request:
    """A sample as it is, in one of the shapes in which the same request may arrive."""
    made = _delivery(rng, "untouched", sample, sample.body)
    event = made.event
    shape = rng.choice((dict, *_SAME_REQUEST))
    accepted = frozenset({200, 202, 204}) if sample.is_own else READ
    return made._replace(event=shape(event), answers=accepted)


_SAME_REQUEST: tuple[Callable[[dict[str, Any]], dict[str, Any]], ...] = (
    lambda event: event | {"multiValueHeaders": None},
    lambda event: event | {"headers": None},
    lambda event: {
        name: value for name, value in event.items() if name in {"path", "httpMethod", "headers", "body", "isBase64Encoded"}
    },
    lambda event: event | {"requestContext": None, "pathParameters": None},
    lambda event: event | {"multiValueHeaders": {name.upper(): v for name, v in event["multiValueHeaders"].items()}},
    lambda event: event | {"headers": {name.title(): v for name, v in event["headers"].items()}, "multiValueHeaders": None},
    lambda event: event | {"path": f"/live{event['path']}/"},
    lambda event: (
        event | {"multiValueHeaders": event["multiValueHeaders"] | {"X-Forwarded-For": ["1.2.3.4", "5.6.7.8"], "": [""]}}
    ),
    lambda event: (
        event | {"multiValueHeaders": event["multiValueHeaders"] | {"x-é\ud800": ["\ud800", "😀"], "a" * 9000: ["b" * 9000]}}
    ),
    lambda event: event | {"queryStringParameters": {"a": "b"}, "stageVariables": {}, "unknown": 1},
)


def _around_the_limit(rng: Random, sample: Sample) -> Request:
    size = BODY_BYTES_MAX + rng.choice((-100_000, -1, 0, 1, 2, 5000, 400_000))
    return _delivery(rng, "size", sample, sized(rng, sample.body, size))


def _outage(rng: Random, sample: Sample) -> Request:
    made = _delivery(rng, "outage", sample, rng.choice((sample.body, mutated(rng, sample.body))))
    return made._replace(outage=rng.choice(("down", "throttled", "partial")), answers=made.answers | {503})


# --- what is not signed, or not right -------------------------------------------------------------------------------------


def _forged(rng: Random, sample: Sample) -> Request:
    body = rng.choice((sample.body, sample.body, mutated(rng, sample.body)))
    now = NOW_S + rng.choice((-(10**6), -400, -301, 301, 400, 10**6, -NOW_S)) if rng.random() < 0.3 else NOW_S
    secret = SECRET if now != NOW_S else rng.choice(("bad5ec" * 10 + "bad5", PREVIOUS))
    sent, headers = _signed(sample.provider, body, secret, now) or (body, {})
    event = _event(rng, sample.provider, "default", sent, headers)
    must_fail = (now == NOW_S or _ages(sample.provider)) and not _needs_no_proof(sample.provider, sent)
    answers = frozenset({401}) if must_fail else READ | {401}
    return Request("forged", event, answers, sample.provider, raw=sent, signature=_signature(headers, sent))


def _needs_no_proof(provider_name: str, body: bytes) -> bool:
    """Whether it may be a form that Mollie does not sign, and that states nothing."""
    return provider_name == "mollie" and not body.lstrip().startswith(b"{")


def _ages(provider_name: str) -> bool:
    """Whether a signature of this provider is good for a while only."""
    return hasattr(provider(provider_name), "TOLERANCE_S")


def _headers_missing(rng: Random, sample: Sample) -> Request:
    """Without one of the headers that prove where it comes from, or without any."""
    _, headers = _signed(sample.provider, sample.body, SECRET) or (b"", {})
    proof = [name for name in headers if name.lower() != "content-type"]
    left_out = set(proof) if rng.random() < 0.3 or not proof else {rng.choice(proof)}
    kept = {name: value for name, value in headers.items() if name not in left_out}
    event = _event(rng, sample.provider, "default", sample.body, kept)
    if not kept or rng.random() < 0.2:
        kept = {}
        event |= {"headers": None, "multiValueHeaders": None}
    is_proven = (not _ages(sample.provider) and bool(_signature(kept))) or _needs_no_proof(sample.provider, sample.body)
    answers = READ | {401} if is_proven else frozenset({401})
    return Request("headers missing", event, answers, sample.provider, raw=sample.body)


def _headers_changed(rng: Random, sample: Sample) -> Request:
    made = _delivery(rng, "headers changed", sample, sample.body)
    many = {name: [*values] for name, values in made.event["multiValueHeaders"].items()}
    name = rng.choice([*many])
    value = many[name][0]
    many[name] = rng.choice(
        (
            [value, value],
            ["", value],
            [value + ",v1=00,v0=,t=,=,,"],
            [value[: rng.randrange(len(value) + 1)]],
            [_flipped(rng, value)],
            [
                rng.choice(
                    ("", " ", "v1,", "t=1,v1=x", "t=,v1=", "v1,é", "\ud800", "١٢٣", "9" * 40, "-1", "1e9", "NaN", f"v1,{MARKER}")
                )
            ],
            [value.replace(",", ",,").replace("=", "==")],
            [value] * 200,
            [f"{'v1,AAAA ' * 300}{value}", "t=1," + "v1=ab," * 300],
            [],
        )
    )
    event = made.event | {"multiValueHeaders": many}
    return made._replace(event=event, answers=ANY, is_genuine=False)


def _flipped(rng: Random, text: str) -> str:
    place = rng.randrange(len(text)) if text else 0
    return text[:place] + chr(rng.choice((0x30, 0x41, 0x2C, 0x3D, 0xE9, 0x20, 0x1F600))) + text[place + 1 :]


def _misrouted(rng: Random, sample: Sample) -> Request:
    made = _delivery(rng, "misrouted", sample, sample.body)
    name = sample.provider
    unknown = "".join(rng.choices("abcdefghij0123456789._-", k=rng.randint(1, 70)))
    connections = (f"x{unknown}", "%2e%2e", "..", "é", "a b", "default%0a", "x" * 65, "-x", "\ud800", "\x00")
    providers = ("cowrie", "payload", "__init__", name.upper(), "../x", f"{unknown}!", "\ud800")
    paths = (None, "", "/", "//", "/webhooks", f"/webhooks/{name}", f"/webhooks/{name}/default/more", unknown, "/health")
    methods = (None, "", "GET", "PUT", "DELETE", "OPTIONS", "HEAD", "post", "PATCH", "TRACE", "CONNECT")
    change = rng.choice(
        (
            {"path": f"/webhooks/{name}/{rng.choice(connections)}"},
            {"path": f"/webhooks/{name}/x{unknown}"},
            {"path": f"/webhooks/{rng.choice(providers)}/default"},
            {"path": rng.choice(paths)},
            {"httpMethod": rng.choice(methods)},
        )
    )
    return made._replace(event=made.event | change, answers=frozenset({404}), is_genuine=False)


def _body_confused(rng: Random, sample: Sample) -> Request:
    """A body that says of itself that it is Base64 and is not, or the other way round, or that is not there."""
    made = _delivery(rng, "body confused", sample, sample.body)
    text, encoded = sample.body.decode("utf-8", "replace"), base64.b64encode(sample.body).decode()
    change: dict[str, Any] = rng.choice(
        (
            {"body": text, "isBase64Encoded": True},
            {"body": encoded, "isBase64Encoded": False},
            {"body": encoded[:-1] + "é", "isBase64Encoded": True},
            {"body": encoded[: rng.randrange(len(encoded))], "isBase64Encoded": True},
            {"body": f"{encoded[:76]}\n{encoded[76:]}", "isBase64Encoded": True},
            {"body": base64.urlsafe_b64encode(b"\xfb\xff\xfe" + sample.body).decode(), "isBase64Encoded": True},
            {"body": None},
            {"body": None, "isBase64Encoded": True},
            {"body": ""},
            {"body": "\ud800" + text, "isBase64Encoded": False},
            {"body": text + "\x00", "isBase64Encoded": False},
        )
    )
    answers = ANY if _needs_no_proof(sample.provider, sample.body) else frozenset({400, 401})
    return made._replace(event=made.event | change, answers=answers, is_genuine=False)


def _health(rng: Random, _: Sample) -> Request:
    path = rng.choice(("/health", "/health/", "/live/health"))
    return Request("health", {"path": path, "httpMethod": "GET", "headers": None, "body": None}, frozenset({200}))


_MAKERS: tuple[Callable[[Random, Sample], Request], ...] = (
    *(_mutated, _untouched, _around_the_limit, _outage, _forged, _headers_missing, _headers_changed, _misrouted, _body_confused),
    _health,
)
_WEIGHTS = (780, 50, 4, 10, 40, 20, 40, 30, 20, 2)
