from tests.acceptance.executable import Executable


def test_the_demo_comes_out(rotator: Executable) -> None:
    """What a newcomer sees first ends by itself, says yes in every line, and leaves nothing."""
    seen = rotator("demo", seconds=240)
    assert seen.code == 0, seen.out[-4000:]
    assert "Everything came out as it had to." in seen.out
    assert "\n  no " not in seen.out
    assert rotator.left() == set()
