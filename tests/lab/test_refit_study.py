"""The study of own record models, on a fleet too small to say anything but that it runs through."""

import re

import numpy as np

from ebbtide.lab import refit_study
from ebbtide.lab.bench import SCORE
from ebbtide.lab.traffic import Traffic


def small_fleet(seed: int, entities: int) -> Traffic:
    sent = np.random.default_rng(seed).lognormal(12, 1, (entities, SCORE.stop * 48))
    return Traffic(tuple(f"e{at}" for at in range(entities)), sent, sent / 3, 0, 1800)


def test_it_tells_both_kinds_of_models_under_both_kinds_of_scale(capsys, monkeypatch):
    monkeypatch.setattr(refit_study, "steady_fleet", small_fleet)
    assert refit_study.main(["--entities", "3", "--seed", "3"]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "3 steady entities of a simulated cluster, seed 3"
    assert [line.split("|")[1].strip() for line in lines[4:]] == [
        *("as shipped, fixed", "as shipped, daily", "its own, fixed", "its own, daily"),
    ]
    cells = [cell.strip() for line in lines[4:] for cell in line.split("|")[2:-1]]
    assert len(cells) == 20 and all(re.fullmatch(r"[01]\.\d\d \([\d.]+\)", cell) for cell in cells)
