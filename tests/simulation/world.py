"""One world: a clock, queues, a table, the invoicing API, the real functions, and everything that goes wrong between them.

Nothing here waits, and nothing is random but what the history says. Functions run one inside another: at any call that leaves a
function, another delivery or another function may run first, from beginning to end. So two functions meet at every pair of
calls, though not in every interleaving of three. A function that dies leaves behind what it had done, as a killed process does.
"""

from __future__ import annotations

import base64
import heapq
import json
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from quittance.ledger import HEAD, case_names
from quittance.registration import KNOWN_FOR_S
from quittance.runtime.queues import revisit_message
from tests.fakes.shared_count import MemorySharedCount
from tests.simulation import functions, platform, provider
from tests.simulation.api import SimulatedApi
from tests.simulation.history import ANY_CALL, Delivery, Fault, History, Poison, Trace, Violation
from tests.simulation.queues import Queue, Queued
from tests.simulation.table import SimulatedTable
from tools.sandbox.model import Sandbox
from tools.sandbox.settings import Settings
from tools.sandbox.sources import Identifiers

if TYPE_CHECKING:
    from collections.abc import Callable

HOLD_UPS = ("compete", "pause")
"""Faults that come before whatever else happens to the same call."""
COST_S = {"table.read": 0.01, "table.commit": 0.02, "api.create": 0.4, "api.list": 0.2, "api.delete": 0.2}
"""Simulated seconds that a call takes."""
TIMEOUT_S = {"ingest": 10.0}
WORKER_TIMEOUT_S = 20.0
SENDER_WAITS_S = (60, 300, 1800, 7200)
"""How long a sender waits before it posts again what was not accepted."""
ROTATION_UNNOTICED_S = 15
"""A new secret may be refused for so long after a rotation: secrets are not fetched twice in ten seconds."""
NESTING_MAX = 3
MEANWHILE_S = 5
"""How long a call may be held up by what runs meanwhile, before that has even begun."""
STEPS_MAX = 4000
CALLS_MAX = 20_000
"""More than any history needs: what goes on longer goes on for ever."""
SECRETS = tuple("whsec_" + base64.b64encode(name * 4).decode() for name in (b"old-key", b"new-key"))
SIMULATED_SECRET = "simulated-secret"


class Killed(BaseException):
    """The function's process is gone. Nothing in it can catch this."""


@dataclass(slots=True)
class Sent:
    """What the sender of webhooks knows about one delivery."""

    delivery: Delivery
    attempts: int = 0


class World:
    """Runs one history to its end."""

    def __init__(self, history: History, *, trace: Trace | None = None) -> None:
        self.history = history
        self.now = float(history.start)
        self.trace = trace or Trace()
        self.calls: Counter[str] = Counter()
        self.injected: Counter[str] = Counter()
        self.fault_amount = 0
        self.table = SimulatedTable(self)
        self.sqs = Sqs(self)
        self.shared_count = MemorySharedCount()
        self.parameters = Parameters(self)
        sandbox = Sandbox(
            clock=lambda: datetime.fromtimestamp(self.now, UTC),
            ids=Identifiers(lambda: datetime.fromtimestamp(self.now, UTC), str(history.seed)),
            settings=Settings(
                rate_limits=None,
                idempotency_headers=history.honoured_headers,  # type: ignore[arg-type]
                accept_overpayment=True,
                accept_overcredit=True,
            ),
        )
        self.api = SimulatedApi(self, sandbox)
        self._random = Random(history.seed)  # noqa: S311 - reproducible on purpose
        self._faults: dict[tuple[str, int], list[Fault]] = {}
        for fault in sorted(history.faults, key=lambda one: one.kind not in HOLD_UPS):
            self._faults.setdefault((fault.call, fault.nth), []).append(fault)
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._stack: list[functions.Instance] = []
        self._idle: dict[str, functions.Instance] = {}
        self._numbers = Counter[str]()
        self.posted = 0
        self.longest_wait_s = 0.0
        """How long a message that can be read was on its queue before it was handled."""
        for poison in history.poison:
            self._at(history.start + poison.at, lambda poison=poison: self._plant(poison))  # type: ignore[misc]
        for delivery in history.deliveries:
            sent = Sent(delivery)
            self._at(history.start + delivery.at, lambda sent=sent: self._post(sent))  # type: ignore[misc]

    # the clock

    def seconds(self) -> int:
        return int(self.now)

    def timestamp(self) -> str:
        return datetime.fromtimestamp(self.now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def token(self) -> str:
        """A lease's owner, different each time."""
        return f"token-{self._number('token')}"

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        self._at(self.now + seconds, action)

    def _at(self, moment: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (moment, self._number("agenda"), action))

    def _number(self, what: str) -> int:
        self._numbers[what] += 1
        return self._numbers[what]

    def note(self, what: str, text: str) -> None:
        if self.trace.is_kept:
            actor = self._stack[-1].name if self._stack else "-"
            self.trace.lines.append(f"+{self.now - self.history.start:10.2f} s  {'  ' * len(self._stack)}{actor}: {what} {text}")

    # running

    @property
    def instance(self) -> functions.Instance:
        return self._stack[-1]

    def run(self) -> None:
        """Until nothing is left to do. Raises `Violation`."""
        with functions.running_in(self):
            for _ in range(STEPS_MAX):
                if not self._step():
                    return
        raise Violation("the queues never drain")

    @property
    def dead_letters(self) -> list[Queued]:
        return [message for queue in self.sqs.queues.values() for message in queue.dead]

    def redrive(self) -> None:
        """Every dead letter is tried again, and everything that follows from it."""
        self.note("redrive", f"{len(self.dead_letters)} dead letters")
        for queue in self.sqs.queues.values():
            queue.redrive()
        self.run()

    def repair(self) -> None:
        """Every payment is converged once more, as a repair does: a policy may have come after what it concerns.

        It begins when no function remembers the policies of before.
        """
        self.now += KNOWN_FOR_S
        for item in self.table.items():
            if item["sk"] == HEAD and not item.get("part_of"):
                message = revisit_message(*case_names(item["pk"]), "repair", self.timestamp())
                self.sqs.queues[message.function].send(
                    self.queued(message.body, message.group), message.deduplication_id, self.now
                )
        self.run()

    def queued(self, body: str, group: str, *, is_poison: bool = False) -> Queued:
        """A message that is sent now."""
        name = f"{'poison' if is_poison else 'message'}-{self._number('message')}"
        return Queued(name, body, group, sent_at=self.now, is_poison=is_poison, visible_at=self.now)

    def _step(self) -> bool:
        moments = [moment for queue in self.sqs.queues.values() if (moment := queue.next_at()) is not None]
        moments += [self._agenda[0][0]] if self._agenda else []
        if not moments:
            return False
        self.now = max(self.now, min(moments))
        self._turn()
        return True

    def _turn(self) -> bool:
        """Do one thing that can be done now."""
        ready = [q for q in self.sqs.queues.values() if (moment := q.next_at()) is not None and moment <= self.now]
        is_due = bool(self._agenda) and self._agenda[0][0] <= self.now
        if is_due and (not ready or not self.history.shuffled or self._random.random() < 0.7):
            heapq.heappop(self._agenda)[2]()
            return True
        if not ready:
            return False
        queue = self._random.choice(ready) if self.history.shuffled else ready[0]
        self._poll(queue)
        return True

    def _meanwhile(self, turns: int) -> None:
        """Other deliveries, other functions: what can run now, or would while the call that is waited for takes long."""
        if len(self._stack) > NESTING_MAX:
            return
        for _ in range(turns):
            if not self._turn() and self._agenda and self._agenda[0][0] <= self.now + MEANWHILE_S:
                self.now = self._agenda[0][0]
                self._turn()

    # functions

    def _call(self, name: str, event: dict[str, Any]) -> dict[str, Any] | None:
        """Run a function; None if it died."""
        instance = self._idle.pop(name, None) or functions.Instance(self, name, self._number(name))
        instance.deadline = self.now + TIMEOUT_S.get(name, WORKER_TIMEOUT_S)
        self._stack.append(instance)
        self.note("begins", "")
        try:
            answer = HANDLERS[name](event, Context(self, instance))
        except Killed as death:
            self.note("dies", str(death))
            return None
        finally:
            self._stack.pop()
        self._idle[name] = instance
        return answer

    def _poll(self, queue: Queue) -> None:
        messages = queue.receive(self.now)
        if not messages:
            return
        answer = self._call(queue.name, {"Records": [_record(queue, message) for message in messages]})
        if answer is None:
            return
        failed = {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}
        self.note("queue", f"{queue.name}: {len(messages)} received, {len(failed)} failed")
        for message in messages:
            if message.id not in failed and self._outcome("queue.delete") != "lost-delete":
                if not message.is_poison:
                    self.longest_wait_s = max(self.longest_wait_s, self.now - message.sent_at)
                elif message not in queue.dead:
                    raise Violation(f"{message.id} cannot be read and was acknowledged")
                queue.delete(message)

    def _plant(self, poison: Poison) -> None:
        self.note("poison", f"{poison.queue} {poison.shape}")
        self.injected["poison"] += 1
        message = self.queued(poison.body, poison.group, is_poison=True)
        self.sqs.queues[poison.queue].send(message, message.id, self.now)

    def _post(self, sent: Sent) -> None:
        delivery = sent.delivery
        platforms = delivery.is_platform
        raw = platform.event_body(delivery) if platforms else provider.delivery_body(delivery)
        if platforms:
            headers = platform.headers(raw, delivery.event_id, SECRETS[self._signs_with_new(delivery)], self.seconds())
        else:
            headers = {"signature": provider.signature(raw, SIMULATED_SECRET)}
        path = f"/webhooks/{'platform' if platforms else provider.NAME}/default"
        self.note("webhook", delivery.event_id)
        self.posted += 1
        answer = self._call("ingest", {"httpMethod": "POST", "path": path, "headers": headers, "body": raw.decode()})
        if answer is None or answer["statusCode"] != 200:
            if answer and not self._may_answer(answer):
                raise Violation(f"{delivery.event_id} is answered {answer['statusCode']} {answer['body']}")
            sent.attempts += 1
            self.later(SENDER_WAITS_S[min(sent.attempts, len(SENDER_WAITS_S)) - 1], lambda: self._post(sent))

    def _may_answer(self, answer: dict[str, Any]) -> bool:
        """Whether a refusal is one that the sender's next attempt will mend. A defect is none."""
        if answer["statusCode"] == 401:
            return (
                self.history.rotated_at is not None
                and self.now - self.history.start - self.history.rotated_at <= ROTATION_UNNOTICED_S
            )
        return bool(answer["statusCode"] == 503 and json.loads(answer["body"])["error"] != "unavailable")

    def _signs_with_new(self, delivery: Delivery) -> bool:
        """Whether the sender has the new secret: some of its machines get it a while after the others."""
        late = 900 * (sum(delivery.event_id.encode()) % 2)
        return self.history.rotated_at is not None and self.now >= self.history.start + self.history.rotated_at + late

    # calls that leave a function

    def enter(self, call: str, what: str = "") -> str:
        """A call begins. Returns what goes wrong with it; raises `Killed` if the function dies before it."""
        self.now += COST_S.get(call, 0.0)
        self.calls[call] += 1
        self.calls[ANY_CALL] += 1
        if self.calls[ANY_CALL] > CALLS_MAX:
            raise Violation("it never ends")
        fault = ""
        faults = self._faults.get((call, self.calls[call]), []) + self._faults.get((ANY_CALL, self.calls[ANY_CALL]), [])
        self.note(call, what)
        for one in faults:
            self.injected[one.kind] += 1
            self.note("fault", str(one))
            match one.kind:
                case "compete":
                    self._meanwhile(one.amount)
                case "pause":
                    self.now += one.amount
                case "kill-before":
                    self._kill("before the call")
                case "kill-after":
                    fault = fault or "kill-after"
                case _:
                    fault, self.fault_amount = one.kind, one.amount
        if self._stack and self.now >= self.instance.deadline:
            self._kill("out of time")
        return fault

    def leave(self, call: str, fault: str, result: str = "") -> None:
        """A call has taken effect; its answer is about to be seen."""
        if result:
            self.note(call, f"-> {result}")
        if fault == "kill-after":
            self._kill("after the call")
        if self._stack and self.now >= self.instance.deadline:
            self._kill("out of time")

    def _outcome(self, call: str) -> str:
        fault = self.enter(call)
        self.leave(call, "" if fault == "kill-after" else fault)
        return fault

    def _kill(self, why: str) -> None:
        if self._stack:
            raise Killed(why)

    def outage(self) -> int | None:
        """The status that everything is answered with now, if there is an outage; 0 for no connection."""
        since = self.now - self.history.start
        return next((one.status for one in self.history.outages if one.begin <= since < one.end), None)


class Context:
    """What Lambda tells a function about its call."""

    aws_request_id = "request"
    function_name = "function"

    def __init__(self, world: World, instance: functions.Instance) -> None:
        self._world = world
        self._deadline = instance.deadline

    def get_remaining_time_in_millis(self) -> int:
        return max(0, round((self._deadline - self._world.now) * 1000))


class Sqs:
    """The SQS client, and the queues behind it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.queues = {name: Queue(name, world.history.receives_max) for name in functions.WORKERS}

    def send_message_batch(self, *, QueueUrl: str, Entries: list[dict[str, str]]) -> dict[str, Any]:  # noqa: N803 - SQS's names
        fault = self._world.enter("queue.send", QueueUrl)
        if fault == "throttled":
            raise ClientError({"Error": {"Code": "ThrottlingException", "Message": ""}}, "SendMessageBatch")
        queue = self.queues[QueueUrl.rpartition("/")[2]]
        taken = Entries[:1] if fault == "half-sent" else Entries
        for entry in taken:
            message = self._world.queued(entry["MessageBody"], entry["MessageGroupId"])
            queue.send(message, entry["MessageDeduplicationId"], self._world.now)
        self._world.leave("queue.send", fault)
        if fault == "lost-send":
            raise ClientError({"Error": {"Code": "ServiceUnavailable", "Message": ""}}, "SendMessageBatch")
        successful = [{"Id": entry["Id"]} for entry in taken]
        return {"Successful": successful, "Failed": [{"Id": entry["Id"]} for entry in Entries[len(taken) :]]}

    def change_message_visibility_batch(self, *, QueueUrl: str, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        fault = self._world.enter("queue.hide")
        if fault == "throttled":
            raise ClientError({"Error": {"Code": "ThrottlingException", "Message": ""}}, "ChangeMessageVisibilityBatch")
        queue = self.queues[QueueUrl.rpartition("/")[2]]
        failed = []
        for entry in Entries:
            self._world.note("hide", f"{entry['ReceiptHandle']} for {entry['VisibilityTimeout']} s")
            if not queue.hide(entry["ReceiptHandle"], self._world.now + entry["VisibilityTimeout"]):
                failed.append({"Id": entry["Id"], "Code": "ReceiptHandleIsInvalid"})
        self._world.leave("queue.hide", fault)
        return {"Successful": [], "Failed": failed}

    def give_up(self, *, QueueUrl: str, MessageGroupId: str, MessageDeduplicationId: str, **_: Any) -> None:  # noqa: N803 - SQS's names
        """A worker writes a dead letter itself, with its cause; SQS then drops what the worker acknowledges."""
        fault = self._world.enter("queue.give-up")
        if fault == "throttled":
            raise ClientError({"Error": {"Code": "ThrottlingException", "Message": ""}}, "SendMessage")
        queue = self.queues[QueueUrl.rpartition("/")[2].removesuffix("-DeadLetters")]
        queue.give_up(MessageGroupId, MessageDeduplicationId)
        self._world.leave("queue.give-up", fault)


class Parameters:
    """SSM Parameter Store as the connections read it."""

    def __init__(self, world: World) -> None:
        self._world = world

    def get_parameters(self, *, Names: list[str], WithDecryption: bool) -> dict[str, Any]:  # noqa: ARG002, N803 - SSM's names
        fault = self._world.enter("secrets.read", Names[0])
        self._world.leave("secrets.read", "" if fault == "throttled" else fault)
        if fault == "throttled":
            raise ClientError({"Error": {"Code": "ThrottlingException", "Message": ""}}, "GetParameters")
        history = self._world.history
        is_new = history.rotated_at is not None and self._world.now >= history.start + history.rotated_at
        values = {
            "platform/default/secret": SECRETS[is_new],
            f"{provider.NAME}/default/secret": SIMULATED_SECRET,
        } | ({"platform/default/secret-previous": SECRETS[0]} if is_new else {})
        found = {f"{functions.CONNECTIONS}/{name}": value for name, value in values.items()}
        return {"Parameters": [{"Name": name, "Value": found[name]} for name in Names if name in found]}


def _record(queue: Queue, message: Queued) -> dict[str, Any]:
    return {
        "messageId": message.id,
        "receiptHandle": message.handle,
        "body": message.body,
        "eventSourceARN": f"arn:aws:sqs:eu-central-1:000000000000:{queue.name}",
        "attributes": {
            "ApproximateReceiveCount": str(message.receives),
            "ApproximateFirstReceiveTimestamp": str(round(message.first_received_at * 1000)),
            "MessageGroupId": message.group,
        },
    }


HANDLERS = functions.load()
