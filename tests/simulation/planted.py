# ruff: noqa: E501 - whole lines of the product are quoted
"""Realistic mistakes, each planted into the real code to prove that the simulation would find it.

A bug is a piece of source text and what takes its place. The module is compiled with it, and the functions that came out
different get their new code for a while: whoever had imported them runs the mistake too.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from inspect import getsource
from types import CodeType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from tests.simulation import functions, world

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class Bug:
    """One mistake. `module` is a module of the product, or `functions.NAME` for a function's own source."""

    name: str
    module: str
    right: str
    wrong: str
    constants: tuple[str, ...] = ()
    """Module constants that come out different, where the mistake is not in a function."""
    where: int = 0
    """Which occurrence of the text, counted from 1; 0 where there is only one."""


@contextmanager
def planted(bug: Bug) -> Iterator[None]:
    """The product with this mistake in it."""
    if bug.module.startswith("functions."):
        name = bug.module.removeprefix("functions.")
        with patch.object(world, "HANDLERS", functions.load({name: (bug.right, bug.wrong)})):
            yield
        return
    module = import_module(bug.module)
    mutant = _mutant(module, bug)
    originals = [(known, known.__code__) for known in _functions(module)]
    swapped = [(known, code) for known, code in originals if _swap(known, mutant)]
    kept = {name: getattr(module, name) for name in bug.constants}
    if not swapped and not kept:
        raise ValueError(f"{bug.name}: nothing came out different")
    try:
        for name in bug.constants:
            setattr(module, name, getattr(mutant, name))
        with patch.object(world, "HANDLERS", functions.load()):  # handlers made before still have the code of their making
            yield
    finally:
        for known, code in swapped:
            known.__code__ = code
        for name, value in kept.items():
            setattr(module, name, value)


def _mutant(module: ModuleType, bug: Bug) -> ModuleType:
    source = getsource(module)
    found = source.count(bug.right)
    if not found or (found > 1 and not bug.where):
        raise ValueError(f"{bug.name}: its text is there {found} times; the product has changed, so must this bug")
    pieces = source.split(bug.right)
    place = bug.where or 1
    source = bug.right.join(pieces[:place]) + bug.wrong + bug.right.join(pieces[place:])
    mutant = ModuleType(module.__name__)
    mutant.__file__ = module.__file__
    with patch.dict(sys.modules, {module.__name__: mutant}):  # dataclasses look their module up while they are made
        exec(compile(source, str(module.__file__), "exec"), vars(mutant))  # noqa: S102 - our own source with our own mistake
    return mutant


def _swap(known: FunctionType, mutant: ModuleType) -> bool:
    other: Any = mutant
    for name in known.__qualname__.split("."):
        other = vars(other).get(name) if not isinstance(other, property) else None
    other = _function(other)
    if other is None or _same(known.__code__, other.__code__):
        return False
    known.__code__ = other.__code__
    return True


def _same(one: CodeType, other: CodeType) -> bool:
    """Whether two pieces of code do the same; line numbers do not count."""
    if one.co_code != other.co_code or one.co_names != other.co_names or len(one.co_consts) != len(other.co_consts):
        return False
    pairs = zip(one.co_consts, other.co_consts, strict=True)
    return all(_same(a, b) if isinstance(a, CodeType) and isinstance(b, CodeType) else repr(a) == repr(b) for a, b in pairs)


def _functions(module: ModuleType) -> Iterator[FunctionType]:
    """Every function and method that a module defines."""
    for value in vars(module).values():
        if getattr(value, "__module__", "") != module.__name__:
            continue
        members = vars(value).values() if isinstance(value, type) else [value]
        for member in members:
            if (
                (found := _function(member)) is not None
                and found.__module__ == module.__name__
                and found.__code__.co_filename == module.__file__
            ):
                yield found


def _function(value: object) -> FunctionType | None:
    if isinstance(value, property):
        value = value.fget
    if isinstance(value, staticmethod | classmethod):
        value = value.__func__
    value = getattr(value, "__wrapped__", value)
    return value if isinstance(value, FunctionType) else None


CONVERGE, LEDGER, PLAN = "quittance.converge", "quittance.ledger", "quittance.plan"
SALES, RETURNS, SHEET = "quittance.plan.sales", "quittance.plan.returns", "quittance.plan.sheet"
EMAILS, TAX = "quittance.plan.emails", "quittance.tax"
MAPPING, REGISTRATION, API = "quittance.mapping", "quittance.registration", "quittance.space_invoices"
WORKER, FACTS, CUSTOMERS = "quittance.runtime.worker", "quittance.facts", "quittance.customers"

BUGS: tuple[Bug, ...] = (
    # what is asked of the invoicing API, and what becomes of the answer
    Bug(
        "no look-up before a request is repeated",
        CONVERGE,
        "found = self._look_up(case, entry, customer) if entry.sent else None",
        "found = None",
    ),
    Bug(
        "an unknown outcome taken for nothing done",
        CONVERGE,
        "        except Retry as failure:\n            case.store",
        "        except (Retry, InDoubt) as failure:\n            case.store",
    ),
    Bug(
        "a 500 taken for nothing done",
        API,
        'SERVER_ERROR = Outcome("api_server_error", InDoubt, Retry)',
        'SERVER_ERROR = Outcome("api_server_error", Retry, Retry)',
        ("OUTCOMES",),
    ),
    Bug(
        "a time-out taken for nothing done",
        API,
        'NO_ANSWER = Outcome("api_no_answer", InDoubt, Retry)',
        'NO_ANSWER = Outcome("api_no_answer", Retry, Retry)',
        ("NO_ANSWER",),
    ),
    Bug(
        "a 409 taken for a refusal",
        API,
        'CONFLICT = Outcome("api_conflict", InDoubt, Retry)',
        'CONFLICT = Outcome("api_conflict", Park, Retry)',
        ("OUTCOMES",),
    ),
    Bug(
        "a 429 taken for a refusal",
        API,
        'RATE_LIMITED = Outcome("api_rate_limited", Retry, Retry, RATE_LIMIT_PAUSE_S)',
        'RATE_LIMITED = Outcome("api_rate_limited", Park, Retry, RATE_LIMIT_PAUSE_S)',
        ("OUTCOMES",),
    ),
    Bug(
        "a new idempotency key for every attempt",
        CONVERGE,
        "if is_old else entry.idempotency_key",
        "if entry.attempts else entry.idempotency_key",
    ),
    Bug(
        "ever new keys once an intent is old",
        CONVERGE,
        "is_old = self._now() - entry.attempted_at >= NEW_KEY_AFTER_S",
        "is_old = self._now() - entry.intended_at >= NEW_KEY_AFTER_S",
    ),
    Bug("only one of the two idempotency headers", API, '"X-Request-Id": idempotency_key, ', ""),
    Bug(
        "request before its intent is stored",
        CONVERGE,
        "        self._ledger.commit(case)\n        return replace(entry, sent=is_sent)",
        "        return replace(entry, sent=is_sent)",
    ),
    Bug(
        "look-up by the payment alone",
        CONVERGE,
        '_LOOKED_UP_BY = ("business_customer", "document_key", "provider")',
        '_LOOKED_UP_BY = ("payment_id", "provider")',
        ("_LOOKED_UP_BY",),
    ),
    Bug(
        "a missing payment record taken for a removed one",
        CONVERGE,
        "        if failed:\n            return\n",
        "        if failed is not None:\n            return\n",
    ),
    Bug("a refused document forgotten and issued again", SHEET, "elif not self._was_refused(document):", "else:"),
    Bug(
        "date from the clock",
        CONVERGE,
        "record=RecordedDocument(document=document, state=DocumentState.INTENDED)",
        "record=RecordedDocument(document=(document := replace(document, date=__import__('datetime').datetime.fromtimestamp(self._now(), __import__('datetime').UTC).date().isoformat())), state=DocumentState.INTENDED)",
    ),
    Bug(
        "credit note without its invoice",
        MAPPING,
        "[refers_to.api_id] if refers_to and document.kind is DocumentKind.CREDIT_NOTE else None",
        "None",
    ),
    Bug("event id left out of the metadata", MAPPING, '        "event_id": origin.event_id,\n', ""),
    Bug("amounts to one decimal on the wire", MAPPING, "else float(value)", "else round(float(value), 1)"),
    # money
    Bug(
        "float money",
        "quittance.money",
        "Decimal(self.value).scaleb(-EXPONENTS[self.currency])",
        "Decimal(self.value / 10 ** EXPONENTS[self.currency])",
    ),
    Bug("two decimals for every currency", "quittance.money", "scaleb(-EXPONENTS[self.currency])", "scaleb(-2)"),
    Bug(
        "amounts that do not fit are rounded",
        SHEET,
        "if not all(amount.fits_document for amount in amounts):",
        "if False:",
    ),
    Bug(
        "date in UTC instead of the customer's zone",
        CUSTOMERS,
        ".astimezone(self.timezone).date()",
        ".astimezone(UTC).date()",
    ),
    # the plan
    Bug("cap missing", RETURNS, "if amount := min(missing, sheet.uncredited(invoice)):", "if amount := missing:"),
    Bug(
        "refund dropped when it is early",
        CONVERGE,
        'if fact else ""',
        "if fact and (case.facts or not fact.type.startswith('refund')) else \"\"",
    ),
    Bug("cumulative refund booked as delta", RETURNS, "if refund.amount and not refund.running_total", "if refund.amount"),
    Bug(
        "cumulative captures all invoiced in full", SALES, "yield capture, capture.amount - held", "yield capture, capture.amount"
    ),
    Bug(
        "one capture swallows the others",
        SALES,
        'if not sheet.find(f"capture:{capture.key}"):',
        'if not any(d.subject.startswith("capture:") for d in sheet.documents):',
    ),
    Bug(
        "success and captures both count",
        SALES,
        'if sheet.find(f"payment:{payment.id}"):\n        _invoice_more',
        "if False:\n        _invoice_more",
    ),
    Bug(
        "captures and success both count",
        SALES,
        "arrivals = _increments(sheet, payment.captures)",
        "arrivals = [*_increments(sheet, payment.captures), *((f, f.amount) for f in (payment.succeeded,) if f and f.amount)]",
    ),
    Bug("renewal and payment both invoiced", SALES, "if sheet.belongs_to_renewal(payment):", "if False:"),
    Bug(
        "a renewal's payment invoiced before its renewal is known",
        SALES,
        "elif payment.reported and not payment.renewal and not payment.captures and sheet.awaits_renewal(payment):",
        "elif False:",
    ),
    Bug(
        "a payment that is not named yet is invoiced",
        SHEET,
        "return self.succeeded is None or self.succeeded.invoice_id != self.id",
        "return True",
    ),
    Bug("renewal of zero invoiced", SALES, "if not renewal.amount or any(", "if any("),
    Bug("sale invoiced twice and left so", RETURNS, ", *_doubled_sales(sheet),", ","),
    Bug(
        "dispute: a loss always wins",
        RETURNS,
        "FactType.DISPUTE_OPENED, fact.latest_at, fact.type is FactType.DISPUTE_LOST",
        "FactType.DISPUTE_OPENED, fact.type is FactType.DISPUTE_LOST, fact.latest_at",
    ),
    Bug(
        "dispute: the last to arrive wins",
        RETURNS,
        "in_order = sorted(facts, key=_course)",
        "in_order = [fact for fact in sheet.case.facts if fact in facts]",
    ),
    Bug(
        "dispute credited when it is only opened",
        RETURNS,
        'credit_on == "lost" and fact.type is FactType.DISPUTE_LOST',
        'credit_on == "lost"',
    ),
    Bug(
        "a refund that failed stays credited",
        RETURNS,
        "zero(refund.amount.currency) if refund.key in failed else refund.amount",
        "refund.amount",
    ),
    Bug("no corrective invoices", PLAN, "        returns.lower(sheet, money)", "        pass"),
    Bug("a failed attempt undoes a later success", SHEET, "if failure.latest_at > arrived.latest_at and", "if"),
    Bug(
        "a late failure changes nothing",
        SALES,
        "        if failure := payment.reversal_of(arrived):",
        "        if failure := None:",
        where=1,
    ),
    Bug(
        "the refunds of two payments under one key",
        SHEET,
        'return f"{kind}:{subject}" +',
        "return f\"{kind}:{subject.partition(':')[0]}\" +",
    ),
    Bug(
        "money sent back is not recorded",
        RETURNS,
        "paid_out = amount if returned.moved_money else zero(amount.currency)",
        "paid_out = zero(amount.currency)",
    ),
    # facts
    Bug(
        "the last time of a fact forgotten",
        FACTS,
        "return max(self.occurred_at, self.last_occurred_at)",
        "return self.occurred_at",
    ),
    Bug(
        "keyed by event id instead of business key",
        LEDGER,
        "known = self.facts.get(fact.identity)\n        if known is None:\n            self._store_fact(fact, event_id, now)",
        "known = self.facts.get(fact.identity)\n        if known is None or event_id != self.event_ids[fact.identity]:\n            self._store_fact(fact, event_id, now)",
    ),
    Bug("contradictions ignored", LEDGER, "if fields := conflicting_fields(known, fact):", "if fields := ():"),
    Bug("what a later report adds is lost", LEDGER, "together = merged(known, fact)", "together = known"),
    Bug(
        "any report makes a payment wait for a renewal",
        FACTS,
        "return all(said) if said else None",
        "return any(said) if said else None",
    ),
    # the ledger
    Bug(
        "no condition on the version",
        LEDGER,
        'Equals("version", self.version) if self.version else Absent()',
        'AbsentOrEquals("pk", self.pk)',
    ),
    Bug("lease ignored", CONVERGE, 'if case.lease_owner not in {"", lease} and case.lease_until > self._now():', "if False:"),
    Bug(
        "lease never given back",
        CONVERGE,
        "        case.drop_lease()\n        if case.is_changed:",
        "        if case.is_changed:",
    ),
    Bug(
        "other names of a payment not kept",
        LEDGER,
        "        case.add_write(Put(pointer, Absent()))\n\n    def _follow",
        "\n    def _follow",
    ),
    Bug(
        "a name that leads elsewhere is taken over",
        LEDGER,
        "case.add_write(Put(pointer, Absent()))",
        "case.add_write(Put(pointer))",
    ),
    Bug(
        "joined cases lose their documents",
        LEDGER,
        "            self.store_document(entry)\n        for key, evidence in other.evidence",
        "            pass\n        for key, evidence in other.evidence",
    ),
    Bug(
        "joined cases lose their facts",
        LEDGER,
        "            self._absorb_fact(fact, other.event_ids[identity], other.recorded_at[identity])",
        "            pass",
    ),
    Bug(
        "a race gives up and acknowledges", CONVERGE, '        raise Retry("case_contended", delay_s=2)', '        return "known"'
    ),
    # whose money it is
    Bug("waiting payments not woken", REGISTRATION, "            self._wake(account)\n", ""),
    Bug(
        "forgotten before it is woken",
        REGISTRATION,
        '            self._revisit_later(account.provider, account.account, item["case_id"], "business customer registered")\n            with suppress(ConditionFailedError):\n                self._table.commit([Delete(item["pk"], item["sk"])])',
        '            with suppress(ConditionFailedError):\n                self._table.commit([Delete(item["pk"], item["sk"])])\n            self._revisit_later(account.provider, account.account, item["case_id"], "business customer registered")',
    ),
    Bug("parked without looking again", LEDGER, "        case.add_write(Check(pk, OWNER, Absent()))\n", ""),
    Bug(
        "facts of unknown customers dropped",
        LEDGER,
        '        case.add_write(Put({"pk": pk, "sk": f"WAITING#{case.id}", "case_id": case.id}))\n        self.commit(case)',
        "        pass",
    ),
    Bug("an entity made again after a crash", "quittance.provisioning", "entity = oldest(found)", "entity = None"),
    Bug(
        "one customer's money in another's books",
        REGISTRATION,
        "account = (case.provider, case.account)",
        'account = (case.provider, "")',
    ),
    # the way in and through
    Bug(
        "acknowledged before it is queued",
        "functions.ingest",
        '        _queues.send(delivery_messages(name, connection_name, translation, datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")))',
        '        with __import__("contextlib").suppress(Retry):\n            _queues.send(delivery_messages(name, connection_name, translation, datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")))',
    ),
    Bug(
        "part of a batch not queued, and nobody told",
        "quittance.runtime.queues",
        'if len(answer.get("Successful", ())) != len(batch):',
        'if not answer.get("Successful"):',
    ),
    Bug("the previous secret refused", "quittance.runtime.secrets", "for leaf in _LEAVES[:2] if", "for leaf in _LEAVES[:1] if"),
    Bug(
        "a rotated secret noticed too late",
        "functions.ingest",
        "fresh = _connections.refetched(*place) if rejected.code == SIGNATURE_MISMATCH else None",
        "fresh = None",
    ),
    Bug(
        "failures acknowledged",
        WORKER,
        'return {"batchItemFailures": [{"itemIdentifier": message.record["messageId"]} for message in kept]}',
        'return {"batchItemFailures": []}',
    ),
    Bug(
        "unknown outcomes acknowledged",
        CONVERGE,
        "        except QuittanceError:\n            self._let_go(case)\n            raise",
        "        except InDoubt:\n            self._let_go(case)\n            return\n        except QuittanceError:\n            self._let_go(case)\n            raise",
    ),
    Bug(
        "what the batch had no time for is acknowledged",
        WORKER,
        "        self.unfinished.append(Unfinished(record, self._wait_s(record, longest), longest.code, is_old))\n",
        "        if longest.delay_s:\n"
        "            self.unfinished.append(Unfinished(record, self._wait_s(record, longest), longest.code, is_old))\n",
    ),
    Bug("every failure is hopeless", WORKER, "case Reject() | Park():", "case QuittanceError():"),
    Bug("payouts are not settled on their payments", "functions.payout_settled", "    _queues.send(", "    list("),
    Bug("secrets that may be old taken for the right ones", "quittance.runtime.secrets", "if entry.is_stale:", "if False:"),
    # messages that nobody can read
    Bug(
        "what cannot be read holds up its group",
        WORKER,
        "return Failure(HOPELESS_DELAY_S, Reach.MESSAGE, error.code)",
        "return Failure(_scheduled(record, age_s), Reach.GROUP, error.code)",
    ),
    Bug(
        "what is given up is not kept",
        WORKER,
        "if not is_last(one) or not self._is_given_up(one)]",
        "if not is_last(one)]",
    ),
    Bug(
        "what waits for the allowance is acknowledged",
        WORKER,
        "        self.unfinished.append(Unfinished(record, self._no_poll_s(record, wait_s), RATE_LIMITED, is_old))\n",
        "",
    ),
    Bug(
        "what cannot be read is acknowledged",
        WORKER,
        'error = Reject("message_unreadable") if message is None else',
        "error = None if message is None else",
    ),
    Bug(
        "what cannot be read takes its batch down",
        WORKER,
        "except (AttributeError, KeyError, TypeError, ValueError, RecursionError):",
        "except (AttributeError, KeyError, ValueError):",
    ),
    Bug(
        "another function's message is taken",
        "quittance.runtime.fact_worker",
        "if message.fact is None or message.fact.type not in types:",
        "if message.fact is None:",
    ),
    # policies
    Bug(
        "the policy of today for what happened before",
        SHEET,
        "return self.customer.policy_at(fact.occurred_at)",
        "return self.customer.policies[-1]",
    ),
    Bug("a policy that never changes", CUSTOMERS, "    if not data:\n", "    if known:\n"),
    Bug(
        "the policy that arrived first counts from the beginning",
        CUSTOMERS,
        'data.get("effective_from", registration.occurred_at)',
        'data.get("effective_from", registration.occurred_at) if known else ""',
    ),
    Bug("a policy that counts from earlier on is refused", "quittance.policy", "starts > reused.effective_from", "True"),
    Bug(
        "due days of the policy ignored",
        SALES,
        "timedelta(days=policy.due_days)",
        "timedelta(days=14)",
    ),
    Bug("every document says policy 1", SHEET, "            policy=policy.version,\n", "            policy=1,\n"),
    Bug(
        "a dispute that is only opened waits for its end",
        RETURNS,
        'is_credited = credit_on == "opened" or (',
        "is_credited = (",
    ),
    Bug(
        "a credit note without the tax of its invoice",
        TAX,
        "lines += [Line(name=name, quantity=1, amount=part, tax=tax) for part in parts]",
        "lines += [Line(name=name, quantity=1, amount=part, tax=None) for part in parts]",
    ),
    Bug("a correction without the tax of its credit note", RETURNS, "amount=share, tax=tax)", "amount=share)"),
    Bug("nobody waits for a tax that is not there yet", SHEET, "tax=tax_of(treated, i.tax_class, seller)", "tax=None"),
    Bug(
        "everybody is sent everything",
        EMAILS,
        "and sheet.policy_of(document).send_email and",
        "and",
    ),
)
"""The mistakes, one line each."""
