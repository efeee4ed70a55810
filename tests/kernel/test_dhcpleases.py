"""The lease file, read when it has changed."""

from ipaddress import ip_address
from pathlib import Path

from tripgate.kernel.dhcpleases import LeaseFile

LINE = "0 02:00:00:00:00:01 10.77.0.5 phone *\n"


def test_a_new_file_is_read_once(tmp_path: Path) -> None:
    path = tmp_path / "leases"
    path.write_text(LINE)
    leases = LeaseFile(path)
    assert list(leases.changed() or {}) == [ip_address("10.77.0.5")]
    assert leases.changed() is None


def test_a_file_that_changes_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "leases"
    path.write_text(LINE)
    leases = LeaseFile(path)
    leases.changed()
    path.write_text(LINE + LINE.replace("0.5", "0.6"))
    assert len(leases.changed() or {}) == 2


def test_a_file_that_is_not_there_holds_no_lease(tmp_path: Path) -> None:
    leases = LeaseFile(tmp_path / "none")
    assert leases.changed() == {}
    assert leases.changed() is None


def test_a_file_that_vanishes_takes_its_leases_along(tmp_path: Path) -> None:
    path = tmp_path / "leases"
    path.write_text(LINE)
    leases = LeaseFile(path)
    leases.changed()
    path.unlink()
    assert leases.changed() == {}
