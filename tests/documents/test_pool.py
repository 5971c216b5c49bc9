"""The pool survives whatever a document does to a worker."""

import io
import multiprocessing
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from msoffcrypto.format.ooxml import OOXMLFile

from skillyard.documents import Parsed, ParsePool, Rejected
from skillyard.documents.process import WorkerFailed
from tests.documents import made
from tests.documents.made import GERMAN, TEXT

GOOD = made.pdf(TEXT)


def children() -> list[psutil.Process]:
    return [p for p in psutil.Process().children() if "skillyard.documents.worker" in " ".join(p.cmdline())]


@pytest.fixture(autouse=True)
def no_worker_is_left() -> Iterator[None]:
    yield
    assert children() == []


def test_every_key_comes_back_once_with_its_own_document():
    texts = {str(n): f"Document number {n} about the harbour of Northwick." for n in range(40)}
    with ParsePool(n_workers=2) as pool:
        results = list(pool.parse((key, f"{key}.txt", text.encode()) for key, text in texts.items()))
    assert sorted(key for key, _ in results) == sorted(texts)
    assert all(isinstance(result, Parsed) and result.pages[0].text == texts[key] for key, result in results)


def test_a_document_past_its_deadline_is_killed_and_the_run_goes_on():
    items = [("slow", "a.html", made.slow_html()), *((f"good-{n}", "b.pdf", GOOD) for n in range(5))]
    started = time.monotonic()
    with ParsePool(n_workers=2, deadline_s=3) as pool:
        results = dict(pool.parse(items))
    assert isinstance(slow := results.pop("slow"), Rejected)
    assert (slow.kind, slow.error_kind) == ("html", "timed_out")
    assert "3 s" in slow.error_message
    assert len(results) == 5 and all(isinstance(result, Parsed) for result in results.values())
    assert time.monotonic() - started < 30


def test_a_document_that_needs_too_much_memory_is_refused_and_the_parent_stays_small():
    before = psutil.Process().memory_info().rss
    with ParsePool(n_workers=1, memory_mb=256) as pool:
        results = dict(pool.parse([("bomb", "bomb.pdf", made.flate_bomb_pdf()), ("good", "b.pdf", GOOD)]))
    assert isinstance(bomb := results["bomb"], Rejected)
    assert (bomb.kind, bomb.error_kind) == ("pdf", "out_of_memory")
    assert isinstance(results["good"], Parsed)
    assert psutil.Process().memory_info().rss - before < 100 * 1024**2


def test_a_worker_that_dies_costs_only_its_document():
    def kill_the_busy_one() -> None:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            for worker in children():
                if worker.cpu_times().user > 1.5:
                    worker.kill()
                    return
            time.sleep(0.02)

    killer = threading.Thread(target=kill_the_busy_one)
    killer.start()
    with ParsePool(n_workers=1, deadline_s=30) as pool:
        results = dict(pool.parse([("dies", "a.html", made.slow_html()), ("good", "b.pdf", GOOD)]))
    killer.join()
    assert isinstance(dies := results["dies"], Rejected)
    assert (dies.kind, dies.error_kind) == ("html", "crashed")
    assert "SIGKILL" in dies.error_message
    assert isinstance(results["good"], Parsed)


def test_a_worker_that_dies_idle_is_replaced_without_blaming_a_document():
    with ParsePool(n_workers=1) as pool:
        assert isinstance(dict(pool.parse([("one", "a.pdf", GOOD)]))["one"], Parsed)
        (worker,) = children()
        worker.kill()
        worker.wait(5)
        assert isinstance(dict(pool.parse([("two", "a.pdf", GOOD)]))["two"], Parsed)


def test_workers_are_recycled():
    with ParsePool(n_workers=1, recycle_after=2) as pool:
        pids = set()
        for _, result in pool.parse((str(n), "a.txt", TEXT.encode()) for n in range(6)):
            assert isinstance(result, Parsed)
            pids.update(worker.pid for worker in children())
    assert len(pids) >= 2


def test_bytes_are_loaded_only_when_a_worker_is_free():
    loaded: list[int] = []
    n_ended = 0

    def load(n: int) -> bytes:
        loaded.append(n)
        return TEXT.encode()

    with ParsePool(n_workers=2) as pool:
        for _ in pool.parse((str(n), "a.txt", lambda n=n: load(n)) for n in range(30)):
            assert len(loaded) - n_ended <= 2
            n_ended += 1
    assert loaded == list(range(30))


def test_an_error_of_the_loader_reaches_the_caller_and_no_document_of_before_haunts_the_next_parse():
    def items() -> Iterator[tuple[str, str, bytes]]:
        yield "slow", "a.html", made.slow_html()
        raise OSError("the disk is gone")

    with ParsePool(n_workers=2) as pool:
        with pytest.raises(OSError, match="the disk is gone"):
            list(pool.parse(items()))
        assert [key for key, _ in pool.parse([("good", "b.pdf", GOOD)])] == ["good"]


def test_a_slow_consumer_does_not_make_finished_documents_late():
    with ParsePool(n_workers=2, deadline_s=1) as pool:
        results = []
        for key, result in pool.parse((str(n), "a.txt", TEXT.encode()) for n in range(4)):
            time.sleep(1.2)
            results.append((key, isinstance(result, Parsed)))
    assert sorted(results) == [(str(n), True) for n in range(4)]


def test_a_worker_sees_no_secret_of_the_environment(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "aws-secret")
    with ParsePool(n_workers=1) as pool:
        list(pool.parse([("one", "a.txt", TEXT.encode())]))
        environment = Path(f"/proc/{children()[0].pid}/environ").read_bytes()
    assert b"secret" not in environment and b"PATH=" in environment


def test_passwords_reach_the_worker_and_nothing_that_others_can_see():
    locked = io.BytesIO()
    OOXMLFile(io.BytesIO(made.docx("Rules", TEXT))).encrypt("harbour-pass", locked)
    with ParsePool(n_workers=1, passwords=("wrong-one", "harbour-pass")) as pool:
        result = dict(pool.parse([("locked", "a.docx", locked.getvalue())]))["locked"]
        (worker,) = children()
        seen = Path(f"/proc/{worker.pid}/environ").read_bytes() + Path(f"/proc/{worker.pid}/cmdline").read_bytes()
    assert isinstance(result, Parsed) and b"harbour-pass" not in seen
    assert "harbour-pass" not in repr(result)


def test_members_come_back_with_their_bytes_and_are_parsed_before_the_rest():
    archive = made.archive({"a.txt": TEXT, "b.txt": GERMAN})
    order = []
    with ParsePool(n_workers=1) as pool:
        for key, result in pool.parse([("zip", "a.zip", archive), *((str(n), "c.txt", TEXT.encode()) for n in range(3))]):
            assert isinstance(result, Parsed)
            order.append(key)
            for member in result.members:
                pool.add(member.path, member.path, member.load)
        folder = Path(pool._folder.name)
        assert list(folder.iterdir()) == []
    assert sorted(order) == ["0", "1", "2", "a.txt", "b.txt", "zip"] and order.index("a.txt") < order.index("1")
    assert not folder.exists()


def test_a_worker_that_dies_while_it_unpacks_leaves_nothing_behind():
    with ParsePool(n_workers=1, deadline_s=0.5) as pool:
        results = dict(
            pool.parse([("bomb", "a.zip", made.archive({f"{n}": bytes(8 * 1024**2) for n in range(7)} | {"x": os.urandom(2**20)}))])
        )
        assert list(Path(pool._folder.name).iterdir()) == []
    assert isinstance(results["bomb"], Parsed | Rejected)


def test_a_worker_that_cannot_start_is_the_installations_fault(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with ParsePool(n_workers=1) as pool, pytest.raises(WorkerFailed, match="exit code 1"):
        list(pool.parse([("one", "a.txt", TEXT.encode())]))


def test_it_runs_in_a_console_script_whose_main_must_not_be_imported_again(tmp_path: Path):
    script = tmp_path / "airflow"
    script.write_text(
        "from skillyard.documents import ParsePool\n"
        f"open({str(tmp_path / 'runs')!r}, 'a').write('x')\n"
        "with ParsePool(n_workers=1) as pool:\n"
        "    print([type(r).__name__ for _, r in pool.parse([('k', 'a.txt', b'The harbour opens at nine.')])])\n"
    )
    (tmp_path / "json.py").write_text("raise SystemExit('the caller\\'s folder was imported from')")
    ended = subprocess.run([sys.executable, "-P", str(script)], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert ended.stdout.strip() == "['Parsed']", ended.stderr
    assert (tmp_path / "runs").read_text() == "x"


def _parse_in_daemon(answers: "multiprocessing.Queue[str]") -> None:
    with ParsePool(n_workers=1) as pool:
        answers.put(type(dict(pool.parse([("k", "a.txt", TEXT.encode())]))["k"]).__name__)


def test_it_runs_in_a_daemonic_process_as_celery_uses():
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    process = context.Process(target=_parse_in_daemon, args=(answers,), daemon=True)
    process.start()
    assert answers.get(timeout=60) == "Parsed"
    process.join(10)


def test_a_worker_ends_with_its_parent():
    code = (
        "import os, signal, psutil, sys\n"
        "from skillyard.documents import ParsePool\n"
        "pool = ParsePool(n_workers=1)\n"
        "list(pool.parse([('k', 'a.txt', b'The harbour opens at nine.')]))\n"
        "print(psutil.Process().children()[0].pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    pid = int(ended.stdout)
    deadline = time.monotonic() + 10
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


@pytest.mark.parametrize("wrong", [{"n_workers": 0}, {"deadline_s": 0}, {"memory_mb": 10}])
def test_a_pool_that_cannot_work_is_refused(wrong: dict[str, int]):
    with pytest.raises(ValueError, match="are needed"):
        ParsePool(**wrong)


@pytest.mark.skipif("SKILLYARD_SHARED_DATA" not in os.environ, reason="SKILLYARD_SHARED_DATA is not set: no hostile PDFs here")
def test_sixty_hostile_pdfs_are_parsed_or_refused():
    files = sorted((Path(os.environ["SKILLYARD_SHARED_DATA"]) / "docs" / "pdf_bad").glob("*.pdf"))
    with ParsePool(n_workers=2) as pool:
        results = dict(pool.parse((file.name, file.name, file.read_bytes()) for file in files))
    kinds = {name: result.error_kind for name, result in results.items() if isinstance(result, Rejected)}
    assert len(results) == len(files) > 50
    assert kinds["made_flate_bomb_300MB.pdf"] == "out_of_memory"
    assert kinds["made_random_bytes.pdf"] == "unsupported_type"
    assert kinds["zero_bytes.pdf"] == "empty"
    assert set(kinds.values()) <= {"corrupt", "out_of_memory", "unsupported_type", "empty", "timed_out", "too_large"}
    assert sum(isinstance(result, Parsed) for result in results.values()) >= 45
