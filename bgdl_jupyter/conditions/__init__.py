"""What the machine allows now: network and its cost, power, disk; each behind a seam, with a fake for tests."""
