"""What hands items from one thread to the next: the newest one only, or all of them in order.

Either kind is bounded, counts what it loses, and carries the producer's error to the consumer, so that no thread fails
unseen and none waits for one that is gone.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections import deque
from typing import Generic, TypeVar

_Item = TypeVar("_Item")


class Ended(Exception):  # noqa: N818 - an end, not an error, as StopIteration
    """The mailbox was closed and everything in it was taken."""


class Mailbox(ABC, Generic[_Item]):
    """One producer, one consumer.

    Attributes:
        dropped: items that nobody will take: overwritten, thrown away by :meth:`abandon`, or put behind the end.
    """

    def __init__(self) -> None:
        self._items: deque[_Item] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._error: BaseException | None = None
        self.dropped = 0

    @abstractmethod
    def put(self, item: _Item) -> bool:
        """Hand over an item; False: nobody wants any more, so stop."""

    def take(self, timeout: float | None = None) -> _Item | None:
        """The next item, or None after ``timeout`` seconds without one.

        Raises:
            Ended: it was closed, and this was all.
            BaseException: what it was closed with, after the last item.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._closed, timeout)
            if self._items:
                item = self._items.popleft()
                self._changed.notify_all()
                return item
            if not self._closed:
                return None
            if self._error is not None:
                raise self._error
            raise Ended

    def close(self, error: BaseException | None = None) -> None:
        """No more will come; what is inside may still be taken. The first call counts.

        Args:
            error: what ended the producer, raised by :meth:`take` behind the last item.
        """
        with self._changed:
            if not self._closed:
                self._closed, self._error = True, error
            self._changed.notify_all()

    def abandon(self) -> None:
        """No more will be taken: wakes both sides, and counts what is inside as dropped."""
        self.close()
        with self._changed:
            self.dropped += len(self._items)
            self._items.clear()
            self._changed.notify_all()


class Latest(Mailbox[_Item]):
    """One slot: a newer item takes the place of one that was not taken in time."""

    def put(self, item: _Item) -> bool:
        with self._changed:
            if self._closed:
                self.dropped += 1
                return False
            self.dropped += len(self._items)
            self._items.clear()
            self._items.append(item)
            self._changed.notify_all()
            return True


class InOrder(Mailbox[_Item]):
    """A short queue: the producer waits while it is full, and nothing is lost.

    Args:
        capacity: items that may lie in it.
    """

    def __init__(self, capacity: int = 2) -> None:
        super().__init__()
        self._capacity = capacity

    def put(self, item: _Item) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: len(self._items) < self._capacity or self._closed)
            if self._closed:
                self.dropped += 1
                return False
            self._items.append(item)
            self._changed.notify_all()
            return True
