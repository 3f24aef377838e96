"""Questions of a service wait for an answer of a browser, and end with the page."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from scripts.web.changes.conversation import Conversation, NotConfirmedError
from tests.support.polling import eventually


def answered(conversation: Conversation, ask: Callable[[], Any], answer: str | None) -> Any:
    """Return what a question in another thread returns or raises; None ends the page before the answer."""
    results: list[Any] = []

    def work() -> None:
        try:
            results.append(ask())
        except NotConfirmedError as refused:
            results.append(refused)

    thread = threading.Thread(target=work)
    thread.start()
    eventually(lambda: conversation.question is not None, 30)
    if answer is None:
        conversation.stop()
    else:
        assert conversation.question and conversation.answer(conversation.question.id, answer)
    thread.join(30)
    (result,) = results
    return result


@pytest.fixture
def conversation() -> Conversation:
    return Conversation(lambda: None)


def test_a_question_gets_its_answer(conversation: Conversation) -> None:
    assert answered(conversation, lambda: conversation.ask("Revoke?"), "yes") is True
    assert answered(conversation, lambda: conversation.ask("Revoke?"), "no") is False
    assert answered(conversation, lambda: conversation.confirm("Delete?"), "yes") is None
    assert conversation.question is None


@pytest.mark.parametrize("answer", ["no", "", None])
@pytest.mark.parametrize("ask", [lambda one: one.confirm("Delete?"), Conversation.review], ids=["question", "review"])
def test_a_change_without_a_yes_does_not_go_on(
    conversation: Conversation, answer: str | None, ask: Callable[[Conversation], None]
) -> None:
    assert isinstance(answered(conversation, lambda: ask(conversation), answer), NotConfirmedError)


def test_a_loss_is_confirmed_by_the_name_alone(conversation: Conversation) -> None:
    assert answered(conversation, lambda: conversation.confirm_by_name("ops", "All is lost."), "ops") is None
    for typed in ("yes", "OPS", ""):
        refused = answered(conversation, lambda: conversation.confirm_by_name("ops", "All is lost."), typed)
        assert isinstance(refused, NotConfirmedError)
    assert conversation.entries[0].text == "All is lost."


def test_after_the_end_of_the_page_nothing_waits(conversation: Conversation) -> None:
    conversation.stop()
    with pytest.raises(NotConfirmedError):
        conversation.review()


def test_an_answer_to_no_question_is_not_taken(conversation: Conversation) -> None:
    assert not conversation.answer("", "yes")


def test_a_change_that_was_confirmed_in_its_form_is_not_asked_about(conversation: Conversation) -> None:
    Conversation(lambda: None, review=False).review()


def test_steps_show_their_progress_and_their_end(conversation: Conversation) -> None:
    with conversation.step("reading back", 5):
        assert conversation.entries[-1].text == "reading back, about 5.0 s …"
    assert conversation.entries[-1].text.startswith("reading back: done in 0.")
    with pytest.raises(ValueError, match="x"), conversation.step("importing"):
        raise ValueError("x")
    assert conversation.entries[-1].text.startswith("importing: failed in 0.")
    with conversation.counted("deleting", 3) as done:
        done(2)
    assert conversation.entries[-1].text == "deleting: 2 of 3"
