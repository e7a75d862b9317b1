"""Work on many images by several processes; the results come in the order of the tasks."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Generic, TypeVar

from pretrain.errors import UserError

Task = TypeVar("Task")
Result = TypeVar("Result")

#: Tasks that a worker holds: it goes on with the second while the first one's result is fetched.
_HELD = 2

#: Tasks, for each worker, that may be done or under way beyond the one that is waited for.
_AHEAD = 4


class WorkerError(UserError):
    """A worker process ended before its work was done."""


def in_order(
    work: Callable[[Task], Result], tasks: Iterable[Task], workers: int
) -> Generator[Result, None, None]:
    """``work(task)`` of every task, by worker processes.

    The workers are forked where the system can, so that what ``work`` holds is not copied. They
    ignore Ctrl-C, which is the main process's, and end with it, however it ends. ``close()`` ends
    them at once. (The standard library's executor hangs where a worker is killed while it hands
    over a large result.)

    Args:
        work: a function of one task, or an object that is called with one.
        tasks: small objects; taken while there is room.
        workers: processes, at least 1.

    Raises:
        WorkerError: a worker was killed.
        UserError: from ``work``, as it was raised there, after the results before it; so is an
            OSError.
    """
    pool: _Pool[Task, Result] = _Pool(work, workers)
    try:
        yield from pool.run(enumerate(tasks))
    finally:
        pool.kill()


class _Pool(Generic[Task, Result]):
    def __init__(self, work: Callable[[Task], Result], workers: int) -> None:
        methods = multiprocessing.get_all_start_methods()
        context = multiprocessing.get_context("fork" if "fork" in methods else None)
        self._processes: list[BaseProcess] = []
        self._held: dict[Connection, int] = {}
        before = signal.pthread_sigmask(
            signal.SIG_BLOCK, {signal.SIGINT}
        )  # workers keep it blocked
        try:
            for _ in range(workers):
                ours, theirs = context.Pipe()
                process = context.Process(
                    target=_serve, args=(work, theirs, os.getpid()), daemon=True
                )
                process.start()
                theirs.close()  # so that nobody but the worker holds it, and its end is seen
                self._processes.append(process)
                self._held[ours] = 0
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def run(self, tasks: Iterator[tuple[int, Task]]) -> Generator[Result, None, None]:
        """The results; tasks are numbered from 0."""
        done: dict[int, tuple[Result, BaseException | None]] = {}
        given = wanted = 0
        while True:
            for connection, held in self._held.items():
                for _ in range(_HELD - held):
                    if given - wanted >= _AHEAD * len(self._held):
                        break
                    task = next(tasks, None)
                    if task is None:
                        break
                    self._give(connection, task)
                    given += 1
            if given == wanted:
                return
            for ready in wait([c for c, held in self._held.items() if held]):
                assert isinstance(ready, Connection)
                number, outcome = self._take(ready)
                done[number] = outcome
            while wanted in done:
                result, error = done.pop(wanted)
                if error is not None:
                    raise error
                yield result
                wanted += 1

    def _give(self, connection: Connection, task: tuple[int, Task]) -> None:
        try:
            connection.send(task)
        except OSError:
            raise self._ended(connection) from None
        self._held[connection] += 1

    def _take(self, connection: Connection) -> tuple[int, tuple[Result, BaseException | None]]:
        try:
            number, outcome = connection.recv()
        except (EOFError, OSError):
            raise self._ended(connection) from None
        self._held[connection] -= 1
        return number, outcome

    def _ended(self, connection: Connection) -> WorkerError:
        process = self._processes[list(self._held).index(connection)]
        process.join()
        code = process.exitcode or 0
        how = f"killed by signal {-code} (out of memory?)" if code < 0 else f"left with {code}"
        return WorkerError(f"worker process {process.pid}: {how}, expected it to finish its work")

    def kill(self) -> None:
        """Ends the workers, whatever they are doing."""
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.join()
        for connection in self._held:
            connection.close()


def _serve(work: Callable[[Task], Result], connection: Connection, main: int) -> None:
    """What a worker does: one task after the other."""
    threading.Thread(target=_end_with, args=(main,), daemon=True).start()
    with suppress(EOFError, OSError):  # the main process has ended
        while True:
            number, task = connection.recv()
            connection.send((number, _attempt(work, task)))


def _attempt(
    work: Callable[[Task], Result], task: Task
) -> tuple[Result | None, BaseException | None]:
    try:
        return work(task), None
    except (UserError, OSError) as error:
        return None, error
    except Exception:  # handed over as text: not every exception survives the way
        return None, RuntimeError(f"in a worker process:\n{traceback.format_exc()}")


def _end_with(main: int) -> None:
    """Ends this process when the main one has ended, even by ``kill -9``.

    Its end of the connection stays open in the workers that were forked later, so the connection
    alone would not tell.
    """
    parent = multiprocessing.parent_process()
    while parent is not None and os.getppid() == main:
        parent.join(0.5)
    os._exit(0)
