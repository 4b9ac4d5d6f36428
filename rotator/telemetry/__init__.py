"""What the worker tells: logs, alarms, progress."""
