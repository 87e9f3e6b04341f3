"""What makes notebooks testable: the pytest plugin, and kits for guests."""
