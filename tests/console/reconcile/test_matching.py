import random
from collections.abc import Iterable

import pytest

from console.reconcile import matching
from console.reconcile.matching import Bounds, Done, match
from console.reconcile.sighting import Sighting
from schemas.errors import ConfigError

S = 1_000_000
EVER = 1 << 60


def done(at: float, shape: str = "a", took: float = 0.1, **values: object) -> Done:
    return Done(int(at * S), int((at + took) * S), shape, "s1", 1, **values)  # type: ignore[arg-type]


def seen(at: float, shape: str = "a", **values: object) -> Sighting:
    return Sighting(int(at * S), shape, shape, **values)  # type: ignore[arg-type]


def run(trail: Iterable[Done], target: Iterable[Sighting], skew: float = 1.0, **bounds: object) -> matching.Outcome:
    limits = {"since": 0, "until": EVER} | bounds
    return match(trail, target, Bounds(skew_us=int(skew * S), **limits), 100)  # type: ignore[arg-type]


def test_each_action_explains_one_sighting() -> None:
    found = run([done(10), done(11, "b")], [seen(10), seen(10.05), seen(11, "b")])
    assert (found.matched, found.only_target, found.only_trail) == (2, 1, 0)
    assert [item.at for item in found.target_items] == [10_050_000]
    assert found.coverage == pytest.approx(200 / 3)


def test_clocks_may_differ_by_the_bound_and_no_more() -> None:
    assert run([done(10)], [seen(9.1)]).matched == 1
    assert run([done(10)], [seen(11.05)]).matched == 1
    assert run([done(10)], [seen(8.9), seen(30, "z")]).only_target == 2
    assert run([done(10)], [seen(11.2), seen(30, "z")]).only_target == 2
    assert run([done(10.9)], [seen(9, slack_us=S)]).matched == 1


def test_a_long_action_is_waited_for_and_others_of_its_shape_are_not_lost() -> None:
    long = done(10, took=100)
    found = run([long, *(done(20 + n, "b") for n in range(50))], [seen(20 + n, "b") for n in range(50)] + [seen(90)])
    assert (found.matched, found.only_target, found.only_trail) == (51, 0, 0)
    assert run([long], [seen(5), seen(90), seen(120, "z")]).only_target == 2


def test_what_is_only_in_the_trail_is_told_within_the_time_that_the_evidence_covers() -> None:
    trail = [done(1), done(10), done(20), done(30), done(99)]
    found = run(trail, [seen(10), seen(30)])
    assert (found.matched, found.only_trail, [item.at for item in found.trail_items]) == (2, 1, [20 * S])


def test_what_failed_may_be_there_or_not() -> None:
    trail = [done(10), done(11, is_certain=False), done(12, "c", is_certain=False), done(15)]
    found = run(trail, [seen(10), seen(12, "c"), seen(15)])
    assert (found.matched, found.only_trail, found.uncertain) == (3, 0, 1)


def test_users_databases_and_addresses_tell_apart() -> None:
    trail = [done(10, user="app", database="orders")]
    assert run(trail, [seen(10, user="app", database="orders")]).matched == 1
    assert run(trail, [seen(10, user="root", database="orders")]).only_target == 1
    assert run(trail, [seen(10, user="app", database="other")]).only_target == 1
    assert run(trail, [seen(10)]).matched == 1
    near = frozenset({"10.0.0.1"})
    found = run(trail, [seen(10, source="10.0.0.9"), seen(10.1, source="10.0.0.1")], proxies=near)
    assert (found.matched, [item.source for item in found.target_items]) == (1, ["10.0.0.9"])


def test_of_two_that_would_do_the_proxys_own_connection_is_taken() -> None:
    trail = [done(10, "x"), done(20)]
    target = [seen(10, "x", session="proxy"), seen(20, session="direct", line=7), seen(20.05, session="proxy")]
    assert [item.line for item in run(trail, target).target_items] == [7]


def test_only_the_time_asked_for_counts() -> None:
    trail = [done(5), done(10), done(15)]
    target = [seen(5), seen(10), seen(15), seen(15.5)]
    found = run(trail, target, since=10 * S, until=15 * S)
    assert (found.matched, found.only_target) == (1, 0)


def test_a_log_out_of_order_is_refused_and_a_little_is_not() -> None:
    assert run([done(10), done(11, "b")], [seen(11, "b"), seen(10.5)]).matched == 2
    with pytest.raises(ConfigError, match=r"line 3 .* 10\.1 s older"):
        run([], [seen(10), seen(20), seen(9.9, line=3)])


def test_what_waits_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "MAX_PENDING", 100)
    found = run((done(n) for n in range(1, 5000)), (seen(n) for n in range(1, 5000)))
    assert (found.matched, found.only_target) == (4999, 0)
    assert run((done(n) for n in range(1, 5000)), [seen(1), seen(4999)]).matched == 2
    assert run([], (seen(n) for n in range(1, 5000))).only_target == 4999
    with pytest.raises(ConfigError, match="wait for their counterpart"):
        run([], (seen(10 + n / 1e4, str(n)) for n in range(200)))


@pytest.mark.parametrize("seed", range(5))
def test_every_direct_action_is_counted_among_many(seed: int) -> None:
    chance = random.Random(seed)
    times = sorted(chance.uniform(100, 160) for _ in range(3000))
    trail, target, direct = [], [], 0
    for at in times:
        shape = chance.choice("abcdef")
        took = chance.choice((0.001, 0.01, 3.0))
        if chance.random() < 0.05:
            direct += 1
        else:
            trail.append(done(at, shape, took))
        target.append(seen(at + chance.uniform(-0.4, 0.4) + chance.uniform(0, took), shape))
    target.sort(key=lambda item: item.at + chance.uniform(0, 0.2) * S)
    found = run(sorted(trail, key=lambda item: item.at), target, skew=0.5)
    assert (found.only_target, found.matched) == (direct, len(trail))
