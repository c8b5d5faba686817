"""IAM users who call the operators' API of the running stack."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.end_to_end.conftest import Stack


@dataclass(frozen=True, slots=True)
class Operator:
    """An IAM user, and what the API answers to it."""

    base: str
    name: str
    credentials: Credentials | None

    def call(self, method: str, path: str, body: dict[str, Any] | None = None, **query: str) -> httpx.Response:
        url = str(httpx.URL(f"{self.base}/operations/{path}", params=query or None))
        content = json.dumps(body).encode() if body is not None else b""
        request = AWSRequest(method, url, data=content, headers={"Content-Type": "application/json"})
        if self.credentials:
            SigV4Auth(self.credentials, "execute-api", "us-east-1").add_auth(request)
        return httpx.request(method, url, content=content, headers=dict(request.headers), timeout=40, trust_env=False)

    def get(self, path: str, **query: str) -> Any:
        return self.call("GET", path, None, **query).raise_for_status().json()

    def post(self, path: str, body: dict[str, Any] | None = None) -> Any:
        return self.call("POST", path, body).raise_for_status().json()


@pytest.fixture(scope="module")
def operator(stack: Stack) -> Iterator[Callable[..., Operator]]:
    """Makes an IAM user that may call what the pattern says."""
    iam = stack.target.client("iam")
    made: list[tuple[str, str]] = []

    def make(name: str, allowed: str) -> Operator:
        iam.create_user(UserName=name)
        resource = f"arn:aws:execute-api:us-east-1:*:{stack.target.output('ApiId')}/*/{allowed}"
        statement = {"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": resource}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        iam.put_user_policy(UserName=name, PolicyName="operations", PolicyDocument=policy)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        made.append((name, key["AccessKeyId"]))
        return Operator(stack.target.webhooks, name, Credentials(key["AccessKeyId"], key["SecretAccessKey"]))

    yield make
    for name, key in made:
        iam.delete_access_key(UserName=name, AccessKeyId=key)
        iam.delete_user_policy(UserName=name, PolicyName="operations")
        iam.delete_user(UserName=name)


@pytest.fixture(scope="module")
def finance(operator: Callable[..., Operator]) -> Operator:
    return operator("finance", "*/operations/*")
