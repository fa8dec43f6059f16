"""AWS Secrets Manager, signed by AWS's own runtime (awscrt) with its usual sources of credentials; the extra `aws`."""

import importlib
import io
import json
from typing import Any, Final
from urllib.parse import urlsplit

from ingest.secrets.base import Secret
from ingest.secrets.fields import pick
from schemas.errors import ConfigError, Unreachable
from schemas.secret_references import Reference
from schemas.secrets_config import Aws
from schemas.web import Web

TARGET: Final = "secretsmanager.GetSecretValue"
JSON: Final = "application/x-amz-json-1.1"
RETRYABLE: Final = ("ThrottlingException", "InternalServiceError", "InternalServiceErrorException")


class AwsSource:
    """Credentials come from the environment, the profile, the container or the instance, and renew themselves."""

    def __init__(self, settings: Aws, timeout_s: float) -> None:
        self._settings = settings
        self._timeout_s = timeout_s
        self._web = Web(timeout_s=timeout_s)
        self._provider: Any = None

    def fetch(self, reference: Reference) -> Secret:
        url = self._settings.endpoint or f"https://secretsmanager.{self._region()}.amazonaws.com"
        body = json.dumps({"SecretId": reference.path}).encode()
        status, document = self._web.ask("POST", f"{url.rstrip('/')}/", body, self._sign(url, body))
        if status != 200:
            raise _refusal(status, document, reference)
        text = document.get("SecretString")
        if not isinstance(text, str):
            raise ConfigError(f"AWS, {reference.path}: it is not text")
        return Secret(pick(text, reference))

    def _region(self) -> str:
        if not self._settings.region:
            raise ConfigError("secrets.aws.region is not set")
        return self._settings.region

    def _sign(self, url: str, body: bytes) -> dict[str, str]:
        """The headers of a signed request. Raises ConfigError without awscrt or credentials."""
        auth, http = _load("awscrt.auth"), _load("awscrt.http")
        if self._provider is None:
            self._provider = auth.AwsCredentialsProvider.new_default_chain()
        headers = [("Host", urlsplit(url).netloc), ("Content-Type", JSON), ("X-Amz-Target", TARGET)]
        request = http.HttpRequest("POST", "/", http.HttpHeaders(headers), io.BytesIO(body))
        config = auth.AwsSigningConfig(
            algorithm=auth.AwsSigningAlgorithm.V4,
            signature_type=auth.AwsSignatureType.HTTP_REQUEST_HEADERS,
            credentials_provider=self._provider,
            region=self._region(),
            service="secretsmanager",
        )
        try:
            signed = auth.aws_sign_request(request, config).result(self._timeout_s)
        except Exception as error:  # of awscrt, which has one class for all that credentials can lack
            raise ConfigError(f"no credentials for AWS were found ({type(error).__name__})") from None
        return dict(signed.headers)


def _refusal(status: int, document: dict[str, Any], reference: Reference) -> Exception:
    code = str(document.get("__type", "")).rpartition("#")[2][:80]
    code = code if code.isalnum() else ""
    if status >= 500 or code in RETRYABLE:
        return Unreachable(f"AWS answers {code or status}")
    return ConfigError(f"AWS, {reference.path}: {code or status}")


def _load(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise ConfigError("aws: secrets need AWS's runtime: install custody[aws]") from None
