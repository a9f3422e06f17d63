"""Eight processes of one OAuth client, with a shared state and without one.

python -m benchmarks.fleet [--quick]
"""

from functools import partial
from typing import Final

from benchmarks.fleets import LATENCY, MEASURES, MINTS, REFUSED, USED, Plan, Sharing, run
from benchmarks.harness import Figure, Goal, alternate, main
from coaching_async import RateLimit

__all__ = ["measure"]

SHARED: Final = {
    "ours, by Redis": Sharing("redis"),
    "ours, by Redis, trio": Sharing("redis", backend="trio"),
    "ours, by a file": Sharing("file"),
}
NOT_SHARED: Final = {"one token handed to all": Sharing(token=True), "eight tokens": Sharing()}


def measure(quick: bool) -> Figure:
    """Take the figure."""
    limit, windows = (RateLimit(30, per=2.0), 2) if quick else (RateLimit(150, per=10.0), 4)
    plan = Plan(limit, windows, bulks=range(6), callers=range(6, 8))
    share = 1000 * limit.per / limit.requests
    fleets = {name: partial(run, plan, sharing) for name, sharing in (SHARED | NOT_SHARED).items()}
    rows = alternate(fleets, rounds=1, warm_up=False)
    figure = Figure(
        "fleet",
        "Fleet of eight processes",
        f"Six processes read appointments in a bulk, and two make a direct call every {2 * plan.every:g} s each, for {plan.seconds:g} s."
        f" The service allows each token {limit.requests} requests in {limit.per:g} s, and responds after {1000 * LATENCY:.0f} ms."
        " The two last rows share nothing but the OAuth client: a token each, which multiplies the limit, or one token"
        " that is handed to all of them, each of which believes that the whole limit is its own. The most in a window, and the part"
        " of the limit that is used in the whole windows after the first, are those of all tokens together.",
        MEASURES,
        tuple(rows),
    )
    used, refused = (
        min(figure.median(name, USED) for name in SHARED),
        max(figure.median(name, REFUSED) for name in SHARED),
    )
    return figure.with_answer(
        f"Eight processes that share a token and a rate limit use {used:.1f} % of it together, and the service refuses"
        f" {refused:.0f} of their requests."
    ).with_goals(
        Goal("429s", max(figure.median(name, REFUSED) for name in SHARED), 0, at_least=False),
        Goal("tokens", max(figure.median(name, MINTS) for name in SHARED), 1, at_least=False),
        Goal("of the limit", min(figure.median(name, USED) for name in SHARED) / 100, 0.97),
        Goal(
            "p95 of a direct call, in even shares",
            max(figure.median(name) for name in SHARED) / share,
            2,
            at_least=False,
        ),
    )


if __name__ == "__main__":
    main(measure)
