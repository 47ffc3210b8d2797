# The chart that a failing simulation prints.

from .chart import draw_chart
from .history import CALLERS, CLIENT, NETWORK, SERVER, Entry
from .plan import Plan
from .world import World


def test_arrows_run_from_column_to_column() -> None:
    """Who tells whom is an arrow, a remark stands in its column, long texts are cut."""
    there, back, remark, long = (
        draw_chart([Entry(1.0, 1.0, 1, source, target, text)]).splitlines()[1]
        for source, target, text in [
            (CALLERS, CLIENT, "refresh 1"),
            (SERVER, NETWORK, "200: p2"),
            (NETWORK, NETWORK, "x lost"),
            (CLIENT, NETWORK, "y" * 99),
        ]
    )
    assert "refresh 1 -" in there
    assert ">|" in there
    assert "|<-" in back
    assert " 200: p2 " in back
    assert "| x lost " in remark
    assert "y… >" in long
    assert len(long) == len(there)


def test_clocks_are_shown_where_they_differ() -> None:
    """True time is always there, a client's clock only if it is off."""
    right, wrong = draw_chart([Entry(9.0, 9.0, 9, 0, 0, "a"), Entry(9.0, 4.0, 99, 0, 0, "b")]).splitlines()[1:]
    assert "mono" not in right
    assert "wall" not in right
    assert "9.000 mono 4.0 wall 99 " in wrong


def test_no_secret_is_drawn() -> None:
    """Invariant 9 holds for our own charts too: tokens have names."""
    for seed in range(20):
        world = World(Plan.draw(seed))
        world.run()
        chart = draw_chart(world.history.entries)
        assert not any(secret in chart for secret in world.oracle.secrets)
