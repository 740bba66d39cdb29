"""What the pages that people work on in a browser share: signing in, the outer wall, templates, words, the process."""
