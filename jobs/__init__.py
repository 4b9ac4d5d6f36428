"""What the clock wakes, and the clocks."""
