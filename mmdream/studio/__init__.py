"""A web application on this machine that shows, plays and steers dreams; it knows jobs and settings alone."""
