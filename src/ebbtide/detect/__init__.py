"""What is unusual: detectors are pure functions of a window and a baseline; detections are data."""
