"""What deploy/kubernetes holds, read once, and the settings in it with the Secrets that secrets.sh makes."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
KUBERNETES = ROOT / "deploy" / "kubernetes"
MANIFEST = KUBERNETES / "ebbtide.yaml"

#: Stands in for kubectl: keeps the files it is given where a pod would see them.
_KUBECTL = """#!/bin/sh
case "$*" in
  *"create secret tls ebbtide-tls"*) to="$OUT/tls" ;;
  *"create secret generic ebbtide-tokens"*) to="$OUT/tokens" ;;
  *) exit 0 ;;
esac
mkdir -p "$to"
for one; do
  case "$one" in
    --cert=*) cp "${one#--cert=}" "$to/tls.crt" ;;
    --key=*) cp "${one#--key=}" "$to/tls.key" ;;
    --from-file=*) cp "${one#--from-file=}" "$to/" ;;
  esac
done
"""


def objects() -> dict[tuple[str, str], dict[str, Any]]:
    """Every object by kind and name."""
    return {(one["kind"], one["metadata"]["name"]): one for one in yaml.safe_load_all(MANIFEST.read_text("utf-8"))}


def pod() -> dict[str, Any]:
    """The pod's specification."""
    found: dict[str, Any] = objects()["StatefulSet", "ebbtide"]["spec"]["template"]["spec"]
    return found


def container() -> dict[str, Any]:
    """The one container."""
    [found] = pod()["containers"]
    return dict(found)


def settings() -> str:
    """The settings file of the ConfigMap."""
    return str(objects()["ConfigMap", "ebbtide"]["data"]["ebbtide.yaml"])


@dataclass(frozen=True)
class Secrets:
    """What secrets.sh made: the folder with `tls` and `tokens` as mounted in the pod, and the tokens it printed."""

    folder: Path
    collector: str
    admin: str


def make_secrets(folder: Path, namespace: str = "ebbtide") -> Secrets:
    """Run secrets.sh with a kubectl that only keeps what it is given."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    (folder / "bin").mkdir(parents=True)
    kubectl = folder / "bin" / "kubectl"
    kubectl.write_text(_KUBECTL)
    kubectl.chmod(0o755)
    environment = {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "OUT": str(folder), "NAMESPACE": namespace}
    done = subprocess.run(
        ["sh", KUBERNETES / "secrets.sh"], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    [collector] = re.findall(r"Bearer (\S+)", done.stdout)
    [admin] = re.findall(r"log in with:  (\S+)", done.stdout)
    assert (folder / "tls" / "tls.crt").read_text() in done.stdout
    return Secrets(folder, collector, admin)


def settings_beside(secrets: Secrets, store: Path) -> str:
    """The settings with the pod's paths replaced by those of this machine."""
    return settings().replace("/etc/ebbtide", str(secrets.folder)).replace("/var/lib/ebbtide", str(store))
