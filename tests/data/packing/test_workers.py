"""Workers: results in order, errors as they were raised, and no hang or orphan when one dies."""

import os
import signal
import subprocess
import sys

import psutil
import pytest

from pretrain.data.images import BadImage
from pretrain.data.packing.workers import WorkerError, in_order
from pretrain.errors import UserError


def children():
    return [child for child in psutil.Process().children() if child.status() != "zombie"]


@pytest.mark.parametrize("workers", [1, 3])
def test_results_come_in_the_order_of_the_tasks(workers):
    def work(task):
        sum(range(300_000 * (task % 3 == 0)))  # the first of three is the slowest
        return task * task

    assert list(in_order(work, range(50), workers)) == [task * task for task in range(50)]
    assert children() == []


def test_no_tasks_give_no_results():
    assert list(in_order(abs, [], 2)) == []


def test_tasks_are_taken_while_there_is_room_only():
    taken = []

    def tasks():
        for task in range(1000):
            taken.append(task)
            yield task

    results = in_order(abs, tasks(), 2)
    assert next(results) == 0
    assert len(taken) <= 10
    results.close()
    assert children() == []


def test_fast_workers_do_not_run_far_ahead_of_a_slow_one():
    taken = []

    def work(task):
        return sum(range(10_000_000)) if task == 0 else 0

    def tasks():
        for task in range(1000):
            taken.append(task)
            yield task

    results = in_order(work, tasks(), 2)
    next(results)
    assert len(taken) <= 9  # else all the results would wait in memory
    results.close()


@pytest.mark.parametrize("error", [BadImage("a.jpg", "cut"), UserError("no"), OSError(28, "full")])
def test_what_a_user_can_mend_is_raised_as_it_was(error):
    def work(task):
        if task == 7:
            raise error
        return task

    results = in_order(work, range(20), 2)
    assert [next(results) for _ in range(7)] == [0, 1, 2, 3, 4, 5, 6]
    with pytest.raises(type(error)) as caught:
        list(results)
    assert str(caught.value) == str(error)
    assert children() == []


def test_a_fault_of_ours_comes_with_its_traceback():
    with pytest.raises(RuntimeError, match=r"(?s)Traceback.*ZeroDivisionError"):
        list(in_order(lambda task: 1 // task, [0], 1))


@pytest.mark.parametrize("workers", [1, 3])
def test_a_killed_worker_is_an_error_and_not_a_hang(workers):
    def work(task):
        if task == 5:
            os.kill(os.getpid(), signal.SIGKILL)
        return task

    with pytest.raises(WorkerError, match=r"killed by signal 9 \(out of memory\?\)"):
        list(in_order(work, range(20), workers))
    assert children() == []


def test_a_worker_killed_while_it_hands_over_a_result_is_an_error():
    results = in_order(lambda task: bytes(20_000_000), range(4), 2)
    next(results)  # the workers now wait inside of their second result: nobody takes it
    for child in children():
        child.kill()
    with pytest.raises(WorkerError):
        list(results)


ORPHANS = """
import os, sys
from pretrain.data.packing.workers import in_order
def work(task):
    if task < 2: return os.getpid()
    while True: pass
results = in_order(work, range(9), 2)
print(next(results), next(results), flush=True)
next(results)
"""


@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM", "SIGINT"])
def test_workers_do_not_outlive_the_main_process(name):
    process = subprocess.Popen(
        [sys.executable, "-c", ORPHANS],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    workers = [int(pid) for pid in process.stdout.readline().split()]
    watched = [psutil.Process(pid) for pid in set(workers)]
    watched += [p for p in psutil.Process(process.pid).children() if p not in watched]
    if name == "SIGINT":  # as Ctrl-C: to all of them
        os.killpg(process.pid, signal.SIGINT)
    else:
        process.send_signal(getattr(signal, name))
    process.communicate(timeout=20)
    _, alive = psutil.wait_procs(watched, timeout=20)
    assert alive == []
