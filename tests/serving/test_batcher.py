"""Every request gets its own answer, in any interleaving."""

import gc
import threading
import time
import weakref
from concurrent.futures import CancelledError, wait

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.batcher import Batcher, BatchSettings, Request
from serving.errors import Expired, Failed, NotReady, QueueFull
from tasks.core.errors import DataError

LONG = 30.0  # seconds after which a test is given up


class Echo:
    """Answers each text with its own name and the text; fails on texts with `poison`. Holds still while `gate` is."""

    def __init__(self, name="echo"):
        self.name, self.batches, self.gate = name, [], threading.Event()
        self.entered = threading.Semaphore(0)
        self.gate.set()

    def compute(self, texts):
        self.entered.release()
        assert self.gate.wait(LONG)
        self.batches.append(list(texts))
        if any("poison" in text for text in texts):
            raise RuntimeError("no memory\nfor this")
        return [(self.name, text) for text in texts]

    def cost(self, text):
        return len(text)

    def hold(self, batcher):
        """Keep the only worker busy until the gate is set; returns the request that does so."""
        self.gate.clear()
        first = ask(batcher, self, ["first"])
        assert self.entered.acquire(timeout=LONG)
        return first


def ask(batcher, engine, texts, seconds=LONG, **options):
    request = Request(engine, texts, time.monotonic() + seconds, list, **options)
    batcher.submit(request)
    return request


@pytest.fixture
def start():
    made = []

    def _start(**given):
        made.append(Batcher(BatchSettings(**{"workers": 1, **given}), "test"))
        return made[-1]

    yield _start
    for batcher in made:
        assert batcher.close(timeout=LONG)


ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), st.integers(1, 9), st.sampled_from([LONG, LONG, -1.0]), st.integers(0, 20)),
        st.tuples(st.just("poison"), st.integers(1, 9), st.just(LONG), st.integers(0, 20)),
        st.tuples(st.just("later"), st.integers(1, 9), st.just(LONG), st.integers(0, 20)),
        st.tuples(st.just("cancel"), st.integers(0, 30)),
        st.tuples(st.just("rest"), st.integers(0, 2)),
    ),
    max_size=30,
)


@settings(max_examples=150, deadline=None)
@given(
    actions=ACTIONS, workers=st.integers(1, 3), most=st.integers(1, 6), tokens=st.integers(1, 120),
    queue=st.integers(1, 40), drain=st.booleans(),
)  # fmt: skip
def test_every_request_gets_its_own_answer(actions, workers, most, tokens, queue, drain):
    engines = [Echo("a"), Echo("b")]
    batcher = Batcher(BatchSettings(workers=workers, max_texts=most, max_tokens=tokens, queue_texts=queue), "test")
    asked = []
    for number, (action, *given_) in enumerate(actions):
        if action == "cancel":
            if asked:
                asked[given_[0] % len(asked)][1].future.cancel()
        elif action == "rest":
            time.sleep(given_[0] / 2000)
        else:
            size, seconds, length = given_
            texts = [f"{number} {place} {'x' * length} {action}" for place in range(size)]
            try:
                request = ask(batcher, engines[number % 2], texts, seconds, later=action == "later")
                asked.append((action, request, seconds < 0))
            except QueueFull as full:
                assert full.retry_after > 0
    assert batcher.close(drain, timeout=LONG)
    for action, request, late in asked:
        own = [(request.engine.name, text) for text in request.texts]
        computed = [text for batch in request.engine.batches for text in batch]
        assert request.future.done()
        if request.future.cancelled():
            continue
        error = request.future.exception()
        if late:
            assert isinstance(error, Expired if drain else (Expired, NotReady))
            assert not set(request.texts) & set(computed)
        elif error is None:
            assert action != "poison"
            assert request.future.result() == own
            assert all(computed.count(text) >= 1 for text in request.texts)
        else:
            assert isinstance(error, Failed if drain else (Failed, NotReady))
            assert action == "poison" or isinstance(error, NotReady)
    assert batcher.waiting == 0
    for engine in engines:
        assert all(len(batch) <= most for batch in engine.batches)


def test_many_threads_at_once(start):
    batcher, engine = start(workers=3, max_texts=5, queue_texts=100_000), Echo()
    wrong = []

    def client(name):
        for n in range(100):
            texts = [f"{name} {n} {place}" for place in range(n % 7 + 1)]
            if ask(batcher, engine, texts).future.result(LONG) != [("echo", text) for text in texts]:
                wrong.append(texts)

    threads = [threading.Thread(target=client, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG)
    assert not wrong
    assert batcher.waiting == 0


def test_what_waits_is_computed_together_and_an_idle_worker_waits_for_nobody(start):
    batcher, engine = start(max_texts=4), Echo()
    first = engine.hold(batcher)
    others = [ask(batcher, engine, [f"{n}"]) for n in range(6)]
    engine.gate.set()
    wait([first.future, *(request.future for request in others)], LONG)
    assert engine.batches == [["first"], ["0", "1", "2", "3"], ["4", "5"]]


def test_what_waits_is_shared_out_among_the_workers(start):
    batcher, engine = start(workers=2), Echo()
    engine.gate.clear()
    held = [ask(batcher, engine, ["held"]) for _ in range(2)]
    for _ in held:
        assert engine.entered.acquire(timeout=LONG)
    waiting = [ask(batcher, engine, [f"text {n}"]) for n in range(8)]
    engine.gate.set()
    for request in (*held, *waiting):
        request.future.result(LONG)
    assert max(len(batch) for batch in engine.batches) == 4


def test_tokens_bound_a_batch(start):
    batcher, engine = start(max_tokens=10), Echo()
    first = engine.hold(batcher)
    texts = ["x" * 4, "x" * 4, "x" * 4, "x" * 50, "x" * 2]
    others = [ask(batcher, engine, [text]) for text in texts]
    engine.gate.set()
    wait([first.future, *(request.future for request in others)], LONG)
    assert [[len(text) for text in batch] for batch in engine.batches[1:]] == [[4, 4], [4], [50], [2]]


def test_a_small_request_does_not_wait_for_all_of_a_large_one(start):
    batcher, engine = start(max_texts=4), Echo()
    first = engine.hold(batcher)
    large = ask(batcher, engine, [f"large {n}" for n in range(100)])
    small = ask(batcher, engine, ["small"])
    engine.gate.set()
    assert small.future.result(LONG) == [("echo", "small")]
    assert large.future.result(LONG) == [("echo", f"large {n}") for n in range(100)]
    assert first.future.done()
    assert [n for n, batch in enumerate(engine.batches) if "small" in batch] == [2]


def test_all_workers_take_part_in_a_large_request(start):
    batcher, engine = start(workers=3, max_texts=1), Echo()
    engine.gate.clear()
    large = ask(batcher, engine, [f"{n}" for n in range(4)])
    assert all(engine.entered.acquire(timeout=LONG) for _ in range(3))
    engine.gate.set()
    assert large.future.result(LONG) == [("echo", f"{n}") for n in range(4)]


def test_a_request_that_fails_harms_no_other(start):
    batcher, engine = start(), Echo()
    engine.hold(batcher)
    good, bad, other = (ask(batcher, engine, [text]) for text in ("good", "poison", "other"))
    engine.gate.set()
    assert good.future.result(LONG) == [("echo", "good")]
    assert other.future.result(LONG) == [("echo", "other")]
    with pytest.raises(Failed, match="RuntimeError"):
        bad.future.result(LONG)
    assert ask(batcher, engine, ["again"]).future.result(LONG) == [("echo", "again")]


def test_what_expired_or_was_cancelled_in_the_queue_is_not_computed(start):
    batcher, engine = start(), Echo()
    engine.hold(batcher)
    late, cancelled, kept = (
        ask(batcher, engine, [text], s) for text, s in (("late", 0.01), ("gone", LONG), ("kept", LONG))
    )
    assert cancelled.future.cancel()
    assert wait_until(lambda: time.monotonic() > late.deadline)
    engine.gate.set()
    assert kept.future.result(LONG) == [("echo", "kept")]
    with pytest.raises(Expired, match="not computed"):
        late.future.result(LONG)
    with pytest.raises(CancelledError):
        cancelled.future.result(LONG)
    assert engine.batches == [["first"], ["kept"]]


def test_a_large_request_ends_between_its_batches_when_it_is_cancelled(start):
    batcher, engine = start(max_texts=1), Echo()
    engine.gate.clear()
    large = ask(batcher, engine, [f"{n}" for n in range(50)])
    assert engine.entered.acquire(timeout=LONG)
    assert large.future.cancel()
    engine.gate.set()
    assert ask(batcher, engine, ["next"]).future.result(LONG) == [("echo", "next")]
    assert engine.batches == [["0"], ["next"]]
    assert batcher.waiting == 0


def test_a_full_queue_says_when_to_come_back(start):
    batcher, engine = start(queue_texts=3), Echo()
    engine.hold(batcher)
    held = [ask(batcher, engine, ["a", "b"]), ask(batcher, engine, ["c"])]
    with pytest.raises(QueueFull, match="3 texts wait already") as full:
        ask(batcher, engine, ["d"])
    assert full.value.retry_after > 0
    engine.gate.set()
    wait([request.future for request in held], LONG)
    assert ask(batcher, engine, [f"{n}" for n in range(10)]).future.result(LONG)  # an empty queue takes any


def test_the_time_to_come_back_is_what_waits_at_the_speed_of_late(start):
    batcher, engine = start(), Echo()
    batcher._measure(100, 0.5)
    assert batcher._retry_after() == pytest.approx(0.1)
    engine.hold(batcher)
    ask(batcher, engine, ["x"] * 600)
    assert batcher._retry_after() == pytest.approx(3.0)
    engine.gate.set()


def test_what_is_for_later_waits_for_everything_else(start):
    batcher, engine = start(max_texts=1), Echo()
    engine.hold(batcher)
    later = ask(batcher, engine, ["later"], later=True)
    assert batcher.waiting == 0
    others = [ask(batcher, engine, [f"{n}"]) for n in range(3)]
    engine.gate.set()
    wait([later.future, *(request.future for request in others)], LONG)
    assert engine.batches == [["first"], ["0"], ["1"], ["2"], ["later"]]


def test_close_finishes_what_is_queued(start):
    batcher, engine = start(max_texts=1), Echo()
    engine.hold(batcher)
    held = [ask(batcher, engine, [f"{n}"]) for n in range(5)]
    closing = threading.Thread(target=batcher.close)
    closing.start()
    assert wait_until(lambda: batcher._closed)
    with pytest.raises(NotReady, match="about to stop"):
        ask(batcher, engine, ["too late"])
    engine.gate.set()
    closing.join(LONG)
    assert [request.future.result(LONG) for request in held] == [[("echo", f"{n}")] for n in range(5)]


def test_close_gives_up_what_it_has_no_time_for(start):
    batcher, engine = start(), Echo()
    first = engine.hold(batcher)
    held = ask(batcher, engine, ["held"])
    assert not batcher.close(timeout=0.01)
    with pytest.raises(NotReady, match="stopped before"):
        held.future.result(LONG)
    engine.gate.set()
    assert first.future.result(LONG) == [("echo", "first")]


def test_an_engine_is_let_go_with_its_last_request(start):
    batcher, engine = start(), Echo()
    assert ask(batcher, engine, ["a"]).future.result(LONG)
    alive = weakref.ref(engine)
    del engine
    assert wait_until(lambda: gc.collect() is not None and alive() is None)


def test_a_request_without_a_text_is_refused():
    with pytest.raises(DataError, match="at least one text"):
        Request(Echo(), [], 0.0, list)


def test_workers_by_the_cores_that_the_process_may_use(monkeypatch, tmp_path):
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: range(8), raising=False)
    monkeypatch.setattr("serving.batcher.QUOTA", tmp_path / "cpu.max")
    assert BatchSettings().side_by_side == 8
    assert BatchSettings(threads=4).side_by_side == 2
    assert BatchSettings(threads=16).side_by_side == 1
    assert BatchSettings(workers=3).side_by_side == 3
    for share, workers in (("max 100000", 8), ("150000 100000", 2), ("50000 100000", 1), ("6400000 100000", 8)):
        (tmp_path / "cpu.max").write_text(f"{share}\n")
        assert BatchSettings().side_by_side == workers


def wait_until(true, seconds=LONG):
    ends = time.monotonic() + seconds
    while not (found := true()) and time.monotonic() < ends:
        time.sleep(0.002)
    return found
