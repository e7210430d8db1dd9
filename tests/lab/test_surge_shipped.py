"""The study of the scale that ships, in small."""

from ebbtide.lab.surge_shipped import as_shipped, measure


def test_a_shift_tells_more_and_clues_alone_less():
    told = measure(as_shipped(1, 15), (0.0, 2.5))
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in told.splitlines()[2:]]

    at_ten = [row for row in rows if row[0] == "10"]
    assert [(row[1], row[2]) for row in at_ten] == [("no", "0"), ("yes", "0"), ("yes", "2.5")]
    plain, quiet, shifted = ([float(one) for one in row[3:]] for row in at_ten)
    assert quiet[0] <= min(plain[0], shifted[0])  # realised
    assert shifted[1] > quiet[1] and shifted[2] > quiet[2]  # recall, new and known place
    assert plain[1] == plain[2]  # without clues it does not matter where it goes
