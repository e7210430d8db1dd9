"""Cgroup paths of every runtime, ids to paths, and mounts."""

from __future__ import annotations

import pytest

from ebbtide.errors import ServiceError
from ebbtide.meter.cgroup import CgroupTable, Unit, find_mount, open_root, unit_of

UID = "0485c36b-283e-496e-af47-1a69545cd887"
ID = "0123456789abcdef" * 4
SYSTEMD = f"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{UID.replace('-', '_')}.slice"


@pytest.mark.parametrize(
    ("path", "unit"),
    [
        (f"{SYSTEMD}/cri-containerd-{ID}.scope", Unit(UID, ID)),
        (f"{SYSTEMD}/crio-{ID}.scope", Unit(UID, ID)),
        (f"{SYSTEMD}/docker-{ID}.scope/init.scope", Unit(UID, ID)),
        (f"/kubepods/besteffort/pod{UID}/{ID}", Unit(UID, ID)),
        (f"/../../kubepods/pod{UID}/{ID}/nested", Unit(UID, ID)),
        (f"/kubelet.slice/kubelet-kubepods.slice/pod{'a1' * 16}/{ID}", Unit("a1" * 16, ID)),
        (f"/system.slice/docker-{ID}.scope", Unit("", ID)),
        (f"/machine.slice/libpod-{ID}.scope/container", Unit("", ID)),
        (f"/docker/{ID}", Unit("", ID)),
        ("/system.slice/nginx.service", Unit(unit="nginx")),
        ("/system.slice/system-getty.slice/getty@tty1.service", Unit(unit="getty")),
        ("/user.slice/user-1000.slice/session-3.scope", Unit()),
        ("/system.slice/run-r0123.scope", Unit()),
        ("/user.slice/user-1000.slice/user@1000.service/app.slice/app-firefox.scope", Unit(unit="app-firefox")),
        ("/init.scope", Unit(unit="init")),
        ("/", Unit()),
        ("/podcast/pods", Unit()),
    ],
)
def test_paths_say_what_runs(path, unit):
    assert unit_of(path) == unit


def test_a_removed_cgroup_keeps_its_path(tmp_path):
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    number = folder.stat().st_ino
    table = CgroupTable(tmp_path)
    assert table.path(number) == "/a/b"
    folder.rmdir()
    assert table.path(number) == "/a/b"


def test_an_unknown_cgroup_walks_once_a_second(tmp_path):
    now = [0.0]
    table = CgroupTable(tmp_path, clock=lambda: now[0])
    assert table.path(12345) is None
    folder = tmp_path / "late"
    folder.mkdir()
    assert table.path(folder.stat().st_ino) is None
    now[0] = 1.5
    assert table.path(folder.stat().st_ino) == "/late"


def test_the_root_is_one(tmp_path):
    assert CgroupTable(tmp_path).path(1) == "/"


def test_a_learned_path_is_bounded_and_known(tmp_path):
    table = CgroupTable(tmp_path, limit=2)
    for number in (11, 12, 13):
        table.learn(number, f"/{number}")
    table.learn(14, "/")
    assert [table.path(number) for number in (11, 12, 13, 14)] == [None, "/12", "/13", None]


def test_mounts_of_part_of_the_tree_are_passed_over():
    assert find_mount("30 23 0:26 /docker/x /sys/fs/cgroup rw - cgroup2 cgroup2 rw") is None
    assert find_mount("30 23 0:26 / /sys/fs/cgroup rw - tmpfs tmpfs rw") is None


def test_a_folder_that_is_no_cgroup_is_refused(tmp_path):
    with pytest.raises(ServiceError, match="not a cgroup v2 mount"):
        open_root(tmp_path)


def test_part_of_the_tree_is_refused(tmp_path):
    (tmp_path / "cgroup.procs").touch()
    with pytest.raises(ServiceError, match="not the root"):
        open_root(tmp_path)


def test_the_root_of_this_node_opens(cgroup_root):
    assert open_root(cgroup_root) == cgroup_root
