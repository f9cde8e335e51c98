"""Mailboxes between real threads."""

from __future__ import annotations

import threading

import pytest

from demo_app.live.mailbox import Ended, InOrder, Latest, Mailbox

KINDS = pytest.mark.parametrize("kind", [Latest, InOrder])


def test_the_newest_item_wins_and_the_others_are_counted() -> None:
    box = Latest[int]()
    assert all(box.put(value) for value in range(5))
    assert box.take() == 4
    assert box.dropped == 4


def test_items_in_order_wait_for_their_place_and_none_is_lost() -> None:
    box = InOrder[int](capacity=2)

    def produce() -> None:
        for value in range(200):
            box.put(value)
        box.close()

    producer = threading.Thread(target=produce)
    producer.start()
    assert [box.take(timeout=30.0) for _ in range(200)] == list(range(200))
    with pytest.raises(Ended):
        box.take(timeout=30.0)
    producer.join(30.0)
    assert box.dropped == 0


def test_a_full_queue_holds_its_producer_back() -> None:
    box = InOrder[int](capacity=2)
    done = threading.Event()

    def produce() -> None:
        for value in range(3):
            box.put(value)
        done.set()

    threading.Thread(target=produce, daemon=True).start()
    assert not done.wait(0.05)
    assert box.take(timeout=30.0) == 0
    assert done.wait(30.0)


@KINDS
def test_nothing_within_the_time_is_none(kind: type[Mailbox[int]]) -> None:
    assert kind().take(timeout=0.01) is None


@KINDS
def test_what_is_inside_comes_before_the_end(kind: type[Mailbox[int]]) -> None:
    box = kind()
    box.put(1)
    box.close()
    assert box.take() == 1
    for _ in range(2):
        with pytest.raises(Ended):
            box.take()


@KINDS
def test_the_producers_error_comes_behind_its_last_item(kind: type[Mailbox[int]]) -> None:
    box = kind()
    box.put(1)
    box.close(OSError("the camera burns"))
    box.close()  # which changes nothing
    assert box.take() == 1
    with pytest.raises(OSError, match="the camera burns"):
        box.take()


@KINDS
def test_closing_wakes_a_consumer_that_waits_for_ever(kind: type[Mailbox[int]]) -> None:
    box = kind()
    ended = threading.Event()

    def consume() -> None:
        with pytest.raises(Ended):
            box.take()
        ended.set()

    threading.Thread(target=consume, daemon=True).start()
    assert not ended.wait(0.05)
    box.close()
    assert ended.wait(30.0)


@KINDS
def test_a_producer_whose_items_nobody_wants_is_told(kind: type[Mailbox[int]]) -> None:
    box = kind()
    box.put(1)
    box.abandon()
    assert not box.put(2)
    assert box.dropped == 2


def test_a_producer_that_waits_for_a_place_is_freed() -> None:
    box = InOrder[int](capacity=1)
    box.put(1)
    refused = threading.Event()

    def produce() -> None:
        if not box.put(2):
            refused.set()

    threading.Thread(target=produce, daemon=True).start()
    box.abandon()
    assert refused.wait(30.0)
    assert box.dropped == 2
