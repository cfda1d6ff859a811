"""What makes work durable: its description, folder and journal, and going on after a stop."""
