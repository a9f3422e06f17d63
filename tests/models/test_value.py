"""Models and events are values: equality, hash and repr follow from their fields."""

import subprocess
import sys

import attrs
import pytest

import coaching_async
from coaching_async import (
    Appointment,
    AppointmentReference,
    Channel,
    ChannelClosed,
    ErrorLimit,
    FoundUsers,
    FrameUnreadable,
    Listing,
    Page,
    StatusChange,
    UserReference,
)
from coaching_async._value import Value

VALUES = [cls for cls in vars(coaching_async).values() if isinstance(cls, type) and issubclass(cls, Value)]


@pytest.mark.parametrize("cls", VALUES)
def test_every_value_class_has_the_methods_of_value(cls: type):
    assert attrs.has(cls)
    assert {cls.__eq__, cls.__hash__} == {Value.__eq__, Value.__hash__}
    assert cls in {FoundUsers, Listing} or cls.__repr__ is Value.__repr__, "these two hold too much to show all of it"


def test_a_value_without_fields_equals_another_of_its_class():
    assert FrameUnreadable() == FrameUnreadable() != ChannelClosed()
    assert len({FrameUnreadable(), FrameUnreadable(), ChannelClosed()}) == 2
    assert repr(ChannelClosed()) == "ChannelClosed()"


def test_every_model_is_a_value():
    models = {cls for name in coaching_async.models.__all__ if attrs.has(cls := getattr(coaching_async.models, name))}

    assert models <= set(VALUES)


def test_models_are_equal_if_class_and_fields_are_equal():
    one, same = Appointment(id="1", name="a"), Appointment(id="1", name="a")

    assert (one, hash(one)) == (same, hash(same))
    assert one != attrs.evolve(one, name="b")
    assert UserReference(id="1") != AppointmentReference(id="1")
    assert UserReference(id="1") != "1"
    assert len({one, same, UserReference(id="1"), AppointmentReference(id="1")}) == 3
    assert ErrorLimit(key="a") == ErrorLimit(key="a")


def test_a_repr_shows_the_fields_of_a_model_and_no_secret():
    assert repr(UserReference(id="1")) == "UserReference(id='1', self_uri=None)"
    assert repr(Page[StatusChange](entities=())) == (
        "Page(entities=(), page_number=None, page_size=None, page_count=None, total=None)"
    )
    assert repr(Channel(id="1", connect_uri="wss://secret")) == "Channel(expires=None)"


def test_importing_the_package_imports_no_event_loop_and_no_converter():
    program = "import sys, coaching_async; print(sys.modules.keys() & {'asyncio', 'trio', 'cattrs', 'pydantic'})"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)

    assert done.stdout == "set()\n"
