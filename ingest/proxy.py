"""What every capture proxy process has, whatever it speaks: identity, control, the recorder, its own trail."""

import asyncio
import hmac
import logging
from collections.abc import Callable

from pydantic import ValidationError

from ingest.admission import Admission, SessionRefused
from ingest.approvals import Approvals
from ingest.identity import Identities
from ingest.quarantine import Quarantines
from ingest.secrets.store import SecretStore, make_sources
from ingest.session import Recorder, Session
from ingest.spool import DiskSpool
from masking.tokens import DigestKey
from policy.decide import load_engine
from policy.live import LiveEngine
from schemas.approvals import Decision
from schemas.config import Settings
from schemas.errors import AuditUnavailable
from schemas.events import ControlKind, EventKind, SessionContext
from schemas.holds import describe_hold
from schemas.resources import Resource, Upstream, with_class
from schemas.retention_ages import AgesConflict
from schemas.runtime import Home, now_us, write_private
from schemas.spiffe import TrustDomains
from schemas.wire import kafka
from schemas.wire.control import ControlView
from schemas.wire.publisher import Publisher
from schemas.wire.sealing import make_sealer

log = logging.getLogger(__name__)

COMPONENT = "proxy"


class Proxy:
    """One proxy process. `name` is its run-state name, e.g. proxy-tcp, and its proxy_id."""

    def __init__(self, name: str, settings: Settings, home: Home) -> None:
        self.name = name
        self.settings = settings
        self.home = home
        self.recorder: Recorder
        self.view: ControlView
        self.identities: Identities
        self.salt_key: bytes
        self.on_resource: Callable[[str], None] = lambda name: None
        self.on_revocation: Callable[[str], None] = lambda credential_id: None
        self.on_quarantine: Callable[[], None] = lambda: None
        self.quarantines: Quarantines
        self.engine: LiveEngine
        self.approvals: Approvals
        self.trust_domains = TrustDomains(settings.identity.trust_domains)
        self.secrets = SecretStore(settings.secrets, make_sources(settings, home))
        self._loop = asyncio.get_running_loop()
        self._own: Session
        self._admission: Admission
        self._spool: DiskSpool

    async def start(self) -> None:
        """Follow control and connect to the audit log; record it. Raises Unreachable without a broker."""
        self.view = ControlView(self.settings, self.home, COMPONENT, self._on_control)
        await asyncio.to_thread(self.view.start, self.settings.capture.start_timeout_s)
        self.quarantines = Quarantines(self.view)
        default = self.settings.policy_default
        self.engine = LiveEngine(load_engine(self.settings.policy_file, default), default)
        self.engine.replace(self.view.all(ControlKind.POLICY))
        self._admission = Admission(self.quarantines, self.engine)
        mint_key = self.home.read_key("mint.key")
        self.identities = Identities(self.view, mint_key)
        self.salt_key = hmac.digest(mint_key, b"custody.scram-salt.v1", "sha256")
        self._spool = DiskSpool(self.home.spool / self.name, self.settings.capture.spool_max_bytes)
        sealer = make_sealer(self.name, self.settings, self.home)
        publisher = Publisher(
            kafka.producer_config(self.settings, self.home, COMPONENT), sealer, self.settings.capture, self._spool
        )
        await publisher.start()
        digest_key = DigestKey(self.home.read_key("digest.key"))
        self.recorder = Recorder(publisher, digest_key, self.settings.capture.max_unrecorded_bytes)
        self.approvals = Approvals(self.settings.approvals, digest_key, lambda: self.engine.version)
        self._own = self._open_own_session()

    async def stop(self, timeout_s: float = 10.0) -> None:
        """Record proxy.stopped, wait until everything is durable, stop. What is not durable by then is logged."""
        last = {f"batches.{p.number}": str(p.next_seq) for p in self.recorder.publisher.partitions()}
        try:
            self._own.record(EventKind.PROXY_STOPPED, attributes=last)
            self._own.close("stopped")
        except AuditUnavailable:
            log.error("the stop of the proxy could not be recorded")
        if not await self.recorder.publisher.close(timeout_s):
            log.error("the audit log did not take the last events in %.0f s", timeout_s)
        self.view.close()
        self._spool.close()

    def resources(self, *protocols: str) -> dict[str, Resource]:
        """The registered resources of these protocols, by name and classed; faulty ones are logged and left out."""
        found = {}
        for name, payload in self.view.all(ControlKind.RESOURCE).items():
            try:
                resource = with_class(Resource.model_validate(payload), self.settings.retention)
            except ValidationError:
                log.error("resource %s in control is malformed", name)
                continue
            except AgesConflict as error:
                log.error("resource %s is not served: it %s", name, error)
                continue
            if resource.protocol in protocols:
                found[name] = resource
        return found

    def open_session(self, context: SessionContext, resource: Resource) -> Session:
        """Start a session of an agent. Raises AuditUnavailable, and SessionRefused, which is on record then."""
        try:
            self._admission.check(context, resource)
        except SessionRefused as refused:
            refused.record(self.recorder.open_session(context, resource), resource.name)
            raise
        return self.recorder.open_session(context, resource)

    def _apply_policies(self) -> None:
        """Policies of control, all at once; sessions go on. Recorded in the proxy's own session."""
        if not hasattr(self, "engine"):
            return  # still starting: `start` reads them
        before = self.engine.version
        if not self.engine.replace(self.view.all(ControlKind.POLICY)):
            return
        facts = {"policy.version": self.engine.version, "policy.previous_version": before}
        try:
            self._own.record(EventKind.POLICY_CHANGED, attributes=facts)
        except AuditUnavailable:
            log.error("the change of policy to version %s could not be recorded", self.engine.version)

    def _decide(self, id: str) -> None:
        """Hand on a decision on a held action. Control keeps each under a key of its own, so none hides another."""
        payload = self.view.get(ControlKind.APPROVAL, id)
        if payload is None or not hasattr(self, "approvals"):
            return  # of before this start: nothing of then waits any more
        try:
            self.approvals.decide(Decision.model_validate(payload))
        except ValidationError:
            log.error("decision %s in control is malformed", id)

    def _quarantine(self, id: str) -> None:
        """Somebody is stopped, or no longer: end what must end, and say so in the proxy's own session."""
        if not hasattr(self, "_own"):
            return  # still starting: there is no session yet
        self.on_quarantine()
        entry = self.view.get(ControlKind.QUARANTINE, id)
        told = entry if isinstance(entry, dict) else {}
        kind, _, name = id.partition(":")
        facts = {
            "quarantine.kind": kind,
            "quarantine.name": name,
            "quarantine.state": "lifted" if entry is None else "placed",
            "quarantine.reason": str(told.get("reason", "")),
            "quarantine.by": str(told.get("by", "")),
        }
        try:
            self._own.record(EventKind.QUARANTINE_CHANGED, attributes=facts)
        except AuditUnavailable:
            log.error("the quarantine of %s could not be recorded", id)

    def _note_hold(self, id: str, payload: object) -> None:
        """A legal hold was placed or released: on record in the proxy's own session, whoever wrote it and how."""
        if payload is None or not hasattr(self, "_own"):
            return  # still starting; holds of before are in force, and were recorded then
        try:
            self._own.record(EventKind.LEGAL_HOLD_CHANGED, attributes=describe_hold(id, payload))
        except AuditUnavailable:
            log.error("the change of legal hold %s could not be recorded", id)

    def _open_own_session(self) -> Session:
        publisher = self.recorder.publisher
        previous_epoch = self._swap_epoch(publisher.epoch)
        context = SessionContext(
            session_id=f"{self.name}-{publisher.epoch}",
            principal="custody",
            agent=self.name,
            resource="custody",
            protocol="custody",
            opened_at=now_us(),
            retention_class=self.settings.retention.find_class("custody", "custody", {}),
        )
        own = Resource(
            name="custody",
            protocol="tcp",
            principal="custody",
            listen=0,
            upstream=Upstream(host="none", port=1),
            record="best_effort",
        )
        session = self.recorder.open_session(context, own)
        facts = {"epoch": publisher.epoch, "previous_epoch": previous_epoch, **self.settings.retention.describe()}
        session.record(EventKind.PROXY_STARTED, attributes=facts)
        return session

    def _swap_epoch(self, epoch: str) -> str:
        """Remember this epoch for the next start; the one remembered, empty at the first."""
        path = self.home.spool / self.name / "epoch"
        previous = path.read_text() if path.is_file() else ""
        write_private(path, epoch.encode())
        return previous

    def _on_control(self, kind: ControlKind, id: str) -> None:  # in the view's thread
        if kind is ControlKind.RESOURCE:
            self._loop.call_soon_threadsafe(lambda: self.on_resource(id))
        elif kind is ControlKind.POLICY:
            self._loop.call_soon_threadsafe(self._apply_policies)
        elif kind is ControlKind.QUARANTINE:
            self._loop.call_soon_threadsafe(self._quarantine, id)
        elif kind is ControlKind.LEGAL_HOLD:
            self._loop.call_soon_threadsafe(self._note_hold, id, self.view.get(kind, id))
        elif kind is ControlKind.APPROVAL:
            self._loop.call_soon_threadsafe(self._decide, id)
        elif kind in (ControlKind.REVOCATION, ControlKind.CREDENTIAL):
            self._loop.call_soon_threadsafe(lambda: self.on_revocation(id))
