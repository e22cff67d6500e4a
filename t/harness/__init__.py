"""What the Python suites share: real servers in a folder of their own, and
WebSocket clients that can also misbehave."""
