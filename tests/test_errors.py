"""What is wrong is one line, whatever a file has put into it."""

from __future__ import annotations

import pickle

import pytest

from mmdream.core.errors import MAX_MESSAGE_LENGTH, DiskFull, UserError


@pytest.mark.parametrize("kind", [UserError, DiskFull])
def test_a_line_holds_no_signs_that_move_a_cursor(kind: type[UserError]) -> None:
    message = str(kind("a.mp4: \x1b[31mred\x07, one\r\ntwo, \u202ebackwards, \x85 and \udc80; é ≤ 日本"))
    assert message == "a.mp4: \\x1b[31mred\\x07, one two, \\u202ebackwards,   and \\udc80; é ≤ 日本"
    assert message.isprintable()


def test_of_a_long_line_the_ends_are_told() -> None:
    message = str(UserError(f"a.toml: unknown name {'x' * 100_000}; choose another"))
    assert len(message) <= MAX_MESSAGE_LENGTH
    assert message.startswith("a.toml: unknown name xxx")
    assert message.endswith("xxx; choose another")
    assert str(pickle.loads(pickle.dumps(UserError(message)))) == message
