"""What people see while they wait, where there is no terminal."""

import io

import pytest

from benchmarks import console


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that the clock shows, in a list of one."""
    now = [100.0]
    monkeypatch.setattr(console.time, "monotonic", lambda: now[0])
    return now


def test_in_a_log_there_is_a_line_a_minute_with_the_time_left(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    with console.item_progress("fakes, inception", 5000) as progress:
        for _ in range(10):  # 500 images in 400 seconds
            clock[0] += 40
            progress(50)
    assert capsys.readouterr().err.splitlines() == [
        "fakes, inception: 100 of 5,000 images, 1:05:20 left",
        "fakes, inception: 200 of 5,000 images, 1:04:00 left",
        "fakes, inception: 300 of 5,000 images, 1:02:40 left",
        "fakes, inception: 400 of 5,000 images, 1:01:20 left",
        "fakes, inception: 500 of 5,000 images, 1:00:00 left",
    ]


def test_what_is_done_within_the_minute_says_nothing(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    with console.item_progress("faces", 64, "face") as progress:
        clock[0] += 59
        progress(32)
        clock[0] += 59
        progress(32)  # all of them: nothing is left
    assert capsys.readouterr().err == ""


def test_a_terminal_has_a_bar_and_no_lines(
    clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(console.sys, "stderr", terminal)
    with console.item_progress("faces", 64, "face") as progress:
        clock[0] += 3600
        progress(32)
    assert "faces" in terminal.getvalue()
    assert "\n" not in terminal.getvalue()
    assert "left" not in terminal.getvalue()
