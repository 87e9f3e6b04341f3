"""The server beyond this machine: what runs in a container, and behind Ray Serve. It never imports MLflow."""
