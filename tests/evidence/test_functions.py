"""The two functions as Lambda loads them and the commands as a person calls them, over AWS emulated in this process."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from boto3.dynamodb.types import TypeSerializer
from moto import mock_aws
from typer.testing import CliRunner

from quittance.errors import Retry
from quittance.journal.changes import ItemChange
from quittance.runtime.journal import S3Anchors, item_change
from quittance.runtime.observability import logger
from quittance.runtime.parameter import Parameter
from quittance.runtime.table import DynamoTable
from tests.evidence.journal_world import RING, problems
from tests.evidence.payments import played_payment
from tools import verify_evidence
from tools.cli import app
from tools.evidence.keys import add_key, keys_of
from tools.lambda_events import FOLDER
from tools.target import Target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from quittance.storage import Item

FUNCTIONS = Path(__file__).parents[2] / "functions"
KEYS = "/quittance/test/evidence/keys"
TABLES = ("ledger", "journal")
BUCKET = "anchors"
serialize = TypeSerializer().serialize


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Tables, a locked bucket and a key, with the environment that the functions get."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "POWERTOOLS_"))]:
        monkeypatch.delenv(name)
    for name, value in {"ACCESS_KEY_ID": "test", "SECRET_ACCESS_KEY": "test", "DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    environment = {
        "TABLE_NAME": TABLES[0],
        "JOURNAL_TABLE_NAME": TABLES[1],
        "ANCHORS_BUCKET": BUCKET,
        "EVIDENCE_KEYS_PARAMETER": KEYS,
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with mock_aws():
        for table in TABLES:
            keys: Any = [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]
            names: Any = [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")]
            boto3.client("dynamodb").create_table(
                TableName=table, BillingMode="PAY_PER_REQUEST", KeySchema=keys, AttributeDefinitions=names
            )
        boto3.client("s3").create_bucket(Bucket=BUCKET, ObjectLockEnabledForBucket=True)
        put_keys(f"{RING.current.id} {RING.current.secret.hex()}")
        yield


def put_keys(text: str) -> None:
    boto3.client("ssm").put_parameter(Name=KEYS, Value=text, Type="SecureString", Overwrite=True)


def call(name: str, event: dict[str, Any]) -> Any:
    spec = importlib.util.spec_from_file_location(f"function_{name}", FUNCTIONS / name / "app.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.handler(event, None)


def image(item: Item | None) -> dict[str, Any]:
    return {name: serialize(value) for name, value in (item or {}).items()}


def stream_record(change: ItemChange) -> dict[str, Any]:
    told = {"ApproximateCreationDateTime": 1795168805, "Keys": image({"pk": change.pk, "sk": change.sk})}
    told["SequenceNumber"] = change.source
    images = {"OldImage": image(change.old), "NewImage": image(change.new)}
    return {"dynamodb": told | {name: one for name, one in images.items() if one}}


def entries() -> list[Item]:
    return DynamoTable("journal").read_partition("CHAIN#customer:bc_1")


@pytest.fixture
def recorded(aws: None) -> list[dict[str, Any]]:  # noqa: ARG001 - the tables must be there
    """A payment that is in the ledger, and what its stream tells."""
    _, journal = played_payment()
    for item in journal.ledger.items():
        boto3.client("dynamodb").put_item(TableName="ledger", Item=image(item))
    return [stream_record(change) for change in journal.ledger.stream]


@pytest.mark.usefixtures("aws")
def test_the_sample_is_entered() -> None:
    call("evidence_recorded", json.loads((FOLDER / "evidence_recorded.json").read_text()))
    (entry,) = DynamoTable("journal").read_partition("CHAIN#customer:bc_harbour_books")
    header = json.loads(entry["entry"])
    assert (header["kind"], header["at"]) == ("fact.recorded", "2026-11-20T10:00:05Z")


def test_a_batch_is_entered_once_and_says_nothing_about_anybody(
    recorded: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    log = io.StringIO()
    monkeypatch.setattr(logger.registered_handler, "stream", log)
    call("evidence_recorded", {"Records": recorded})
    count = len(entries())
    assert count > 5
    call("evidence_recorded", {"Records": recorded})
    assert len(entries()) == count
    written = log.getvalue()
    assert f'"count":{count}' in written
    assert not [word for word in ("Ada", "Acme", "example.com", RING.current.secret.hex()) if word in written]


@pytest.mark.parametrize("text", [None, "nonsense"])
def test_without_a_key_the_batch_comes_again(recorded: list[dict[str, Any]], text: str | None) -> None:
    boto3.client("ssm").delete_parameter(Name=KEYS)
    if text:
        put_keys(text)
    with pytest.raises(Retry):
        call("evidence_recorded", {"Records": recorded})
    assert entries() == []


def test_a_record_says_what_was_before_and_after() -> None:
    change = ItemChange(pk="a", sk="b", old={"n": 1}, new=None, at="2026-11-20T10:00:05Z", source="7")
    assert item_change(stream_record(change)) == change


def test_heads_are_anchored_once_and_locked(recorded: list[dict[str, Any]]) -> None:
    assert call("evidence_anchored", {}) == {"anchored": 0}
    call("evidence_recorded", {"Records": recorded})
    assert call("evidence_anchored", {}) == {"anchored": 1}
    store = S3Anchors(boto3.client("s3"), BUCKET)
    (name,) = stored_names()
    anchor = json.loads(store.read(name))
    assert (anchor["chain"], anchor["sequence"]) == ("customer:bc_1", len(entries()))
    store.write(name, "another")
    assert json.loads(store.read(name)) == anchor


@pytest.mark.usefixtures("aws")
def test_a_file_that_was_written_over_is_read_as_it_was_first() -> None:
    s3 = boto3.client("s3")
    for text in ("first", "second"):
        s3.put_object(Bucket=BUCKET, Key="anchors/2026-11-20/100000Z.jsonl", Body=text.encode())
    assert S3Anchors(s3, BUCKET).read("anchors/2026-11-20/100000Z.jsonl") == "first"


@pytest.mark.usefixtures("aws")
def test_a_bucket_that_refuses_is_awaited() -> None:
    store = S3Anchors(boto3.client("s3"), "nobodys")
    attempts: tuple[Callable[[], object], ...] = (
        lambda: store.newest(["2026-11-20"]),
        lambda: store.write("x", ""),
        lambda: store.read("x"),
    )
    for attempt in attempts:
        with pytest.raises(Retry, match="anchors_unavailable: NoSuchBucket"):
            attempt()


def stored_names() -> list[str]:
    return [one["Key"] for one in boto3.client("s3").list_objects_v2(Bucket=BUCKET).get("Contents", ())]


class Stack(Target):
    """A stack without CloudFormation."""

    def output(self, name: str) -> str:
        outputs = {"TableName": "ledger", "JournalTableName": "journal", "AnchorsBucketName": BUCKET, "KeyArn": "alias/aws/ssm"}
        return outputs[name]

    @property
    def _path(self) -> str:
        return "/quittance/test"


@pytest.fixture
def command(recorded: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Calls `quittance evidence`, with everything entered and anchored."""
    call("evidence_recorded", {"Records": recorded})
    call("evidence_anchored", {})
    monkeypatch.setattr("tools.commands.evidence.chosen", lambda _: Stack("test", boto3.Session()))
    return lambda *arguments: CliRunner().invoke(app, ["evidence", *map(str, arguments)])


PERIOD = ("--from", "2026-11-01", "--to", "2030-01-01")


def test_an_archive_is_exported_and_verifies(command: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = command("export", *PERIOD, "--business-customer", "bc_1", "-o", tmp_path / "e.zip")
    assert done.exit_code == 0, done.output
    assert "verify with `python3 tools/verify_evidence.py" in done.output
    assert problems(tmp_path / "e.zip") == []
    assert command("keys", "-o", tmp_path / "keys").exit_code == 0
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o600
    assert verify_evidence.main([str(tmp_path / "e.zip"), "--key-file", str(tmp_path / "keys")]) == 0
    assert "1 chains" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--from", "2026-11-02", "--to", "2026-11-01"), "is before"),
        ((*PERIOD, "--business-customer", "bc_9"), "the journal knows no business customer bc_9"),
    ],
)
def test_what_cannot_be_exported_is_said_and_leaves_no_file(command: Any, tmp_path: Path, arguments: Any, said: str) -> None:
    done = command("export", *arguments, "-o", tmp_path / "e.zip")
    assert done.exit_code != 0
    assert said in done.output
    assert not list(tmp_path.iterdir())


def test_an_empty_period_is_said(command: Any, tmp_path: Path) -> None:
    done = command("export", "--from", "2020-01-01", "--to", "2020-01-31", "-o", tmp_path / "e.zip")
    assert "nothing was entered in this period" in done.output


def test_the_ledger_is_checked_and_what_is_missing_entered(command: Any) -> None:
    assert command("check", "--grace", 0).output == "the ledger is as it was entered\n"
    item = {"pk": "CASE#stripe#acct_1#pay_9", "sk": "FACT#x", "fact": {"amount": {"value": 1, "currency": "EUR"}}}
    boto3.client("dynamodb").put_item(TableName="ledger", Item=image(item))
    done = command("check", "--grace", 0, "--json")
    assert (done.exit_code, json.loads(done.output)["what"]) == (1, "not entered in the journal")
    assert command("check", "--grace", 0, "--append").exit_code == 1
    assert command("check", "--grace", 0).exit_code == 0
    boto3.client("dynamodb").delete_item(TableName="ledger", Key=image({"pk": item["pk"], "sk": item["sk"]}))
    assert "gone from the ledger" in command("check", "--grace", 0).output


def test_a_payer_is_erased_once_the_journal_has_caught_up(command: Any) -> None:
    who = ("pay_1", "--provider", "stripe", "--account", "acct_1", "--by", "dpo", "--reason", "r7")
    done = command("erase", *who, "--grace", 0)
    assert (done.exit_code, "journal_behind" in done.output) == (1, True)
    assert command("check", "--grace", 0, "--append").exit_code == 1  # in place of the stream
    done = command("erase", *who, "--grace", 0, "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.output)["entries"] > 0
    assert "Lovelace" not in json.dumps([entry for entry in entries() if '"registration' not in entry["entry"]])
    assert "the ledger knows no payment pay_0" in command("erase", "pay_0", *who[1:]).output


def test_a_new_key_is_added_to_the_old_ones(command: Any) -> None:
    assert command("rotate-key").exit_code == 0
    ring = keys_of(Stack("test", boto3.Session()))
    assert ring.keys[0] == RING.current
    assert len(ring.keys) == 2
    assert ring.current.id.startswith("k20")


@pytest.mark.usefixtures("aws")
def test_the_first_key_is_made_and_an_unreadable_one_is_not_replaced() -> None:
    stack = Stack("test", boto3.Session())
    put_keys("nonsense")
    with pytest.raises(Retry, match="evidence_key_unusable"):
        add_key(stack)
    boto3.client("ssm").delete_parameter(Name=KEYS)
    add_key(stack)
    assert len(keys_of(stack).keys) == 1
    assert Parameter(boto3.client("ssm"), KEYS)()
