"""The decision about each page of a list that may have changed."""

import attrs
import pytest

from coaching_async._pagination.drift import (
    MAX_BACKTRACKS,
    MAX_REPEATED_PAGES,
    MAX_SHIFTED_PAGES,
    NextStep,
    PageObservation,
    decide,
    is_plain_shift,
    row_after_deletes,
)

UNCHANGED = PageObservation(3, 10, total=100, previous_total=100)
TOTAL_FELL, TOTAL_ROSE = attrs.evolve(UNCHANGED, previous_total=101), attrs.evolve(UNCHANGED, previous_total=99)
SHIFTED = attrs.evolve(TOTAL_ROSE, repeats=1, leading_repeats=1, inserted_rows=1)
REPEATED = attrs.evolve(UNCHANGED, repeats=10, leading_repeats=10, is_repeated_page=True)

DECISIONS: dict[str, tuple[PageObservation, NextStep]] = {
    "nothing has changed": (UNCHANGED, NextStep.TAKE),
    "the service sends no total": (attrs.evolve(UNCHANGED, total=None, previous_total=None), NextStep.TAKE),
    "the total fell": (TOTAL_FELL, NextStep.BACKTRACK),
    "the total rose, and no row is a repeat": (TOTAL_ROSE, NextStep.BACKTRACK),
    "the total changed, and it is the first page": (attrs.evolve(TOTAL_FELL, number=1), NextStep.TAKE),
    "the total changed, and the page begins with a repeat": (SHIFTED, NextStep.TAKE),
    "the total changed, and there were enough backtracks": (
        attrs.evolve(TOTAL_FELL, backtracks=MAX_BACKTRACKS),
        NextStep.TAKE,
    ),
    "it should begin with rows that were returned, and does not": (
        attrs.evolve(UNCHANGED, expects_repeats=True),
        NextStep.BACKTRACK,
    ),
    "it was prefetched, and the total has changed since": (
        attrs.evolve(TOTAL_ROSE, is_fresh=False),
        NextStep.REREAD,
    ),
    "it was prefetched, and has a repeat": (
        attrs.evolve(UNCHANGED, repeats=1, leading_repeats=1, is_fresh=False),
        NextStep.REREAD,
    ),
    "it was kept before the frontier, and has a repeat": (
        attrs.evolve(UNCHANGED, repeats=1, leading_repeats=1, is_fresh=False, is_beyond_frontier=False),
        NextStep.TAKE,
    ),
    "the page before was short": (
        attrs.evolve(UNCHANGED, follows_short_page=True, should_be_full=True),
        NextStep.REREAD_SHORT_PAGE,
    ),
    "the page before was short, and this one is empty": (
        attrs.evolve(UNCHANGED, rows=0, follows_short_page=True, should_be_full=True),
        NextStep.TAKE,
    ),
    "the page before was short, and total and page count disagree about the page size": (
        attrs.evolve(UNCHANGED, follows_short_page=True),
        NextStep.TAKE,
    ),
    "it is a repeated page": (REPEATED, NextStep.STOP),
    "it is a repeated page, and was prefetched": (attrs.evolve(REPEATED, is_fresh=False), NextStep.REREAD),
    "it is a repeated page before the frontier": (attrs.evolve(REPEATED, is_beyond_frontier=False), NextStep.TAKE),
    "it is a repeated page, and there is no total": (
        attrs.evolve(REPEATED, total=None, previous_total=None, inserted_rows=None),
        NextStep.STOP,
    ),
    "it is a repeated page, and as many rows were inserted": (
        attrs.evolve(REPEATED, inserted_rows=10),
        NextStep.TAKE,
    ),
    "it is a repeated page beyond the total": (
        attrs.evolve(REPEATED, inserted_rows=10, is_within_total=False),
        NextStep.STOP,
    ),
    "it is one of too many repeated pages, although as many rows were inserted": (
        attrs.evolve(REPEATED, inserted_rows=10, repeated_pages=MAX_SHIFTED_PAGES),
        NextStep.STOP,
    ),
    "it is a repeated page of a list that has changed": (attrs.evolve(REPEATED, changed_before=True), NextStep.TAKE),
    "it is one of too many repeated pages of a list that has changed": (
        attrs.evolve(REPEATED, changed_before=True, repeated_pages=MAX_REPEATED_PAGES),
        NextStep.STOP,
    ),
}


@pytest.mark.parametrize("case", DECISIONS)
def test_the_decision_about_a_page(case: str):
    observation, next_step = DECISIONS[case]

    assert decide(observation) is next_step


@pytest.mark.parametrize(
    "repeats, leading_repeats, inserted_rows, is_plain",
    [(0, 0, 0, True), (2, 2, 2, True), (2, 2, 1, False), (2, 1, 2, False), (1, 0, 9, False), (2, 2, None, True)],
)
def test_repeats_are_a_plain_shift_if_they_come_first_and_as_many_rows_were_inserted(
    repeats: int, leading_repeats: int, inserted_rows: int | None, is_plain: bool
):
    observation = attrs.evolve(UNCHANGED, repeats=repeats, leading_repeats=leading_repeats, inserted_rows=inserted_rows)

    assert is_plain_shift(observation) is is_plain


def test_the_next_row_moves_up_by_the_number_of_deleted_rows():
    assert row_after_deletes(TOTAL_FELL, 20) == 19
    assert row_after_deletes(attrs.evolve(TOTAL_FELL, previous_total=200), 20) == 0
    assert row_after_deletes(TOTAL_ROSE, 20) == row_after_deletes(attrs.evolve(UNCHANGED, total=None), 20) == 20
