"""Lines follow their pointers: swapped under load, refused when wrong, withdrawn when the pointer goes."""

import gc
import shutil
import threading
import time
import weakref

import numpy as np
import pytest
from prometheus_client import generate_latest
from releases import LINE, PATIENCE, Kept, beside, flipped, pointer, put, wait_until

from serving.batcher import BatchSettings
from serving.errors import Expired, Failed, NotReady, QueueFull, UnknownLine
from serving.hub import Hub
from serving.metrics import Metrics
from serving.served import Served
from tasks.core.errors import TidegateError
from tasks.inference import Model

TEXTS = ["the film is great and warm", "awful", "the story is dull and cold " * 8, "odd music", "lovely cast"]


@pytest.fixture
def folder(released, tmp_path):
    """A serving folder with two releases that answer the opposite of each other, and nothing that points to them."""
    bundle = released / "data/sentiment/release/bundle"
    serving, ids = put(tmp_path / "serving", bundle, flipped(bundle, tmp_path / "flipped"))
    serving.ids, serving.home = ids, tmp_path / "serving" / LINE
    return serving


@pytest.fixture
def start(folder, tmp_path):
    """Starts a hub with a pointer to the first release, or to what is given."""
    hubs = []

    def _start(*pointers, settings=None, recorder=None, **options):
        for each in pointers or (pointer(folder.ids[0]),):
            folder.point(each)
        settings = BatchSettings(workers=2, **(settings or {}))
        hub = Hub(folder, tmp_path / "cache", settings, Metrics(), recorder or Kept(), poll_seconds=0.02, **options)
        hubs.append(hub)
        hub.start()
        return hub

    yield _start
    for hub in hubs:
        hub.stop(PATIENCE)


def ask(hub, texts=("the film is great",), seconds=PATIENCE, key=None, request_id="r"):
    return hub.line(LINE).submit(
        list(texts), request_id=request_id, source="tests", deadline=time.monotonic() + seconds, key=key
    )


def answer(hub, *args, **options):
    return ask(hub, *args, **options).result(PATIENCE)


def serves(hub, release):
    """Wait until a release is the line's champion."""
    return wait_until(lambda: (champion := hub.line(LINE).champion) is not None and champion.release == release)


def refused(hub, release):
    return wait_until(lambda: (r := hub.line(LINE).refused) is not None and r.release == release and r)


def value(hub, name, **labels):
    return hub.metrics.registry.get_sample_value(name, {"line": LINE, **labels}) or 0.0


def test_an_answer_says_what_it_comes_from_and_is_logged_before_it_is_given(start, folder):
    kept = Kept()
    hub = start(pointer(folder.ids[0], version="v0.1.0"), recorder=kept)
    assert hub.ready()
    assert hub.lines() == [LINE]
    future = ask(hub, ["write to jane@example.com", "awful"], request_id="abc")
    reply = future.result(PATIENCE)
    assert (reply.release, reply.version, reply.variant, reply.role) == (folder.ids[0], "v0.1.0", "fp32", "champion")
    (logged,) = kept.answers
    assert logged.texts == ["write to [EMAIL]", "awful"]
    assert (logged.request_id, logged.source, logged.role, logged.line) == ("abc", "tests", "champion", LINE)
    assert logged.labels == reply.labels
    assert np.array_equal(logged.probabilities, reply.probabilities)
    assert logged.embeddings.shape[0] == 2
    assert logged.latency_ms > 0
    assert reply.labels == [reply.classes[n] for n in reply.probabilities.argmax(axis=1)]


def test_an_answer_that_cannot_be_logged_is_given_all_the_same(start):
    class Broken(Kept):
        def answered(self, answers):
            raise OSError("no room")

    assert answer(start(recorder=Broken())).labels


def test_metrics_of_an_answer(start, folder):
    hub = start()
    reply = answer(hub, TEXTS)
    counted = {name: value(hub, "tidegate_labels_total", release=folder.ids[0], role="champion", label=name)
               for name in reply.classes}  # fmt: skip
    assert counted == {name: reply.labels.count(name) for name in reply.classes}
    assert value(hub, "tidegate_confidence_count", release=folder.ids[0]) == len(TEXTS)
    assert wait_until(lambda: value(hub, "tidegate_batch_texts_sum") == len(TEXTS))
    assert b'tidegate_queue_texts{line="sentiment"} 0.0' in generate_latest(hub.metrics.registry)


def test_swaps_under_load_fail_nothing_and_mix_nothing(start, folder):
    kept = Kept()
    hub = start(recorder=kept)
    expected = {
        release: Model.load(folder.home / "releases" / release, "fp32", threads=1).predict(TEXTS)
        for release in folder.ids
    }
    stop, problems, asked, met = threading.Event(), [], [], set()

    def client(n):
        while not stop.is_set():
            places = [(n + step) % len(TEXTS) for step in range(1 + n % 4)]
            try:
                reply = answer(hub, [TEXTS[place] for place in places])
            except Exception as error:
                problems.append(error)
                return
            right = expected[reply.release]
            asked.append(1)
            met.add(reply.release)
            if reply.labels != list(right.labels[places]):
                problems.append(reply)
            if not np.allclose(reply.probabilities, right.probabilities[places], atol=1e-4):
                problems.append(reply)

    clients = [threading.Thread(target=client, args=(n,)) for n in range(6)]
    for thread in clients:
        thread.start()
    before = [weakref.ref(hub.line(LINE).champion)]
    for swap in range(1, 7):
        folder.point(pointer(folder.ids[swap % 2]))
        assert serves(hub, folder.ids[swap % 2])
        before.append(weakref.ref(hub.line(LINE).champion))
    stop.set()
    for thread in clients:
        thread.join(PATIENCE)
    assert not problems
    assert met == set(folder.ids)
    assert len(kept.answers) == len(asked)
    assert wait_until(lambda: gc.collect() is not None and all(served() is None for served in before[:-1]))
    assert value(hub, "tidegate_swaps_total", outcome="swapped") == 7
    infos = [s.labels["release"] for m in hub.metrics.release.collect() for s in m.samples]
    assert infos == [folder.ids[0]]


def test_what_is_queued_is_answered_by_the_release_that_it_met(start, folder, monkeypatch):
    hub = start(settings={"max_texts": 1})
    first, gate = hub.line(LINE).champion, threading.Event()
    real = Served.compute

    def held(self, texts):
        if self is first:
            assert gate.wait(PATIENCE)
        return real(self, texts)

    monkeypatch.setattr(Served, "compute", held)
    old = [ask(hub)]
    folder.point(pointer(folder.ids[1]))
    assert serves(hub, folder.ids[1])
    assert answer(hub).release == folder.ids[1]
    gate.set()
    assert {future.result(PATIENCE).release for future in old} == {folder.ids[0]}


def test_stop_finishes_what_is_queued(start, monkeypatch):
    hub = start(settings={"max_texts": 1})
    gate, real = threading.Event(), Served.compute
    monkeypatch.setattr(Served, "compute", lambda self, texts: gate.wait(PATIENCE) and real(self, texts))
    queued = [ask(hub) for _ in range(6)]
    stopping = threading.Thread(target=hub.stop, args=(PATIENCE,))
    stopping.start()
    line = hub.line(LINE)
    assert wait_until(lambda: not hub.ready() and line._batcher._closed)
    with pytest.raises(NotReady):
        ask(hub)
    gate.set()
    stopping.join(PATIENCE)
    assert all(future.result(0).labels for future in queued)


def broken_byte(home, release):
    path = home / "releases" / release / "fp32.onnx"
    content = bytearray(path.read_bytes())
    content[500] ^= 1
    path.write_bytes(content)


def missing_file(home, release):
    (home / "releases" / release / "tokenizer.json").unlink()


def lost(home, release):
    shutil.rmtree(home / "releases" / release)


@pytest.mark.parametrize(
    ("breaks", "said"), [(broken_byte, "not the file"), (missing_file, "is missing"), (lost, "no release")]
)
def test_a_bad_release_is_refused_and_the_old_one_serves_on(start, folder, breaks, said):
    hub = start()
    good, bad = folder.ids
    breaks(folder.home, bad)
    (folder.home / "current.json").write_text(pointer(bad).model_dump_json())
    assert said in refused(hub, bad).reason
    assert answer(hub).release == good
    assert hub.ready()
    time.sleep(0.1)  # some polls, in which nothing must be counted again
    assert value(hub, "tidegate_swaps_total", outcome="refused") == 1
    about = hub.line(LINE).describe()
    assert (about["release"], about["refused"]["release"], about["refused"]["role"]) == (good, bad, "champion")
    folder.point(pointer(good, version="v0.2.0"))
    assert wait_until(lambda: hub.line(LINE).refused is None)
    assert answer(hub).version == "v0.2.0"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "current.json is broken"),
        ("[]", "has no schema_version"),
        ('{"schema_version": 99}', "schema version 99"),
        ('{"schema_version": 1, "line": "sentiment"}', "current.json is broken"),
    ],
)
def test_a_broken_pointer_is_refused_until_it_is_mended(start, folder, content, said):
    hub = start()
    (folder.home / "current.json").write_text(content)
    assert said in refused(hub, None).reason
    assert answer(hub).release == folder.ids[0]
    folder.point(pointer(folder.ids[1]))
    assert serves(hub, folder.ids[1])
    assert hub.line(LINE).refused is None


def test_what_was_refused_for_a_while_is_tried_again(start, folder, monkeypatch):
    from serving import hub as module

    monkeypatch.setattr(module, "FIRST_RETRY", 0.05)
    real, tries = module.load, []
    monkeypatch.setattr(module, "load", lambda *args: tries.append(1) or real(*args))
    hub = start()
    path = folder.home / "releases" / folder.ids[1] / "tokenizer.json"
    content = path.read_bytes()
    path.unlink()
    folder.point(pointer(folder.ids[1]))
    assert refused(hub, folder.ids[1])
    assert wait_until(lambda: len(tries) > 3)
    path.write_bytes(content)
    assert serves(hub, folder.ids[1])
    assert value(hub, "tidegate_swaps_total", outcome="refused") == 1


def test_refused_at_the_start_it_is_not_ready_until_the_pointer_is_mended(start, folder):
    broken_byte(folder.home, folder.ids[0])
    hub = start()
    assert not hub.ready()
    with pytest.raises(NotReady, match=r"no release to answer with yet.*not the file that was released"):
        ask(hub)
    folder.point(pointer(folder.ids[1]))
    assert serves(hub, folder.ids[1])
    assert wait_until(hub.ready)


def test_a_line_that_comes_later_is_served_and_never_takes_the_others_away(start, folder):
    hub = start()
    other = folder.home.parent / "other"
    other.mkdir()
    (other / "current.json").write_text(pointer(folder.ids[0]).model_dump_json())
    assert wait_until(lambda: "other" in hub.lines() and hub.line("other").refused)
    assert "is one of the line sentiment" in hub.line("other").refused.reason
    assert hub.ready()


def takes_nothing(line):
    try:
        line.submit(["a"], request_id="r", source="s", deadline=time.monotonic() + 1)
    except NotReady:
        return True
    return False


def test_a_deleted_pointer_withdraws_the_line(start, folder):
    hub = start()
    line = hub.line(LINE)
    (folder.home / "current.json").unlink()
    assert wait_until(lambda: not hub.lines())
    assert not hub.ready()
    with pytest.raises(UnknownLine, match=r"There is no line .sentiment. here\. Lines: none yet"):
        hub.line(LINE)
    assert wait_until(lambda: takes_nothing(line)), "who still holds the withdrawn line is refused"
    folder.point(pointer(folder.ids[1]))
    assert wait_until(lambda: hub.lines() == [LINE] and serves(hub, folder.ids[1]))
    assert hub.ready()


def test_a_folder_that_is_gone_or_cannot_be_reached_takes_no_line_down(start, folder, monkeypatch):
    hub = start()
    folder.home.parent.rename(folder.home.parent.with_name("unmounted"))
    looked = threading.Event()
    real = folder.lines

    def unreachable():
        looked.set()
        raise TidegateError("The serving folder cannot be used: no route to host")

    assert wait_until(lambda: "Nothing of the line" in hub._told)
    assert answer(hub).release == folder.ids[0]
    monkeypatch.setattr(folder, "lines", unreachable)
    assert looked.wait(PATIENCE)
    assert answer(hub).release == folder.ids[0]
    monkeypatch.setattr(folder, "lines", real)
    folder.home.parent.with_name("unmounted").rename(folder.home.parent)
    folder.point(pointer(folder.ids[1]))
    assert serves(hub, folder.ids[1])


def test_only_some_lines(start, folder):
    hub = start(lines=["other"])
    assert hub.lines() == []
    assert not hub.ready()


def test_an_unreachable_folder_at_the_start_is_an_error(folder, monkeypatch, start):
    def unreachable():
        raise TidegateError("The serving folder cannot be used: no route to host")

    monkeypatch.setattr(folder, "lines", unreachable)
    with pytest.raises(TidegateError, match="no route"):
        start()


def test_requests_turned_away_are_counted(start, monkeypatch):
    hub = start(settings={"max_texts": 1, "queue_texts": 2})
    gate, real, entered = threading.Event(), Served.compute, threading.Semaphore(0)

    def held(self, texts):
        entered.release()
        assert gate.wait(PATIENCE)
        return real(self, texts)

    monkeypatch.setattr(Served, "compute", held)
    working = [ask(hub), ask(hub)]
    assert entered.acquire(timeout=PATIENCE)
    assert entered.acquire(timeout=PATIENCE)
    late, waiting = ask(hub, seconds=0.01), ask(hub)
    with pytest.raises(QueueFull):
        ask(hub)
    time.sleep(0.02)
    gate.set()
    assert all(future.result(PATIENCE) for future in [*working, waiting])
    with pytest.raises(Expired):
        late.result(PATIENCE)
    assert value(hub, "tidegate_rejected_total", reason="queue_full") == 1
    assert value(hub, "tidegate_rejected_total", reason="expired") == 1


def test_a_model_that_raises_fails_the_request_and_the_service_lives(start, monkeypatch):
    hub = start()
    real = Served.compute

    def out_of_memory(self, texts):
        if "bomb" in texts:
            raise MemoryError
        return real(self, texts)

    monkeypatch.setattr(Served, "compute", out_of_memory)
    with pytest.raises(Failed, match="MemoryError"):
        answer(hub, ["bomb"])
    assert answer(hub).labels


def test_a_shadow_sees_traffic_is_logged_and_never_returned(start, folder):
    kept = Kept()
    good, other = folder.ids
    hub = start(pointer(good, shadow=beside(other)), recorder=kept)
    replies = [answer(hub, TEXTS, request_id=f"{n}") for n in range(5)]
    assert {(reply.release, reply.role) for reply in replies} == {(good, "champion")}
    assert wait_until(lambda: value(hub, "tidegate_shadow_differs_total") == 5 * len(TEXTS))
    shadows = kept.of("shadow")
    assert {answers.request_id for answers in shadows} == {f"{n}" for n in range(5)}
    assert {answers.release for answers in shadows} == {other}
    assert all(a != b for a, b in zip(shadows[0].labels, replies[0].labels, strict=True))
    about = hub.line(LINE).describe()["shadow"]
    assert (about["compared_texts"], about["differing_texts"], about["ended"]) == (25, 25, None)


def test_a_slow_or_failing_shadow_delays_and_harms_nobody(start, folder, monkeypatch):
    good, other = folder.ids
    hub = start(pointer(good, shadow=beside(other)), settings={"max_texts": 1})
    real = Served.compute

    def failing(self, texts):
        if self.role == "shadow":
            raise RuntimeError("broken")
        return real(self, texts)

    monkeypatch.setattr(Served, "compute", failing)
    assert [answer(hub).release for _ in range(5)] == [good] * 5
    assert wait_until(lambda: hub.line(LINE).describe()["shadow"]["failed_requests"] == 5)


def test_a_canary_answers_the_same_callers_until_it_is_taken_away(start, folder):
    good, other = folder.ids
    kept = Kept()
    hub = start(pointer(good, canary=beside(other, 0.5)), recorder=kept)
    keys = [f"caller {n}" for n in range(40)]
    first = {key: answer(hub, key=key) for key in keys}
    assert {reply.role for reply in first.values()} == {"champion", "canary"}
    assert all(reply.release == (other if reply.role == "canary" else good) for reply in first.values())
    assert {key: answer(hub, key=key).role for key in keys} == {key: reply.role for key, reply in first.items()}
    assert len(kept.of("canary")) == 2 * sum(reply.role == "canary" for reply in first.values())
    assert len(kept.answers) == 80  # what the champion says of a canary's texts is compared and not logged
    folder.point(pointer(good))
    assert wait_until(lambda: "canary" not in hub.line(LINE).describe())
    assert {answer(hub, key=key).role for key in keys} == {"champion"}


def test_a_canary_that_differs_too_often_ends_by_itself(start, folder):
    good, other = folder.ids
    hub = start(pointer(good, canary=beside(other, max_disagreement=0.1)))
    assert answer(hub).role == "canary"
    assert wait_until(lambda: answer(hub, TEXTS).role == "champion")
    about = hub.line(LINE).describe()["canary"]
    assert "got another label than the champion's" in about["ended"]
    assert value(hub, "tidegate_swaps_total", outcome="canary_ended") == 1
    folder.point(pointer(good, version="v9", canary=beside(other, max_disagreement=0.1)))
    assert wait_until(lambda: answer(hub).version == "v9")  # the same rule: it has had its chance
    folder.point(pointer(good, canary=beside(other, max_disagreement=0.9)))
    assert wait_until(lambda: answer(hub).role == "canary")


def test_a_canary_that_fails_is_answered_by_the_champion_and_ends(start, folder, monkeypatch):
    good, other = folder.ids
    hub = start(pointer(good, canary=beside(other, max_errors=2)))
    real = Served.compute

    def failing(self, texts):
        if self.role == "canary":
            raise RuntimeError("broken")
        return real(self, texts)

    monkeypatch.setattr(Served, "compute", failing)
    assert {answer(hub).release for _ in range(6)} == {good}
    about = hub.line(LINE).describe()["canary"]
    assert (about["ended"], about["failed_requests"]) == ("3 requests failed", 3)


@pytest.mark.parametrize("role", ["canary", "shadow"])
def test_a_canary_or_shadow_that_cannot_be_loaded_harms_nobody(start, folder, role):
    good, bad = folder.ids
    broken_byte(folder.home, bad)
    hub = start(pointer(good, **{role: beside(bad)}))
    assert hub.ready()
    assert answer(hub).role == "champion"
    assert hub.line(LINE).refused.role == role
    assert role not in hub.line(LINE).describe()


def test_a_canary_becomes_champion_without_being_loaded_again(start, folder, monkeypatch):
    good, other = folder.ids
    hub = start(pointer(good, canary=beside(other, 0.5)))
    monkeypatch.setattr("serving.hub.load", None)
    folder.point(pointer(other, shadow=beside(good)))
    assert serves(hub, other)
    assert (answer(hub).release, answer(hub).role) == (other, "champion")


def test_a_release_with_other_labels_is_no_canary(start, folder, monkeypatch):
    from dataclasses import replace

    from serving import hub as module

    real = module.load

    def turned(folder_, line, choice, cache, threads):
        served = real(folder_, line, choice, cache, threads)
        return replace(served, labels=served.labels[::-1]) if choice.release == folder.ids[1] else served

    monkeypatch.setattr(module, "load", turned)
    hub = start(pointer(folder.ids[0], canary=beside(folder.ids[1])))
    assert "cannot be compared" in hub.line(LINE).refused.reason
    assert answer(hub).role == "champion"


def test_whatever_loading_raises_is_a_refusal(start, folder, monkeypatch):
    def broken(*args):
        raise ZeroDivisionError("odd release")

    monkeypatch.setattr("serving.hub.load", broken)
    hub = start()
    assert "ZeroDivisionError: odd release" in hub.line(LINE).refused.reason


def test_from_elsewhere_a_copy_is_kept_of_what_serves_and_of_what_did_before(start, folder, tmp_path):
    import fsspec

    serving, ids = put("memory://hub", *(folder.home / "releases" / release for release in folder.ids))
    try:
        serving.point(pointer(ids[0]))
        hub = Hub(serving, tmp_path / "copies", BatchSettings(workers=1), Metrics(), Kept(), poll_seconds=0.02)
        old = tmp_path / "copies" / LINE / "0123456789ab"
        old.mkdir(parents=True)
        hub.start()
        assert not old.exists()
        serving.point(pointer(ids[1]))
        assert serves(hub, ids[1])
        assert hub.stop(PATIENCE)
        assert {path.name for path in old.parent.iterdir()} == set(ids)
    finally:
        fsspec.filesystem("memory").rm("/hub", recursive=True)
