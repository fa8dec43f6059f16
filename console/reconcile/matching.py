"""Pairing what the trail says was done with what the target says it was asked. Pure; memory is bounded by time.

Both sides come in the order of time. An action of the trail may be seen at the target from its request to its outcome,
widened by the bound of the clocks' difference; each sighting is taken for one action at most, and each action by one
sighting, so that as many as can be are explained. Which of several has no counterpart is then a guess: the one is named
whose connection has explained less so far.
"""

from bisect import bisect_left
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Final

from console.reconcile.sighting import Sighting
from schemas.errors import ConfigError

MAX_PENDING: Final = 500_000
"""Actions and sightings that wait for their counterpart at one time."""
MAX_CONNECTIONS: Final = 100_000
"""Connections of the target of which it is remembered whether they were the proxy's."""
KEPT_PAIRS: Final = 64
MAX_SHAPES: Final = 10_000
MAX_SLACK_US: Final = 1_000_000
"""The coarsest time of a sighting."""


@dataclass(frozen=True, slots=True)
class Done:
    """An action of the trail. `at`, `until`: request and outcome, µs since the epoch. `is_certain`: it was carried out.

    What failed or was cut off may have reached the target or not; what was refused must not be given at all. `texts`:
    the statements of one that is several.
    """

    at: int
    until: int
    shape: str
    session_id: str
    seq: int
    agent: str = ""
    user: str = ""
    database: str = ""
    is_certain: bool = True
    texts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Bounds:
    """What is compared: [since, until) in µs, the largest difference of the clocks, and the proxies' addresses.

    With addresses or `user`, what came from anywhere else, or as anybody else, passed no proxy, whatever it looks
    like.
    """

    since: int
    until: int
    skew_us: int
    proxies: frozenset[str] = frozenset()
    user: str = ""


@dataclass(slots=True)
class Outcome:
    """Counts, and the first of each kind that have no counterpart, in order of time."""

    matched: int = 0
    only_target: int = 0
    only_trail: int = 0
    uncertain: int = 0
    first: int = 0
    last: int = 0
    target_items: list[Sighting] = field(default_factory=list)
    trail_items: list[Done] = field(default_factory=list)

    @property
    def coverage(self) -> float | None:
        """Percent of what the target saw that passed a proxy; None when it saw nothing."""
        seen = self.matched + self.only_target
        return self.matched / seen * 100 if seen else None


def match(trail: Iterable[Done], sightings: Iterable[Sighting], bounds: Bounds, max_items: int) -> Outcome:
    """Pair them. Compared is the time from the first sighting to the last, within the bounds.

    Raises ConfigError when too much waits at one time, or when sightings go back in time.
    """
    matching = _Matching(bounds, max_items)
    actions = iter(trail)
    action = next(actions, None)
    last = 0
    for sighting in in_order(sightings, bounds.skew_us):
        last = sighting.at
        matching.begin(last)
        while action is not None and action.at - bounds.skew_us <= last + sighting.slack_us:
            matching.expect(action, last)
            action = next(actions, None)
        matching.see(sighting)
    return matching.finish(last)


def in_order(sightings: Iterable[Sighting], late_us: int) -> Iterator[Sighting]:
    """Sightings by time; the log's lines may be `late_us` late. Raises ConfigError for later ones."""
    waiting: list[tuple[int, int, Sighting]] = []
    newest = given = 0
    for sighting in sightings:
        newest = max(newest, sighting.at)
        if sighting.at < given:
            raise ConfigError(
                f"line {sighting.line} of the evidence is {(newest - sighting.at) / 1e6:.1f} s older than what comes "
                "before: give the files in order of time, or a larger --skew"
            )
        heappush(waiting, (sighting.at, sighting.line, sighting))
        if len(waiting) > MAX_PENDING:
            raise _too_much()
        while waiting[0][0] < newest - late_us:
            given, _, oldest = heappop(waiting)
            yield oldest
    while waiting:
        yield heappop(waiting)[2]


class _Matching:
    """The state of one run over both sides."""

    def __init__(self, bounds: Bounds, max_items: int) -> None:
        self._since, self._until, self._skew_us = bounds.since, bounds.until, bounds.skew_us
        self._proxies, self._user, self._max_items = bounds.proxies, bounds.user, max_items
        self._outcome = Outcome()
        self._actions: dict[str, list[tuple[int, int, Done]]] = defaultdict(list)  # by shape, a heap by their end
        self._seen: dict[str, list[Sighting]] = defaultdict(list)  # by shape, in order of time
        self._pairs: dict[str, deque[tuple[Done, Sighting]]] = {}  # by shape, the last ones
        self._open_since: dict[str, int] = {}  # by shape, no action that is still on began earlier
        self._ends: list[tuple[int, int, str]] = []  # of all actions: a heap
        self._ages: list[tuple[int, int, str]] = []  # (when to look, at, shape) of all sightings: a heap
        self._known: dict[str, int] = {}
        self._count = self._pending = 0

    def begin(self, at: int) -> None:
        """A sighting comes: with the first one inside, what is compared begins."""
        if not self._outcome.first and self._is_inside(at):
            self._outcome.first = self._since = at

    def expect(self, action: Done, before: int) -> None:
        """An action of the trail; earlier than the sightings that can be it. All sightings `before` then are seen."""
        if self._pending > MAX_PENDING // 2:
            self._settle(before - 1)
        self._count += 1
        end = action.until + self._skew_us
        heappush(self._actions[action.shape], (end, self._count, action))
        heappush(self._ends, (end, self._count, action.shape))
        self._wait()

    def see(self, sighting: Sighting) -> None:
        """A sighting; the actions before it are known."""
        self._settle(sighting.at - 1)
        if not self._since - self._skew_us <= sighting.at < self._until + self._skew_us:
            return
        if self._is_inside(sighting.at):
            self._outcome.last = sighting.at
        if self._is_foreign(sighting):
            self._unexplained(sighting)
            return
        self._seen[sighting.shape].append(sighting)
        heappush(self._ages, (sighting.at + 2 * self._skew_us, sighting.at, sighting.shape))
        self._wait()

    def finish(self, last: int) -> Outcome:
        """Everything that still waits is settled. What the trail has after the last sighting is not judged."""
        self._until = min(self._until, last + 1)
        self._settle(None)
        for seen in self._seen.values():
            for sighting in seen:
                self._give_up(sighting)
        self._outcome.target_items.sort(key=lambda item: (item.at, item.line))
        return self._outcome

    def _is_foreign(self, sighting: Sighting) -> bool:
        return bool(self._proxies and sighting.source and sighting.source not in self._proxies) or bool(
            self._user and sighting.user and sighting.user != self._user
        )

    def _is_inside(self, at: int) -> bool:
        return self._since <= at < self._until

    def _wait(self) -> None:
        self._pending += 1
        if self._pending > MAX_PENDING:
            raise _too_much()

    def _settle(self, upto: int | None) -> None:
        """Decide on actions whose time at the target is over, and on sightings that no action can be any more."""
        while self._ends and (upto is None or self._ends[0][0] <= upto):
            shape = heappop(self._ends)[2]
            self._decide(heappop(self._actions[shape])[2])
            if not self._actions[shape]:
                del self._actions[shape]
                self._open_since.pop(shape, None)
        while self._ages and upto is not None and self._ages[0][0] <= upto:
            _, at, shape = heappop(self._ages)
            self._let_go(at, shape, upto)

    def _let_go(self, at: int, shape: str, now: int) -> None:
        """Give up on the sightings of a shape up to `at`, unless an action that is still on may be one of them."""
        seen = self._seen.get(shape)
        if not seen or seen[0].at > at:
            return
        gone = 0
        while gone < len(seen) and seen[gone].at <= at:
            if not self._is_over(seen[gone], shape):
                heappush(self._ages, (now + 2 * self._skew_us, at, shape))
                break
            gone += 1
        for sighting in seen[:gone]:
            self._give_up(sighting)
        del seen[:gone]
        self._pending -= gone
        if not seen:
            del self._seen[shape]

    def _is_over(self, sighting: Sighting, shape: str) -> bool:
        """Whether no action of the shape that is still on began early enough. Actions come in the order of time."""
        actions = self._actions.get(shape)
        upto = sighting.at + sighting.slack_us + self._skew_us
        if not actions or upto < self._open_since.get(shape, 0):
            return True
        self._open_since[shape] = min(action.at for _, _, action in actions)
        return upto < self._open_since[shape]

    def _give_up(self, sighting: Sighting) -> None:
        """A sighting without an action; or one in its place, whose connection is less known."""
        pairs = self._pairs.get(sighting.shape) or deque()
        score = self._known.get(sighting.session, 0)
        for number, (action, other) in enumerate(pairs if sighting.session else ()):
            if sighting.session == other.session:
                continue
            if self._known.get(other.session, 0) - 1 < score and self._may_be(action, sighting):
                pairs[number] = (action, sighting)
                self._remember(sighting.session, 1)
                self._remember(other.session, -1)
                self._outcome.matched += self._is_inside(sighting.at) - self._is_inside(other.at)
                sighting = other
                break
        self._unexplained(sighting)

    def _decide(self, action: Done) -> None:
        self._pending -= 1
        taken = self._take(action)
        inside = self._outcome.first and self._is_inside(action.at) and action.until < self._until
        if taken is not None:
            self._pending -= 1
            self._remember(taken.session, 1)
            self._keep(action, taken)
            self._outcome.matched += self._is_inside(taken.at)
        elif inside and not action.is_certain:
            self._outcome.uncertain += 1
        elif inside:
            self._outcome.only_trail += 1
            if len(self._outcome.trail_items) < self._max_items:
                self._outcome.trail_items.append(action)

    def _take(self, action: Done) -> Sighting | None:
        """The first sighting that an action may be, which is gone then. Called in the order of ends."""
        seen = self._seen.get(action.shape, [])
        first = bisect_left(seen, action.at - self._skew_us - MAX_SLACK_US, key=_time_of)
        for number in range(first, len(seen)):
            if seen[number].at > action.until + self._skew_us:
                break
            if self._may_be(action, seen[number]):
                return seen.pop(number)
        return None

    def _may_be(self, action: Done, sighting: Sighting) -> bool:
        return (
            action.at - self._skew_us <= sighting.at + sighting.slack_us
            and sighting.at <= action.until + self._skew_us
            and _fits(action, sighting)
        )

    def _keep(self, action: Done, sighting: Sighting) -> None:
        if len(self._pairs) > MAX_SHAPES:
            self._pairs.clear()
        self._pairs.setdefault(action.shape, deque(maxlen=KEPT_PAIRS)).append((action, sighting))

    def _remember(self, session: str, count: int) -> None:
        if session and (session in self._known or len(self._known) < MAX_CONNECTIONS):
            self._known[session] = self._known.get(session, 0) + count

    def _unexplained(self, sighting: Sighting) -> None:
        self._remember(sighting.session, -1)
        if not self._is_inside(sighting.at):
            return
        self._outcome.only_target += 1
        if len(self._outcome.target_items) < self._max_items:
            self._outcome.target_items.append(sighting)


def _time_of(sighting: Sighting) -> int:
    return sighting.at


def _fits(action: Done, sighting: Sighting) -> bool:
    """Whether what both sides know of user and database agrees."""
    return (not action.user or not sighting.user or action.user == sighting.user) and (
        not action.database or not sighting.database or action.database == sighting.database
    )


def _too_much() -> ConfigError:
    return ConfigError(
        f"more than {MAX_PENDING:,} actions wait for their counterpart at one time: give a smaller --skew, or less "
        "with --since and --until"
    )
