"""``reconcile export``: the file that proves the bill."""

import errno
import hashlib
import json
import os
import stat
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import World
from tests.cli.travelled import HOUR_S, MB, cells, contents, iso, travelled
from tripgate.cli.failure import Refused
from tripgate.cli.reconcile.bundle import Bundle, safe
from tripgate.core.book import Book
from tripgate.core.model import FORGOTTEN

__all__ = ["travelled"]


def test_an_export_has_report_usage_readings_plan_and_a_manifest_of_all(
    travelled: World, tmp_path: Path
) -> None:
    travelled.run("reconcile", "add", "1.21GB")
    made = travelled.json("reconcile", "export", str(tmp_path / "bill.zip"))
    found = contents(tmp_path / "bill.zip")
    assert list(found) == [
        "report.txt", "report.json", "plan.json", "readings.csv", "usage-total.csv",
        "usage-hourly.csv", "manifest.json",
    ]  # fmt: skip
    manifest = json.loads(found.pop("manifest.json"))
    assert manifest["members"] == {
        name: {"sha256": hashlib.sha256(text.encode()).hexdigest(), "bytes": len(text.encode())}
        for name, text in found.items()
    }
    assert manifest["version"]
    assert manifest["clock"] in ("trusted", "untrusted")
    assert made["readings"] == 1
    report = json.loads(found["report.json"])
    assert report["verdict"] == "agrees"
    assert "verdict: agrees within 0.9 %" in found["report.txt"]
    assert json.loads(found["plan.json"])["volume"] == 10**10
    (reading,) = cells(found["readings.csv"])
    assert (reading["carrier_text"], reading["counted_bytes"]) == ("1.21GB", str(1_200 * MB))


def test_its_usage_is_by_hour_device_and_category(travelled: World, tmp_path: Path) -> None:
    travelled.run("reconcile", "export", str(tmp_path / "bill.zip"))
    found = contents(tmp_path / "bill.zip")
    (phone,) = travelled.book.devices
    hour = (int(time.time()) - HOUR_S) // HOUR_S * HOUR_S
    assert cells(found["usage-hourly.csv"]) == [
        {"hour": iso(hour), "device_id": phone, "device": "phone", "category": "video",
         "up": str(200 * MB), "down": str(1_000 * MB)},
    ]  # fmt: skip
    (total,) = cells(found["usage-total.csv"])
    assert (total["device"], total["up"], total["down"]) == (
        "phone",
        f"{200 * MB}",
        f"{1_000 * MB}",
    )


def test_it_has_what_is_no_devices(travelled: World, tmp_path: Path) -> None:
    travelled.run("device", "forget", "phone")
    travelled.run("reconcile", "export", str(tmp_path / "bill.zip"))
    found = contents(tmp_path / "bill.zip")
    assert {row["device_id"] for row in cells(found["usage-total.csv"])} == {FORGOTTEN}
    assert {row["device_id"] for row in cells(found["usage-hourly.csv"])} == {FORGOTTEN}


def test_readings_of_all_plans_are_in_it(travelled: World, tmp_path: Path) -> None:
    travelled.run("reconcile", "add", "1.21GB")
    travelled.run("plan", "set", "--start", "now")
    travelled.run("reconcile", "add", "0MB")
    travelled.run("reconcile", "export", str(tmp_path / "bill.zip"))
    rows = cells(contents(tmp_path / "bill.zip")["readings.csv"])
    assert [row["carrier_text"] for row in rows] == ["1.21GB", "0MB"]


def test_it_names_no_mac_address_host_person_interface_or_secret(
    travelled: World, tmp_path: Path
) -> None:
    def private(book: Book) -> Book:
        (device,) = book.devices.values()
        named = replace(
            device, mac="02:00:5e:10:00:01", proxy_secret="hash-of-a-secret",
            identities=(*device.identities, "mac:02:00:5e:10:00:01"),
        )  # fmt: skip
        return replace(book, devices={named.id: named})

    travelled.put(private)
    travelled.run("plan", "set", "--uplink", "enx02005e100002")
    travelled.run("reconcile", "add", "1.21GB")
    travelled.run("reconcile", "export", str(tmp_path / "bill.zip"))
    everything = "\n".join(contents(tmp_path / "bill.zip").values())
    for secret in ("02:00:5e", "02005e", "10.9.8.7", "films.example", "netflix", "maria", "secret"):
        assert secret not in everything.lower(), secret
    assert "phone" in everything


def test_hostile_texts_are_neither_formulas_nor_escapes(travelled: World, tmp_path: Path) -> None:
    def hostile(book: Book) -> Book:
        (device,) = book.devices.values()
        assert book.plan
        named = replace(device, name="=HYPERLINK(\x1b[2J)\n,x")
        return replace(
            book,
            devices={named.id: named},
            plan=replace(book.plan, price="@SUM(1)"),
        )

    travelled.put(hostile)
    travelled.run("reconcile", "export", str(tmp_path / "bill.zip"))
    found = contents(tmp_path / "bill.zip")
    (row,) = cells(found["usage-hourly.csv"])
    assert row["device"] == "'=HYPERLINK(\\x1b[2J)\\n,x"
    assert not any("\x1b" in text for text in found.values())


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(1)", " =1", "\t=1"])
def test_no_cell_begins_a_formula(text: str) -> None:
    made = safe(text)
    assert isinstance(made, str)
    assert not made.lstrip().startswith(("=", "+", "-", "@", "\t", "\r"))


def test_numbers_stay_numbers() -> None:
    assert (safe(-5), safe("phone"), safe(None)) == (-5, "phone", None)


def test_it_is_for_its_owner_only_and_leaves_no_other_file(
    travelled: World, tmp_path: Path
) -> None:
    folder = tmp_path / "bills"
    folder.mkdir()
    before = os.umask(0)
    try:
        made = travelled.json("reconcile", "export", str(folder / "bill.zip"))
    finally:
        os.umask(before)
    assert [one.name for one in folder.iterdir()] == ["bill.zip"]
    found = (folder / "bill.zip").stat()
    assert (stat.S_IMODE(found.st_mode), found.st_size) == (0o600, made["bytes"])


def test_a_file_that_is_there_is_replaced_only_when_asked(travelled: World, tmp_path: Path) -> None:
    path = tmp_path / "bill.zip"
    path.write_text("mine")
    code, said = travelled.refused("reconcile", "export", str(path))
    assert (code, "--force" in said, path.read_text()) == (1, True, "mine")
    travelled.run("reconcile", "export", str(path), "--force")
    assert "report.txt" in contents(path)
    assert [one.name for one in tmp_path.iterdir() if one.is_file()] == ["bill.zip"]


def test_a_link_is_not_followed(travelled: World, tmp_path: Path) -> None:
    target = tmp_path / "target"
    (tmp_path / "bill.zip").symlink_to(target)
    code, _ = travelled.refused("reconcile", "export", str(tmp_path / "bill.zip"))
    assert (code, target.exists()) == (1, False)
    travelled.run("reconcile", "export", str(tmp_path / "bill.zip"), "--force")
    assert not target.exists()


def test_of_two_exports_at_once_the_second_is_told(tmp_path: Path) -> None:
    path = tmp_path / "bill.zip"
    with Bundle(path, 1_800_000_000, replace=False) as first:
        first.lines("report.txt", ["first"])
        with (
            pytest.raises(Refused, match="is there already"),
            Bundle(path, 1_800_000_000, replace=False) as second,
        ):
            first.close({})
            second.close({})
    assert contents(path)["report.txt"] == "first\n"
    assert [one.name for one in tmp_path.iterdir()] == ["bill.zip"]


def test_a_failure_leaves_no_file(tmp_path: Path) -> None:
    def fail() -> Any:
        with Bundle(tmp_path / "bill.zip", 1_800_000_000, replace=False) as made:
            made.lines("report.txt", ["half"])
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_one_line_and_leaves_no_file(
    travelled: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    folder = tmp_path / "bills"
    folder.mkdir()
    code, said = travelled.refused("reconcile", "export", str(folder / "bill.zip"))
    assert (code, "No space left" in said) == (1, True)
    assert list(folder.iterdir()) == []


def test_a_place_that_cannot_be_written_is_one_line(travelled: World, tmp_path: Path) -> None:
    code, said = travelled.refused("reconcile", "export", str(tmp_path / "no" / "bill.zip"))
    assert (code, "No such file" in said) == (1, True)
    code, said = travelled.refused("reconcile", "export", str(tmp_path), "--force")
    assert code == 1
    assert said.startswith(str(tmp_path))


def test_readings_are_in_a_backup(travelled: World, tmp_path: Path) -> None:
    travelled.run("reconcile", "add", "1.21GB")
    travelled.run("backup", str(tmp_path / "trip"))
    before = travelled.book.statements
    travelled.run("reconcile", "add", "1.3GB")
    travelled.run("restore", str(tmp_path / "trip"))
    assert travelled.book.statements == before != ()
