"""What fills holes for the server: a worker process here, or a server elsewhere."""
