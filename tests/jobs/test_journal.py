"""The journal: a line counts when it is whole and its file is as it says; nothing else does."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from mmdream.jobs.journal import JOURNAL_FILE, Journal, read_journal


def write_journal(folder: Path, numbers: range) -> Journal:
    journal = Journal(folder)
    for number in numbers:
        with journal.record("picture", number, f"picture/{number}.mid") as draft:
            draft.path.write_bytes(bytes([number]) * 100)
            draft.count, draft.sums = number + 1, {"strength": 0.1 * number}
    return journal


def test_what_was_written_is_read_again(tmp_path: Path):
    written = write_journal(tmp_path, range(5)).finished("picture")
    assert Journal(tmp_path).finished("picture") == written
    assert [line.count for line in written.values()] == [1, 2, 3, 4, 5]
    assert written[3].sums == {"strength": 0.1 * 3}
    assert not list(tmp_path.rglob("*.draft"))


def test_a_journal_cut_anywhere_keeps_the_lines_that_are_whole(tmp_path: Path):
    write_journal(tmp_path, range(4))
    data = (tmp_path / JOURNAL_FILE).read_bytes()
    for size in range(len(data) + 1):
        (tmp_path / JOURNAL_FILE).write_bytes(data[:size])
        assert len(list(read_journal(tmp_path))) == data[:size].count(b"\n")


@pytest.mark.parametrize("rubbish", [b"\x00" * 50, b"{}\n", b"[1, 2]\n", b"null\n", b"\xff\xfe\n"])
def test_rubbish_ends_a_journal_and_new_lines_are_found_behind_the_whole_ones(rubbish: bytes, tmp_path: Path):
    write_journal(tmp_path, range(2))
    with open(tmp_path / JOURNAL_FILE, "ab") as file:
        file.write(rubbish)
    journal = Journal(tmp_path)
    journal.verify()
    with journal.record("picture", 2, "picture/2.mid") as draft:
        draft.path.write_bytes(b"two")
    assert list(Journal(tmp_path).finished("picture")) == [0, 1, 2]


@pytest.mark.parametrize("harm", ["cut", "gone", "changed"])
def test_a_line_whose_file_is_harmed_is_forgotten_for_good(harm: str, tmp_path: Path):
    write_journal(tmp_path, range(3))
    file = tmp_path / "picture/1.mid"
    if harm == "gone":
        file.unlink()
    else:
        file.write_bytes(b"\x01" * 99 + (b"" if harm == "cut" else b"\x02"))
    journal = Journal(tmp_path)
    journal.verify()
    assert list(journal.finished("picture")) == list(Journal(tmp_path).finished("picture")) == [0, 2]


def test_a_block_that_fails_leaves_no_file_and_no_line(tmp_path: Path):
    journal = write_journal(tmp_path, range(1))

    def fail() -> None:
        with journal.record("picture", 1, "picture/1.mid") as draft:
            draft.path.write_bytes(b"half")
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail()
    assert list(Journal(tmp_path).finished("picture")) == [0]
    assert [path.name for path in (tmp_path / "picture").iterdir()] == ["0.mid"]


def test_threads_may_share_a_journal(tmp_path: Path):
    journal = Journal(tmp_path)

    def write(kind: str) -> None:
        for number in range(10):
            with journal.record(kind, number, f"{kind}/{number}") as draft:
                draft.path.write_text(kind)

    threads = [threading.Thread(target=write, args=(kind,)) for kind in ("picture", "sound")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    again = Journal(tmp_path)
    again.verify()
    assert list(again.finished("picture")) == list(again.finished("sound")) == list(range(10))
