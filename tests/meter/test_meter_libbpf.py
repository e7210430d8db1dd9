"""libbpf through ctypes: errors an operator can read."""

from __future__ import annotations

import errno
import struct

import pytest

from ebbtide.errors import ServiceError
from ebbtide.meter.libbpf import INSTALL_HINT, Object, open_library, read_object, verifier_message


def test_a_missing_library_gives_the_install_line():
    with pytest.raises(ServiceError) as caught:
        open_library("libbpf-is-not-here.so")
    assert caught.value.hint == INSTALL_HINT
    assert "apt-get install libbpf1" in INSTALL_HINT


def test_a_library_without_the_calls_is_too_old():
    with pytest.raises(ServiceError, match="too old: it has no libbpf_major_version"):
        open_library("libc.so.6")


def test_a_package_without_the_object_says_how_to_get_one(tmp_path):
    with pytest.raises(ServiceError, match="built without clang") as caught:
        read_object(tmp_path / "meter.bpf.o")
    assert "apt-get install clang" in caught.value.hint


def test_bytes_that_are_no_object_are_refused():
    try:
        open_library()
    except ServiceError as error:
        pytest.skip(error.message)
    with pytest.raises(ServiceError, match="opening the BPF object failed"):
        Object(b"\x7fELF but no more")


def test_the_log_of_the_refused_program_is_shown():
    logs = {"fine": "", "on_egress": "\n".join(f"line {number}" for number in range(100))}
    shown = verifier_message(logs).splitlines()
    assert shown[0] == "on_egress:"
    assert shown[-1].strip() == "line 99"
    assert len(shown) == 13
    assert verifier_message({}) == ""


def test_a_refused_program_is_a_readable_error(image, cgroup_root):
    marker = struct.pack("<BBhi", 0x85, 0, 0, 16)  # call bpf_get_current_comm
    broken = image.replace(marker, struct.pack("<BBhi", 0x85, 0, 0, 9999))
    assert broken != image
    with Object(broken) as programs, pytest.raises(ServiceError, match="loading the BPF programs failed") as caught:
        programs.load()
    assert "invalid func unknown#9999" in str(caught.value)
    assert caught.value.hint


def test_unknown_maps_are_an_error(image, cgroup_root):
    with Object(image) as programs, pytest.raises(ServiceError, match="no map nothing"):
        programs.map_fd("nothing")


def test_closing_twice_is_fine(image, cgroup_root):
    programs = Object(image)
    programs.close()
    programs.close()


def test_keys_that_are_not_there_are_none(image, cgroup_root):
    with Object(image) as programs:
        try:
            programs.load()
        except ServiceError as error:
            pytest.skip(error.message.splitlines()[0])
        assert programs.lookup("adopted", bytes(8), 48) is None
        with pytest.raises(ServiceError, match=errno.errorcode[errno.E2BIG]):
            programs.update("settings", struct.pack("<I", 99), bytes(4))
