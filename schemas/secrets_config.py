"""Settings of the places where upstreams' secrets are kept."""

from typing import Literal

from pydantic import Field, model_validator

from schemas.identity_config import Url
from schemas.settings_base import Model


class Vault(Model):
    """HashiCorp Vault or OpenBao: KV version 2 (`vault:`), the database engine (`vault-db:`)."""

    url: Url = Field("", description="address of Vault; empty: there is none")
    namespace: str = Field("", description="namespace, where there are any")
    ca_file: str = Field("", description="CA certificates for it; empty: those of the system")
    auth: Literal["token", "kubernetes", "approle"] = Field("token", description="how the proxies log in")
    auth_mount: str = Field(
        "", max_length=200, pattern=r"^[A-Za-z0-9_./-]*$", description="mount of the method; empty: its name"
    )
    token: str = Field("file:vault.token", pattern=r"^(file|env):\S", description="token: where the token is")
    role: str = Field("", description="kubernetes: the role; approle: the role id")
    secret_id: str = Field(
        "file:vault.secret-id", pattern=r"^(file|env):\S", description="approle: where the secret id is"
    )
    jwt_file: str = Field("", description="kubernetes: the service account's token; empty: the pod's")

    @model_validator(mode="after")
    def _has_role(self) -> "Vault":
        if self.url and self.auth != "token" and not self.role:
            raise ValueError(f"auth {self.auth} needs a role")
        return self


class Kubernetes(Model):
    """Secrets of a cluster (`k8s:`), by the API server."""

    url: Url = Field("https://kubernetes.default.svc", description="address of the API server")
    token_file: str = Field("", description="token that may get the secrets; empty: the pod's")
    ca_file: str = Field("", description="CA certificates of the API server; empty: the pod's")


class Gcp(Model):
    """Google Cloud Secret Manager (`gcp:`), as the host's or workload's own service account."""

    url: Url = Field("https://secretmanager.googleapis.com", description="address of Secret Manager")
    metadata_host: str = Field(
        "metadata.google.internal",
        max_length=255,
        pattern=r"^[A-Za-z0-9.:-]+$",
        description="who gives the access token",
    )


class Aws(Model):
    """AWS Secrets Manager (`aws:`), with the usual sources of credentials. Needs the extra `aws`."""

    region: str = Field("", max_length=40, pattern=r"^[a-z0-9-]*$", description="region")
    endpoint: Url = Field("", description="another address, a VPC endpoint say; empty: that of the region")


class Encrypted(Model):
    """One file of secrets (`encrypted:`), encrypted as a whole; `custody secrets` writes it."""

    file: str = Field("secrets.encrypted", min_length=1, description="the file; a relative path counts from the home")
    key: str = Field(
        "file:secrets-file.key",
        pattern=r"^(file|env|command):\S",
        description="where its keys are, named as for masking.token_key",
    )


class Secrets(Model):
    """Where upstreams' secrets are, besides env: and file:."""

    cache_s: float = Field(30.0, ge=1, le=3600, description="a secret is asked for again when it is older")
    stale_s: float = Field(600.0, ge=0, le=86_400, description="how long it serves on when its place does not answer")
    timeout_s: float = Field(5.0, gt=0, le=60, description="longest wait for an answer")
    encrypted: Encrypted = Field(default_factory=Encrypted, description="the file of secrets")
    vault: Vault = Field(default_factory=Vault, description="HashiCorp Vault, OpenBao")
    kubernetes: Kubernetes = Field(default_factory=Kubernetes, description="Kubernetes secrets")
    gcp: Gcp = Field(default_factory=Gcp, description="Google Cloud Secret Manager")
    aws: Aws = Field(default_factory=Aws, description="AWS Secrets Manager")
