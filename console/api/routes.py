"""The table of routes. One more route is one more line."""

from typing import Final

from console.api import approval_models, identity_models, models
from console.api.endpoints import (
    approvals,
    credentials,
    policies,
    quarantine,
    record,
    resources,
    service,
    sign_in,
    token,
)
from console.api.roles import Permission
from console.api.routing import FORM, Route
from schemas.resources import Policy, Resource

_P = Permission

RECORD: Final = (
    Route("GET", "/v1/sessions", "sessions.list", "List sessions, newest first.", record.list_sessions,
          models.Sessions, _P.TRAIL_READ, models.SessionsQuery),
    Route("GET", "/v1/sessions/{id}/events", "sessions.replay",
          "Show a session again: a page of its events, in order. The first characters of the id suffice.",
          record.replay, models.Replay, _P.TRAIL_READ, models.ReplayQuery),
    Route("GET", "/v1/events", "events.list", "List events by filters, newest first.", record.list_events,
          models.Events, _P.TRAIL_READ, models.EventsQuery),
    Route("GET", "/v1/detections", "detections.list", "List detections, newest first.", record.list_detections,
          models.Detections, _P.TRAIL_READ, models.DetectionsQuery),
    Route("POST", "/v1/query", "query", "Run one read-only SQL statement on the record.", record.run_sql,
          models.SqlResult, _P.TRAIL_READ, body=models.SqlQuery, statement_field="sql"),
)  # fmt: skip

RESOURCES: Final = (
    Route("GET", "/v1/resources", "resources.list", "List the registered resources.", resources.list_resources,
          models.Resources, _P.RESOURCE_READ),
    Route("GET", "/v1/resources/{name}", "resources.get", "One resource.", resources.get_resource,
          Resource, _P.RESOURCE_READ),
    Route("PUT", "/v1/resources/{name}", "resources.put", "Register a resource, or change it.",
          resources.put_resource, models.Changes, _P.RESOURCE_WRITE, body=Resource),
    Route("DELETE", "/v1/resources/{name}", "resources.remove",
          "Remove a resource: its listener closes. What was recorded stays.",
          resources.remove_resource, models.Changes, _P.RESOURCE_WRITE),
)  # fmt: skip

CREDENTIALS: Final = (
    Route("GET", "/v1/credentials", "credentials.list", "List agents' credentials, never their secrets.",
          credentials.list_credentials, models.Credentials, _P.CREDENTIAL_READ, models.CredentialsQuery),
    Route("POST", "/v1/credentials", "credentials.issue", "Issue a credential for an agent.",
          credentials.issue_credential, models.IssuedCredential, _P.CREDENTIAL_ISSUE, body=models.CredentialRequest,
          status=201, recorded_fields=("agent", "principal", "resources", "run_id", "ttl")),
    Route("DELETE", "/v1/credentials/{id}", "credentials.revoke",
          "Revoke a credential: new logins are refused and its live sessions end.",
          credentials.revoke_credential, models.Revoked, _P.CREDENTIAL_REVOKE, models.RevocationQuery),
)  # fmt: skip

POLICIES: Final = (
    Route("GET", "/v1/policies", "policies.list", "The policies in force, and the version they make together.",
          policies.list_policies, models.Policies, _P.POLICY_READ),
    Route("POST", "/v1/policies/check", "policies.check",
          "Check policies: schema, unreachable rules, unknown names. Nothing is written.",
          policies.check_policy, models.PolicyCheck, _P.POLICY_READ, body=models.PolicyText),
    Route("GET", "/v1/policies/{name}", "policies.get", "One policy.", policies.get_policy, Policy, _P.POLICY_READ),
    Route("PUT", "/v1/policies/{name}", "policies.put", "Put a policy into force.", policies.put_policy,
          models.Changes, _P.POLICY_WRITE, body=models.PolicyText),
    Route("DELETE", "/v1/policies/{name}", "policies.remove", "Take a policy out of force.", policies.remove_policy,
          models.Changes, _P.POLICY_WRITE),
)  # fmt: skip

APPROVALS: Final = (
    Route("GET", "/v1/approvals", "approvals.list", "List what waits for a person, the oldest first.",
          approvals.list_approvals, approval_models.HeldActions, _P.APPROVAL_READ),
    Route("GET", "/v1/approvals/{id}", "approvals.get",
          "One action that waits, with what its agent and session did before.",
          approvals.get_approval, approval_models.HeldAction, _P.APPROVAL_READ),
    Route("POST", "/v1/approvals/{id}/approve", "approvals.approve",
          "Let it go on, in the name of who asks. Nobody approves the action of an agent of their own.",
          approvals.approve, approval_models.Decided, _P.APPROVAL_DECIDE, body=approval_models.Approval,
          recorded_fields=("minutes", "reason")),
    Route("POST", "/v1/approvals/{id}/deny", "approvals.deny", "Refuse it, in the name of who asks.",
          approvals.deny, approval_models.Decided, _P.APPROVAL_DECIDE, body=approval_models.Denial,
          recorded_fields=("reason",)),
)  # fmt: skip

QUARANTINE: Final = (
    Route("GET", "/v1/quarantine", "quarantine.list", "Who is stopped, since when, by whom and why.",
          quarantine.list_quarantine, approval_models.QuarantineList, _P.QUARANTINE_READ),
    Route("POST", "/v1/quarantine", "quarantine.add",
          "Stop an agent, a principal or a session: live sessions end, new ones are refused.",
          quarantine.add_quarantine, approval_models.Quarantined, _P.QUARANTINE_WRITE,
          body=approval_models.QuarantineRequest, status=201, recorded_fields=("kind", "name", "reason")),
    Route("DELETE", "/v1/quarantine", "quarantine.lift", "Let new sessions be again. What was ended stays ended.",
          quarantine.remove_quarantine, None, _P.QUARANTINE_WRITE, approval_models.QuarantineQuery, status=204),
)  # fmt: skip

SERVICE: Final = (
    Route("GET", "/healthz", "alive", "Whether the API serves.", service.alive, models.Alive, is_open=True,
          is_recorded=False),
    Route("GET", "/v1/health", "health", "The parts of the stack on this host.", service.health, models.Health,
          _P.HEALTH_READ, is_recorded=False),
    Route("GET", "/v1/whoami", "whoami", "Who asks, and what they may do.", service.who_am_i, models.WhoAmI,
          is_recorded=False),
)  # fmt: skip

SIGN_IN: Final = (
    Route("GET", "/v1/sign-in", "sign_in.settings", "Where people sign in.", sign_in.settings_of,
          identity_models.SignInSettings, is_open=True, is_recorded=False),
    Route("POST", "/v1/sign-in", "sign_in", "Begin a session with an ID token of the provider.", sign_in.sign_in,
          identity_models.SignedIn, is_open=True, prove=sign_in.prove, body=identity_models.IdToken, status=201),
    Route("DELETE", "/v1/sign-in", "sign_out", "End this session.", sign_in.sign_out, None, status=204),
)  # fmt: skip

TOKEN: Final = (
    Route("POST", "/token", "token.exchange", "Exchange a proof of identity for an agent's credential (RFC 8693).",
          token.exchange, identity_models.TokenAnswer, is_open=True, prove=token.prove,
          body=identity_models.TokenRequest, content_type=FORM, form_lists=("audience", "resource"),
          recorded_fields=("audience", "agent", "agent_version", "charter", "run_id", "lifetime")),
)  # fmt: skip

ROUTES: Final = (*RECORD, *RESOURCES, *CREDENTIALS, *POLICIES, *APPROVALS, *QUARANTINE, *SERVICE, *SIGN_IN, *TOKEN)
