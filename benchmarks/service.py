"""The service of a benchmark, as its contenders see it."""

import attrs

__all__ = ["Service"]


@attrs.frozen
class Service:
    """Address, token and data of a service that runs in a process of its own."""

    url: str
    pid: int
    token: str = "a-token-for-benchmarks"
    user_ids: tuple[str, ...] = ("11111111-1111-4111-8111-111111111111",)
    appointment_ids: tuple[str, ...] = ("3f0c8f0e-6d0b-4a57-9a7e-0d7f6f3f9a11",)
