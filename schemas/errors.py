"""The few errors of Custody. Each says who is at fault and whether trying again can help."""

from enum import Enum


class Fault(Enum):
    """Who has to act."""

    CALLER = "caller"  # bad input, bad config, missing right
    PEER = "peer"  # an agent, an upstream, a broker, a store
    CUSTODY = "custody"  # a defect here


class CustodyError(Exception):
    """Base of all; `fault` and `is_retryable` are facts of the class."""

    fault = Fault.CUSTODY
    is_retryable = False


class ConfigError(CustodyError):
    """Settings are wrong; the message lists every fault with its path."""

    fault = Fault.CALLER


class RecordError(CustodyError):
    """Bytes are not the Avro record they should be."""

    fault = Fault.PEER


class SealError(CustodyError):
    """A sealed batch cannot be opened: wrong key, altered bytes, unknown suite."""

    fault = Fault.PEER


class KeyMissing(SealError):
    """The unsealing key is not here (yet): wait, do not skip."""

    fault = Fault.CALLER
    is_retryable = True


class ForgedError(CustodyError):
    """A signature does not verify, or its writer may not write this."""

    fault = Fault.PEER


class AuditUnavailable(CustodyError):
    """An event cannot be made durable in time: the action must not go on."""

    fault = Fault.PEER
    is_retryable = True


class LogGap(CustodyError):
    """A log misses a record or is another log: the reader stops with an alarm."""

    fault = Fault.PEER


class Unreachable(CustodyError):
    """A broker, store or upstream does not answer."""

    fault = Fault.PEER
    is_retryable = True


class ProofError(CustodyError):
    """A proof, checkpoint or leaf does not verify, or is malformed."""

    fault = Fault.PEER
