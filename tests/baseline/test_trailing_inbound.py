"""What the inbound explains: by hand, against a loop, and never an upload by itself."""

import numpy as np

from ebbtide.baseline.trailing_inbound import growth, inbound_volume, usual_inbound

MB = 1e6


def test_usual_against_a_loop():
    random = np.random.default_rng(1)
    history = random.normal(size=(4, 14, 24)).astype(np.float32)
    history[random.random(history.shape) < 0.8] = np.nan
    ours = usual_inbound(history)
    for entity in range(4):
        for hour in range(24):
            days = [[day[(hour + off) % 24] for off in (-1, 0, 1)] for day in history[entity]]
            known = [np.nanmax(day) for day in days if not np.isnan(day).all()]
            expected = np.median(known) if len(known) >= 3 else np.nan
            np.testing.assert_allclose(ours[entity, hour], expected, rtol=1e-6)


def test_an_upload_does_not_explain_itself():
    usual = inbound_volume(np.array([1 * MB]), np.array([2 * MB]), 10 * MB)
    during = inbound_volume(np.array([1001 * MB]), np.array([32 * MB]), 10 * MB)  # 3 % of a gigabyte comes back
    assert growth(during, usual)[0] == 0.0


def test_a_rush_of_requests_explains_as_much_as_it_grew():
    usual = inbound_volume(np.array([100 * MB]), np.array([500 * MB]), 10 * MB)
    rush = inbound_volume(np.array([500 * MB]), np.array([2500 * MB]), 10 * MB)
    assert abs(growth(rush, usual)[0] - np.log(5)) < 0.01


def test_more_sent_bytes_never_explain_more():
    sent = np.linspace(0, 1e9, 50)
    assert (np.diff(inbound_volume(sent, np.full(50, 20 * MB), 10 * MB)) <= 0).all()
