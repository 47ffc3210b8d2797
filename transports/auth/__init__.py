"""Auth objects that put a session's token on the requests of an HTTP client."""
