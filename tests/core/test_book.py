"""The book: what people settle, and what they are told when it cannot be done."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from tripgate.core import book, marks
from tripgate.core.book import EMPTY, MOST_DEVICES, MOST_PEOPLE, Book, BookError
from tripgate.core.model import (
    PLAN,
    Cap,
    Device,
    DeviceState,
    Period,
    Plan,
    Target,
    device_target,
    person_target,
)

APPROVED = DeviceState.APPROVED


def add(
    current: Book,
    name: str,
    identity: str | None = None,
    state: DeviceState = APPROVED,
    at: int = 1,
) -> tuple[Book, Device]:
    number = len(current.devices)
    return book.add_device(
        current,
        identity or f"ip:10.0.0.{number}",
        at,
        entropy=f"{number:08x}",
        state=state,
        name=name,
    )


def family() -> Book:
    """Ana has a phone and a laptop; a tablet is nobody's."""
    made = book.add_person(EMPTY, "ana", 1)
    for name in ("phone", "laptop", "tablet"):
        made, _ = add(made, name)
    made = book.approve_device(made, "phone", "ana")
    return book.approve_device(made, "laptop", "ana")


def cap(current: Book, target: str, period: Period = Period.DAY, limit: int = 100) -> Book:
    found = book.parse_target(current, target)
    return book.set_cap(current, Cap(found, period, limit, created_at=len(current.caps)))


# -- finding -----------------------------------------------------------------------------------


def test_a_device_is_found_by_name_by_id_and_by_identity() -> None:
    made, phone = add(EMPTY, "phone", "ip:10.0.0.9")
    assert book.find_device(made, "phone") is phone
    assert book.find_device(made, phone.id) is phone
    assert book.device_by_identity(made, "ip:10.0.0.9") is phone
    assert book.device_by_identity(made, "ip:10.0.0.8") is None


@pytest.mark.parametrize(
    ("find", "said"),
    [
        (lambda b: book.find_device(b, "phome"), "no device 'phome': did you mean phone?"),
        (
            lambda b: book.find_device(b, "zzz"),
            "no device 'zzz': `tripgate device list` shows them",
        ),
        (lambda b: book.find_person(b, "anna"), "no person 'anna': did you mean ana?"),
        (lambda b: book.find_person(b, "x" * 9000), "`tripgate person list` shows them"),
        (
            lambda b: book.parse_target(b, "phome"),
            "no device or person 'phome': did you mean phone?",
        ),
        (lambda b: book.parse_target(b, "dev:phone"), "write device:NAME, person:NAME or plan"),
        (lambda b: book.parse_target(b, "person:phone"), "no person 'phone'"),
    ],
)
def test_what_is_missing_is_named_with_a_hint(find: Callable[[Book], object], said: str) -> None:
    with pytest.raises(BookError) as caught:
        find(family())
    assert said in str(caught.value)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("text", "label"),
    [
        *(("phone", "device:phone"), ("device:phone", "device:phone"), ("ana", "person:ana")),
        *(("person:ana", "person:ana"), ("plan", "plan")),
    ],
)
def test_a_target_is_written_as_people_write_it(text: str, label: str) -> None:
    made = family()
    assert book.target_label(made, book.parse_target(made, text)) == label


def test_a_name_that_a_device_and_a_person_have_is_ambiguous() -> None:
    made = book.rename_device(family(), "tablet", "ana")
    with pytest.raises(BookError, match="write device:ana or person:ana"):
        book.parse_target(made, "ana")


# -- devices -----------------------------------------------------------------------------------


def test_an_unnamed_device_is_called_by_an_id_that_tells_nothing() -> None:
    made, device = book.add_device(EMPTY, "mac:02:00:00:00:00:01", 1, entropy="00ff00ff")
    assert device.name == device.id
    assert device.id.startswith("dev-")
    assert (device.state, device.slot) == (DeviceState.PENDING, marks.FIRST)
    assert book.find_device(made, device.id) is device


def test_the_same_entropy_gives_another_id() -> None:
    made, first = book.add_device(EMPTY, "ip:10.0.0.1", 1, entropy="00000000")
    _, second = book.add_device(made, "ip:10.0.0.2", 1, entropy="00000000")
    assert first.id != second.id


def test_a_name_that_is_taken_is_not_given_twice() -> None:
    made, _ = add(EMPTY, "phone")
    _, second = add(made, "phone")
    assert second.name == second.id


def test_every_device_has_a_slot_of_its_own_that_nobody_had_lately() -> None:
    made = family()
    assert sorted(one.slot for one in made.devices.values()) == [2, 3, 4]
    newest = max(made.devices.values(), key=lambda one: one.slot)
    made, again = add(book.forget_device(made, newest.id), "new", "ip:10.0.0.77")
    assert again.slot == 5


def test_after_the_last_slot_the_first_free_one_comes_round() -> None:
    made = replace(family(), last_slot=marks.LAST)
    _, again = add(made, "new", "ip:10.0.0.77")
    assert again.slot == 5


def test_a_full_book_forgets_the_oldest_that_is_pending() -> None:
    made, _ = add(EMPTY, "old", state=DeviceState.PENDING, at=1)
    for number in range(MOST_DEVICES - 1):
        made, _ = add(made, f"d{number}", at=2 + number)
    made, _ = add(made, "newest", "ip:10.9.9.9")
    assert len(made.devices) == MOST_DEVICES
    assert "old" not in {one.name for one in made.devices.values()}
    with pytest.raises(BookError, match="there are 200 devices: `tripgate device forget NAME`"):
        add(made, "more", "ip:10.9.9.10")


def test_a_rename_keeps_the_caps() -> None:
    made = book.rename_device(cap(family(), "phone"), "phone", "anas-phone")
    ((target, _),) = made.caps
    assert book.target_label(made, target) == "device:anas-phone"


@pytest.mark.parametrize("new", ["laptop", "Ana's phone", "", "x" * 33])
def test_a_name_that_is_taken_or_is_none_is_refused(new: str) -> None:
    with pytest.raises(BookError, match=r"another device is called|is no name: use 1 to 32 of"):
        book.rename_device(family(), "phone", new)


def test_a_device_may_keep_its_own_name() -> None:
    assert book.rename_device(family(), "phone", "phone") == family()


def test_blocking_and_approving_change_the_state_and_keep_the_owner() -> None:
    made = book.block_device(family(), "phone")
    assert book.find_device(made, "phone").state is DeviceState.BLOCKED
    assert book.find_device(book.approve_device(made, "phone"), "phone").person == "ana"


def test_a_forgotten_device_takes_its_caps_with_it_and_no_others() -> None:
    made = book.forget_device(cap(cap(family(), "phone"), "laptop"), "phone")
    assert [book.target_label(made, target) for target, _ in made.caps] == ["device:laptop"]


def test_a_merged_device_keeps_the_old_ones_id_name_slot_and_caps() -> None:
    made = cap(family(), "phone")
    old = book.find_device(made, "phone")
    made, new = add(made, "", "ip:10.0.0.99")
    made = book.merge_devices(made, "phone", new.id)
    merged = book.find_device(made, "phone")
    assert (merged.id, merged.slot) == (old.id, old.slot)
    assert merged.identities == (*old.identities, "ip:10.0.0.99")
    assert new.id not in made.devices
    assert len(made.caps) == 1


def test_a_device_is_not_merged_with_itself() -> None:
    with pytest.raises(BookError, match="are the same device"):
        book.merge_devices(family(), "phone", "phone")


# -- people, caps, plan ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "said"), [("ana", "there is a person ana already"), ("Ana B", "is no name")]
)
def test_a_person_who_cannot_be_added(name: str, said: str) -> None:
    with pytest.raises(BookError, match=said):
        book.add_person(family(), name)


def test_people_are_bounded() -> None:
    made = EMPTY
    for number in range(MOST_PEOPLE):
        made = book.add_person(made, f"p{number}")
    with pytest.raises(BookError, match="there are 100 people: remove one"):
        book.add_person(made, "more")


def test_a_person_with_devices_is_not_removed() -> None:
    with pytest.raises(BookError, match="ana still has phone, laptop: forget or re-assign them"):
        book.remove_person(family(), "ana")


def test_a_removed_person_takes_the_caps_along() -> None:
    made = cap(book.add_person(EMPTY, "ben"), "ben")
    assert book.remove_person(made, "ben") == EMPTY


def test_the_same_target_and_period_replaces_a_cap() -> None:
    made = cap(cap(family(), "phone", limit=100), "phone", limit=200)
    assert [one.limit for one in made.caps.values()] == [200]


def test_a_once_cap_that_is_replaced_goes_on_counting_from_its_beginning() -> None:
    made = cap(family(), "phone", Period.ONCE)
    made = cap(cap(made, "laptop"), "phone", Period.ONCE, 500)
    phone = book.parse_target(made, "phone")
    assert made.caps[phone, Period.ONCE].created_at == 0
    assert made.caps[phone, Period.ONCE].limit == 500


def test_one_cap_is_cleared_or_all_of_a_target() -> None:
    made = cap(cap(cap(family(), "phone"), "phone", Period.WEEK), "plan")
    phone = book.parse_target(made, "phone")
    assert len(book.clear_cap(made, phone, Period.WEEK).caps) == 2
    assert [key[0] for key in book.clear_cap(made, phone).caps] == [PLAN]


def test_a_cap_that_is_not_there_cannot_be_cleared() -> None:
    with pytest.raises(BookError, match="person:ana has no such cap: `tripgate cap list`"):
        book.clear_cap(family(), person_target("ana"))


@pytest.mark.parametrize(
    "change",
    [
        lambda b: add(b, "new", "ip:10.1.1.1")[0],
        lambda b: book.rename_device(b, "phone", "mine"),
        lambda b: book.forget_device(b, "phone"),
        lambda b: book.merge_devices(b, "phone", "tablet"),
        lambda b: book.add_person(b, "ben"),
        lambda b: cap(b, "phone"),
        lambda b: book.set_plan(b, Plan(volume=5)),
    ],
)
def test_a_book_is_never_changed(change: Callable[[Book], Book]) -> None:
    made, same = family(), family()
    assert change(made) != made
    assert made == same


def test_a_label_of_a_forgotten_device_is_its_id() -> None:
    assert book.target_label(EMPTY, device_target("dev-0000")) == "device:dev-0000"
    assert str(Target(PLAN.kind)) == "plan"


@pytest.mark.parametrize("name", ["plan", "-x", "--json"])
def test_nobody_is_called_like_an_option_or_the_plan(name: str) -> None:
    with pytest.raises(BookError, match="means something else"):
        book.add_person(EMPTY, name)
