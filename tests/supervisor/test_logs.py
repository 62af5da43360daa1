"""Logs stay bounded while their writers keep them open."""

from pathlib import Path

from epis.supervisor.logs import LogKeeper


class TestLogKeeper:
    def test_moves_a_long_log_aside_under_its_writer(self, tmp_path: Path) -> None:
        with (tmp_path / "web.log").open("ab", buffering=0) as writer:
            writer.write(b"x" * 101)

            LogKeeper(tmp_path, limit_bytes=100).look()
            writer.write(b"after")

        assert (tmp_path / "web.log").read_bytes() == b"after"
        assert (tmp_path / "web.log.1").read_bytes() == b"x" * 101

    def test_leaves_a_short_log_alone(self, tmp_path: Path) -> None:
        (tmp_path / "web.log").write_bytes(b"x" * 100)

        LogKeeper(tmp_path, limit_bytes=100).look()

        assert [path.name for path in tmp_path.iterdir()] == ["web.log"]

    def test_looks_at_the_disk_now_and_then_only(self, tmp_path: Path) -> None:
        keeper = LogKeeper(tmp_path, limit_bytes=100)
        keeper.look()
        (tmp_path / "web.log").write_bytes(b"x" * 101)

        keeper.look()

        assert not (tmp_path / "web.log.1").exists()
