"""What a notebook holds in its hands."""
