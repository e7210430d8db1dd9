from ebbtide.health import Health, Problem, Severity


def test_only_what_is_critical_makes_it_unready():
    warned = Health(1, problems=(Problem(Severity.WARNING, "eu-1 is late"),))
    broken = Health(1, problems=(*warned.problems, Problem(Severity.CRITICAL, "the disk is full", "free some space")))

    assert Health(1).is_ready
    assert warned.is_ready
    assert not broken.is_ready
